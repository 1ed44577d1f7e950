# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A serial line or a PTY: COBS frames between zeros, one PHYPayload each.

Does not care whether the port exists yet: it is opened when it appears, and again when it comes back.
"""

from __future__ import annotations

import asyncio
import os
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Literal, Self

import serial
from pydantic import Field

from firmware.wire import cobs, cobs_stream
from firmware.wire.frame import MAX_PHY
from gateway import plugins
from gateway.errors import LinkBusy, LinkError
from gateway.links import Uplink
from gateway.operate.logs import EventLog
from gateway.turns import Turns

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.clock import Clock
    from gateway.links import Sink
    from gateway.operate.counters import Counters
    from gateway.radio import RadioDownlink

_READ_BYTES = 4096
_MAX_UNSENT_BYTES = 8192
_FIRST_RETRY_S = 0.1
_LAST_RETRY_S = 2.0


class Settings(plugins.Settings):
    """``[[links]]`` with ``type = "serial"``."""

    type: Literal["serial"]
    port: Annotated[str, Field(min_length=1)]
    """Device file, or a symbolic link to one (``/dev/serial/by-id/...`` survives a replug under another number)."""
    baud: Annotated[int, Field(ge=1200, le=4_000_000)] = 115200

    def located(self, base: Path) -> Self:
        """Return the settings with the port's full path."""
        return self.model_copy(update={"port": str(base / self.port)})


class _Gone(LinkError):
    """The port went away while it was open."""


class SerialLink(Turns):
    """One port. The only address on it is the port itself."""

    def __init__(self, settings: Settings, clock: Clock, counters: Counters) -> None:
        self.name = settings.name
        self._settings = settings
        self._clock = clock
        self._counters = counters
        self._log = EventLog("links.serial")
        self._port: serial.Serial | None = None
        self._unsent = bytearray()
        self._lost: asyncio.Future[None] | None = None
        self._last_state = ""

    def status(self) -> dict[str, object]:
        """Return what the status page shows."""
        return {"open": self._port is not None, "at": self._settings.port, "unsent_bytes": len(self._unsent)}

    async def run(self, sink: Sink) -> None:
        """Hear frames until cancelled; retry a missing port with growing pauses, at most two seconds."""
        retry_s = _FIRST_RETRY_S
        while True:
            self._turned()
            try:
                await self._open()
                retry_s = _FIRST_RETRY_S
                await self._hear(sink)
            except LinkError as error:
                self._say("serial_absent", str(error))
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, _LAST_RETRY_S)

    async def send(self, address: str, phy: bytes, when: RadioDownlink | None = None) -> None:
        """Queue a frame for the line, at most 8 KiB unsent. Raises LinkError (no port), LinkBusy (line stuck)."""
        if self._port is None:
            raise LinkError(f"{self.name}: {self._settings.port} is not open")
        data = cobs.frame(phy)
        if len(self._unsent) + len(data) > _MAX_UNSENT_BYTES:
            raise LinkBusy(f"{self.name}: {len(self._unsent)} bytes wait; nobody reads at the other end")
        idle = not self._unsent
        self._unsent += data
        if idle:
            self._write()

    async def _open(self) -> None:
        # In a thread: some drivers wait for the device when they are opened.
        self._port = await asyncio.to_thread(_open_port, self._settings)
        # Any byte tells a board that somebody is there again, and ends its back-off; a delimiter is part of no frame.
        self._unsent[:] = b"\0"
        self._say("serial_open", "")

    async def _hear(self, sink: Sink) -> None:
        port = self._port
        if port is None:
            return
        loop = asyncio.get_running_loop()
        self._lost = loop.create_future()
        deframer = cobs_stream.Deframer(MAX_PHY)
        descriptor = port.fileno()
        loop.add_reader(descriptor, self._read, descriptor, deframer, sink)
        try:
            self._write()
            await self.until_lost(self._lost)
        finally:
            loop.remove_reader(descriptor)
            loop.remove_writer(descriptor)
            self._port = None
            self._lost.cancel()
            await asyncio.to_thread(_close_port, port)

    def _read(self, descriptor: int, deframer: cobs_stream.Deframer, sink: Sink) -> None:
        try:
            data = os.read(descriptor, _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(str(error))
            return
        if not data:  # the driver reports a hang-up as end of file
            self._lose("hang-up")
            return
        received_at = self._clock.wall_s()
        dropped = deframer.dropped
        for phy in deframer.feed(data):
            sink(Uplink(self.name, self._settings.port, phy, received_at))
        self._counters.add("links", f"{self.name}_not_a_frame", deframer.dropped - dropped)

    def _write(self) -> None:
        port = self._port
        if port is None:
            return
        loop = asyncio.get_running_loop()
        try:
            sent = os.write(port.fileno(), self._unsent)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._lose(str(error))
            return
        del self._unsent[:sent]
        if self._unsent:
            loop.add_writer(port.fileno(), self._write)
        else:
            loop.remove_writer(port.fileno())

    def _lose(self, why: str) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_exception(_Gone(f"{self._settings.port} went away: {why}"))

    def _say(self, event: str, why: str) -> None:
        state = event + why
        if state == self._last_state:  # once per change, not once per try
            return
        self._last_state = state
        self._counters.add("links", f"{self.name}_{event}")
        if why:
            self._log.warning(event, link=self.name, port=self._settings.port, why=why)
        else:
            self._log.info(event, link=self.name, port=self._settings.port)


def _open_port(settings: Settings) -> serial.Serial:
    try:
        return serial.Serial(settings.port, settings.baud, timeout=0, write_timeout=0, exclusive=True)
    except (OSError, ValueError, termios.error) as error:  # SerialException is an OSError
        raise LinkError(f"{settings.port} cannot be opened: {error}") from error


def _close_port(port: serial.Serial) -> None:
    with suppress(OSError, termios.error):
        port.reset_output_buffer()  # else closing waits for a device that may not be there any more
    try:
        port.close()
    except (OSError, termios.error):
        EventLog("links.serial").debug("serial_close_failed", port=port.port)


def build(settings: Settings, clock: Clock, counters: Counters) -> SerialLink:
    """Return the link of one ``[[links]]`` table."""
    return SerialLink(settings, clock, counters)
