# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What all radios share: time stamps of interrupts, waiting with a poll behind it, windows that open on time."""

import asyncio
import time

from micropython import const

from firmware.node.radio import RadioError, Reception
from firmware.wire.airtime import PREAMBLE_SYMBOLS, symbol_us, time_on_air_us

# what _take_flags() of a chip returns
TX_DONE = const(1)
RX_DONE = const(2)
TIMEOUT = const(4)
CRC_ERROR = const(8)
HEADER_ERROR = const(16)

MAX_FRAME = const(255)
_POLL_MS = const(100)  # how often to look for an interrupt that did not come
_LISTEN_POLL_MS = const(1000)
_POLL_LEAD_MS = const(5)
_TX_MARGIN_MS = const(200)
_RX_MARGIN_MS = const(500)
# A window is opened by a blocking wait of so long: other tasks may hold the loop for that time without making it late.
_BLOCK_US = const(20000)
_LOST_HEADER_SYMBOLS = const(24)  # after a preamble: the rest of it, 4.25 of sync word, 8 of header, and room


def _of_the_chip(*_args, **_named):
    raise NotImplementedError


class LoraRadio:
    """The interface of every radio. One task at a time: a radio can do one thing, and does not keep a queue.

    ``late_us``: how late the last receive window opened. ``missed_irqs``: interrupts that only polling found.
    """

    init = sleep = stop = _of_the_chip
    _load = _start_transmit = _tune = _warm_up = _start_receive = _take_flags = _fetch = _diagnosis = _of_the_chip
    carrier = ""  # the module below firmware.node that sends an unmodulated one
    _opening_us = 0  # from the start of reception to an open receiver
    _warm_up_us = 0

    def __init__(self) -> None:
        self.late_us = 0
        self.missed_irqs = 0
        self._irq_us = time.ticks_us()
        self._fired = False
        self._flag = asyncio.ThreadSafeFlag()
        self.on_edge = self._note_edge  # bound once: binding allocates, which an interrupt handler may not
        self._window_ms = 0
        self._longest_ms = 0

    def watch(self, pin) -> None:
        """Note the edges of the pin that tells of the end of a frame or a window."""
        try:
            pin.irq(self.on_edge, pin.IRQ_RISING, hard=True)
        except TypeError:  # ports with soft interrupts only
            pin.irq(self.on_edge, pin.IRQ_RISING)

    def _note_edge(self, _source) -> None:
        self._irq_us = time.ticks_us()
        self._fired = True
        self._flag.set()

    async def transmit(self, freq_hz: int, sf: int, bw_hz: int, power_dbm: int, payload: bytes, inverted: bool = False):
        """Send one frame and return the moment of its end. Raises RadioError when that does not come.

        *inverted* I/Q is what a gateway sends: of use on a bench without one.
        """
        air_us = time_on_air_us(sf, bw_hz, len(payload))
        self._load(freq_hz, sf, bw_hz, power_dbm, payload, inverted)
        self._forget()
        self._start_transmit(air_us + _TX_MARGIN_MS * 500)
        begun_us = time.ticks_us()
        flags = await self._outcome(air_us // 1000 + _POLL_LEAD_MS, air_us // 1000 + _TX_MARGIN_MS)
        if flags & TX_DONE:
            return self._irq_us if self._fired else time.ticks_add(begun_us, air_us)
        raise self._failure("a frame of %d ms was not sent" % (air_us // 1000))

    def prepare_receive(self, freq_hz: int, sf: int, bw_hz: int, symbols: int, inverted: bool = True) -> None:
        """Set all but the start of a window, which closes when *symbols* have passed without a preamble."""
        ts_us = symbol_us(sf, bw_hz)
        guard_us = (symbols + _LOST_HEADER_SYMBOLS) * ts_us
        self._window_ms = symbols * ts_us // 1000
        longest_us = time_on_air_us(sf, bw_hz, MAX_FRAME) - PREAMBLE_SYMBOLS * ts_us
        self._longest_ms = (guard_us + longest_us) // 1000 + _RX_MARGIN_MS
        self._tune(freq_hz, sf, bw_hz, symbols, guard_us, inverted)

    async def receive(self, at_us) -> "Reception | None":
        """Open the prepared window at that moment and return what came, None if nothing. Raises RadioError."""
        left_us = time.ticks_diff(at_us, time.ticks_us()) - _BLOCK_US - self._warm_up_us
        if left_us > 0:
            await asyncio.sleep_ms(left_us // 1000)
        self._warm_up()
        self._forget()
        start_us = time.ticks_add(at_us, -self._opening_us)
        left_us = time.ticks_diff(start_us, time.ticks_us())
        if left_us > 0:
            time.sleep_us(left_us)
        self._start_receive()
        self.late_us = max(0, time.ticks_diff(time.ticks_us(), start_us))
        flags = await self._outcome(self._window_ms + _POLL_LEAD_MS, self._longest_ms)
        if not flags:
            raise self._failure("a window of %d ms has no end" % self._window_ms)
        received = self._reception(flags) if flags & RX_DONE else None
        self.stop()
        return received

    async def receive_continuous(self, freq_hz: int, sf: int, bw_hz: int, inverted: bool = True) -> None:
        """Listen from now on until ``stop``, ``sleep`` or the next transmission."""
        self._tune(freq_hz, sf, bw_hz, 0, 0, inverted)
        self._warm_up()
        self._forget()
        self._start_receive()

    async def next_frame(self) -> Reception:
        """Return the next frame of continuous reception."""
        while True:
            flags = await self._outcome(_LISTEN_POLL_MS, 0)  # 0: also for nothing
            if flags & RX_DONE:
                return self._reception(flags)

    def _reception(self, flags: int) -> Reception:
        at_us = self._irq_us if self._fired else time.ticks_us()
        self._fired = False
        data, rssi_dbm, snr_db = self._fetch()
        return Reception(data, rssi_dbm, snr_db, at_us, not flags & CRC_ERROR)

    def _forget(self) -> None:
        self._fired = False
        self._flag.clear()

    async def _outcome(self, first_ms: int, last_ms: int) -> int:
        """Return the flags of what happened, 0 when nothing did. A lost interrupt is found by looking."""
        begun_ms = time.ticks_ms()
        wait_ms = first_ms
        while True:
            try:
                await asyncio.wait_for_ms(self._flag.wait(), wait_ms)
            except asyncio.TimeoutError:
                pass
            flags = self._take_flags()
            if flags:
                self.missed_irqs += not self._fired
                return flags
            if time.ticks_diff(time.ticks_ms(), begun_ms) >= last_ms:
                return 0
            wait_ms = _POLL_MS

    def _failure(self, what: str) -> RadioError:
        """Return the error to raise, and leave the radio in standby if it still obeys."""
        try:
            why = self._diagnosis()
            self.stop()
        except RadioError as error:
            why = str(error)
        return RadioError("radio: %s: %s" % (what, why))
