# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The console port as a link: COBS frames between text lines, and the way back to the prompt for a person or a tool."""

import asyncio
import select
import sys
import time

import micropython

from firmware.node.errors import LeaveToRepl, LinkClosed
from firmware.node.links.breaks import BREAK, MAYBE, BreakWatch
from firmware.wire import cobs, cobs_stream

_MAX_PAYLOAD = micropython.const(222)  # as LoRaWAN's repeater-compatible maximum: what fits here fits there
_MAX_PHY = micropython.const(255)
_REPLY_TIMEOUT_MS = micropython.const(2000)
_SEND_TIMEOUT_MS = micropython.const(2000)
_SEND_POLL_MS = micropython.const(50)
_LONE_BREAK_MS = micropython.const(200)
_READ_MAX = micropython.const(64)


def open_link(config) -> "SerialLink":
    """Return the link on the console port."""
    return SerialLink(sys.stdin.buffer, sys.stdout.buffer, config.console)


class SerialLink:
    """*console*: whether a break (see ``breaks``) leads to the prompt."""

    max_payload = _MAX_PAYLOAD
    reply_timeout_ms = _REPLY_TIMEOUT_MS

    def __init__(self, source, sink, console: bool) -> None:
        self._source = source
        self._reader = asyncio.StreamReader(source)
        self._sink = sink
        self._ready = select.poll()
        self._ready.register(source, select.POLLIN)
        self._room = select.poll()
        self._room.register(sink, select.POLLOUT)
        self._deframer = cobs_stream.Deframer(_MAX_PHY)
        self._breaks = BreakWatch() if console else None
        self._frames = []  # type: list[bytes]
        self.on_heard = None  # called, without arguments, for every sign of life
        self.unsent = 0

    async def send(self, phy: bytes) -> None:
        """Put one frame on the line. When nobody takes it in time it is dropped: its reading is still in flash."""
        waited_ms = 0
        while not self._room.poll(0):
            if waited_ms >= _SEND_TIMEOUT_MS:
                self.unsent += 1
                return
            await asyncio.sleep_ms(_SEND_POLL_MS)
            waited_ms += _SEND_POLL_MS
        self._sink.write(cobs.frame(phy))

    async def receive(self) -> bytes:
        """Return the next frame. Raises LeaveToRepl after a break, LinkClosed at the end of the stream."""
        while not self._frames:
            data = await self._read()
            if data:
                if self.on_heard:
                    self.on_heard()
                self._frames = self._deframer.feed(data)
        return self._frames.pop(0)

    async def _read(self) -> bytes:
        """Return what has arrived. Behind a break nothing is taken: a tool's next keys are meant for the prompt."""
        data = bytearray()
        byte = await self._first_byte()
        while byte:
            data.extend(byte)
            if self._breaks and self._breaks.feed(byte, time.ticks_ms()) == BREAK:
                raise LeaveToRepl()
            # one byte at a time: stdin of most ports blocks until it has all that it was asked for
            byte = self._source.read(1) if len(data) < _READ_MAX and self._ready.poll(0) else b""
        return bytes(data)

    async def _first_byte(self) -> bytes:
        if self._breaks and self._breaks.state == MAYBE:
            try:
                first = await asyncio.wait_for_ms(self._reader.read(1), _LONE_BREAK_MS)
            except asyncio.TimeoutError:
                raise LeaveToRepl()
        else:
            first = await self._reader.read(1)
        if not first:
            raise LinkClosed("serial: the line has ended")
        return first
