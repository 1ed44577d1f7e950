# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Bluetooth LE as a link: the board advertises, a gateway connects, frames pass in pieces (``wire.segment``).

A connection counts for nothing until the other side has said READY, and for little until a frame of it was authentic:
who has shown none in time is thrown off and not let in for a while. What comes is held in bounds, whatever comes.
"""

import asyncio
import errno
import os
import time

from micropython import const

from firmware.node.ecb import ecb
from firmware.node.errors import ConfigError
from firmware.node.log import log
from firmware.wire import gatt
from firmware.wire.segment import READY, Reassembler, Segmenter

_CONSOLE_BLOCK = b"lykta-console-01"  # wire.console, which is loaded when somebody comes
_MAX_PAYLOAD = const(222)
_REPLY_TIMEOUT_MS = const(5000)
_READY_MS = const(10000)  # to discover the service and subscribe
_PROVE_MS = const(30000)  # to answer something
_QUIET_MS = const(900000)  # between two authentic frames; who is a gateway connects again
_SHUN_MS = const(60000)
_SHUN_SILENT_MS = const(10000)  # it may be a gateway that was too slow
_SHUNNED = const(4)
_REFUSED = const(8)  # frames of one connection before the first that is right
_FAST_US = const(100000)
_SLOW_US = const(1285000)
_FAST_MS = const(30000)  # while something waits, after the end of a connection
_LONELY = const(4)  # fast periods in which no gateway came: no more of them, except for an alarm
_ROTATE_MS = const(900000)
_TICK_MS = const(1000)
_FRAMES = const(4)  # that wait for the network
_BUSY_MS = const(20)
_SEND_TIMEOUT_MS = const(5000)

_IRQ_CENTRAL_CONNECT = const(1)
_IRQ_CENTRAL_DISCONNECT = const(2)
_IRQ_GATTS_WRITE = const(3)
_IRQ_MTU_EXCHANGED = const(21)
_FLAG_WRITE_NO_RESPONSE = const(4)
_FLAG_WRITE = const(8)
_FLAG_NOTIFY = const(16)
_BUSY = (errno.ENOMEM, errno.EAGAIN)


def open_link(config) -> "BleLink":
    """Return the link on this board's Bluetooth. Raises ConfigError when it has none."""
    try:
        bluetooth = __import__("bluetooth")
    except ImportError:
        raise ConfigError("identity: link is %r; this board's MicroPython has no Bluetooth" % config.link)
    encrypt = ecb(config.app_key)
    return BleLink(bluetooth, ecb(gatt.hint_key(encrypt)), encrypt(_CONSOLE_BLOCK))


class BleLink:
    """*encrypt* is AES under the key of the hints.

    ``reachable``: a gateway listens; ``connections``: so many there were. Counts: ``unsent`` frames, ``thrown_off``
    connections, ``overrun`` frames that came faster than they were taken; and see ``pieces``.
    """

    max_payload = _MAX_PAYLOAD
    reply_timeout_ms = _REPLY_TIMEOUT_MS
    prove_ms = _PROVE_MS

    def __init__(self, bluetooth, encrypt, console_key: bytes = b"") -> None:
        self.console_key = console_key
        self.connections = 0
        self.on_heard = None
        self.on_gone = None
        self.reachable = False
        self.proven = False
        self.unsent = 0
        self.thrown_off = 0
        self.overrun = 0
        self.pieces = Reassembler()
        self._cutter = Segmenter()
        self._encrypt = encrypt
        self._counter = int.from_bytes(os.urandom(2), "little")
        self._flags = 0
        self._frames = []  # type: list[bytes]
        self._event = asyncio.ThreadSafeFlag()
        self._peer = None  # type: tuple[int, int, bytes] | None  # connection, address type and address
        self._ended = False
        self._mtu = 23
        self._refused = 0
        self._deadline = time.ticks_ms()
        self._shunned = []  # type: list[tuple]
        self._advertising_us = 0
        self._stale = True  # what is advertised is not what should be
        self._fast_since = self._rotated = time.ticks_ms()
        self._fast = True
        self._lonely = 0
        self._bluetooth = bluetooth
        self._ble = bluetooth.BLE()
        self._up = self._down = 0
        self._on = False

    async def send(self, phy: bytes) -> None:
        """Notify a frame's pieces. Without anybody there, or when the air does not take them, the frame is dropped."""
        if self.reachable:
            await self.answer(phy)
        else:
            self.unsent += 1

    async def answer(self, phy: bytes) -> None:
        """The same for whoever is connected: a person need not be a gateway."""
        peer = self._peer
        if peer is None:
            self.unsent += 1
            return
        begun = time.ticks_ms()
        for piece in self._cutter.split(phy, self._mtu - gatt.ATT_HEADER):
            while not self._notify(peer, piece):
                late = time.ticks_diff(time.ticks_ms(), begun) > _SEND_TIMEOUT_MS
                if late or self._peer is not peer:
                    self.unsent += 1
                    if late:
                        self._throw_off("the air does not take what is sent")
                    return
                await asyncio.sleep_ms(_BUSY_MS)

    async def receive(self) -> bytes:
        """Return the next frame. Keeps house meanwhile: advertising, time-outs."""
        if not self._on:
            self._switch_on()
        while True:
            self._keep_house()
            while self._frames:
                frame = self._frames.pop(0)
                if frame != READY:
                    return frame
                self._hear_ready()
            try:
                await asyncio.wait_for_ms(self._event.wait(), _TICK_MS)
            except asyncio.TimeoutError:
                pass

    def judged(self, ours: bool) -> None:
        """What the network thought of the last frame that ``receive`` gave."""
        if ours:
            self.proven = True
            self._deadline = time.ticks_add(time.ticks_ms(), _QUIET_MS)
        elif not self.proven:
            self._refused += 1
            if self._refused >= _REFUSED:
                self._throw_off("%d frames, none of them ours" % self._refused)

    def expect(self, within_ms: int) -> None:
        """End the connection unless a frame of it is authentic within so long."""
        self._deadline = time.ticks_add(time.ticks_ms(), within_ms)

    def away(self, waiting: bool, alarm: bool) -> None:
        """Something waits to be sent, or nothing does; and an alarm is among it."""
        flags = (gatt.WAITING if waiting else 0) | (gatt.ALARM if alarm else 0)
        new = flags & ~self._flags
        if flags != self._flags:
            self._flags = flags
            self._stale = True
            self._event.set()
        if new & gatt.ALARM or (waiting and not self._fast and self._lonely < _LONELY):
            self._fast_since = time.ticks_ms()
            self._fast = True

    def _switch_on(self) -> None:
        ble, kind = self._ble, self._bluetooth
        ble.active(True)
        ble.config(mtu=gatt.MTU, gap_name=gatt.NAME)
        ble.irq(self._irq)
        up = (kind.UUID(gatt.UPLINK_UUID), _FLAG_NOTIFY)
        down = (kind.UUID(gatt.DOWNLINK_UUID), _FLAG_WRITE | _FLAG_WRITE_NO_RESPONSE)
        ((self._up, self._down),) = ble.gatts_register_services(((kind.UUID(gatt.SERVICE_UUID), (up, down)),))
        ble.gatts_set_buffer(self._down, gatt.MTU - gatt.ATT_HEADER)  # else 20 bytes, the rest cut off in silence
        self._on = True

    def _irq(self, event: int, data) -> None:
        """Note what happened; ports call this between two lines of anything."""
        peer = self._peer
        if event == _IRQ_CENTRAL_CONNECT:
            self._connected(data[0], data[1], bytes(data[2]))
        elif peer is None or data[0] != peer[0]:
            pass  # of a connection that we gave up
        elif event == _IRQ_GATTS_WRITE and data[1] == self._down:
            frame = self.pieces.feed(self._ble.gatts_read(self._down))
            if frame is not None and len(self._frames) >= _FRAMES:
                self.overrun += 1
            elif frame is not None:
                self._frames.append(frame)
        elif event == _IRQ_CENTRAL_DISCONNECT:
            self._peer = None
            self.reachable = False
            self._ended = True
        elif event == _IRQ_MTU_EXCHANGED:
            self._mtu = min(data[1], gatt.MTU)
        self._event.set()

    def _connected(self, connection: int, kind: int, address: bytes) -> None:
        self._advertising_us = 0  # a connection ends it, on every port
        if self._peer is not None:
            self._ble.gap_disconnect(connection)
            return
        self._peer = (connection, kind, address)
        self.connections += 1
        self._mtu = 23
        self._frames = []
        self._refused = 0
        self.reachable = self.proven = False
        self.pieces.reset()
        self._cutter.reset()
        self._deadline = time.ticks_add(time.ticks_ms(), _READY_MS)

    def _notify(self, peer: tuple[int, int, bytes], piece: bytes) -> bool:
        if self._peer is not peer:
            return False
        try:
            self._ble.gatts_notify(peer[0], self._up, piece)
        except OSError as error:
            if error.args[0] not in _BUSY:
                log("ble", "not sent: error %d" % error.args[0])
            return False
        return True

    def _hear_ready(self) -> None:
        if not self.reachable and self._peer is not None:
            self.reachable = True
            self._lonely = 0
            self._deadline = time.ticks_add(time.ticks_ms(), self.prove_ms)
        if self.on_heard:
            self.on_heard()

    def _keep_house(self) -> None:
        now = time.ticks_ms()
        if self._ended:
            self._ended = False
            self._fast_since = now
            self._fast = self._stale = True
            if self.on_gone:
                self.on_gone()
        peer = self._peer
        if peer is not None:
            if self._shuns(peer[1:], now):
                self._let_go()
            elif time.ticks_diff(now, self._deadline) >= 0:
                self._throw_off("nothing that is ours from it" if self.reachable else "it does not say READY")
            return
        if time.ticks_diff(now, self._rotated) >= _ROTATE_MS:
            self._rotated = now
            self._counter = (self._counter + 1) & 0xFFFF
            self._stale = True
        if self._fast and time.ticks_diff(now, self._fast_since) >= _FAST_MS:
            self._fast = False
            self._lonely += 1
        interval_us = _FAST_US if self._fast else _SLOW_US
        if self._stale or interval_us != self._advertising_us:
            self._advertise(interval_us)

    def _advertise(self, interval_us: int) -> None:
        data = gatt.advertisement(gatt.hint(self._encrypt, self._counter, self._flags))
        try:
            self._ble.gap_advertise(interval_us, adv_data=data, resp_data=gatt.scan_response())
        except OSError as error:  # some ports are not ready right after a connection's end; the next tick tries again
            log("ble", "not advertising: error %d" % error.args[0])
            return
        self._advertising_us = interval_us
        self._stale = False

    def _throw_off(self, why: str) -> None:
        """End the connection and do not let the same address in for a while."""
        peer = self._peer
        if peer is None:
            return
        self.thrown_off += 1
        log("ble", "connection ended: " + why)
        self._shunned = self._shunned[1 - _SHUNNED :]
        rest_ms = _SHUN_MS if self.reachable else _SHUN_SILENT_MS
        self._shunned.append((peer[1:], time.ticks_add(time.ticks_ms(), rest_ms)))
        self._let_go()

    def _let_go(self) -> None:
        peer = self._peer
        self._peer = None
        self.reachable = False
        self._ended = True
        self._frames = []
        if peer is not None:
            self._ble.gap_disconnect(peer[0])

    def _shuns(self, who, now) -> bool:
        if not self._shunned:
            return False
        self._shunned = [each for each in self._shunned if time.ticks_diff(each[1], now) > 0]
        return who in [each[0] for each in self._shunned]
