# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The air in real time: drives the medium a little behind the clock, and lets radios join through a Unix socket."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TextIO

from boards.virtual.air import messages
from boards.virtual.air.carriers import Carriers
from boards.virtual.air.errors import AirError, MalformedMessage, SocketTaken
from boards.virtual.air.frames import Event, FrameEnded
from boards.virtual.air.medium import Medium
from boards.virtual.air.messages import Carry, Hello, Idle, Listen, Message, Report, Transmit

log = logging.getLogger(__name__)

DEFAULT_SLACK_US = 8_000
_MAX_UNSENT = 1 << 20

Sink = Callable[[list[Event]], None]


def monotonic_us() -> int:
    """Air time: CLOCK_MONOTONIC of this computer, which all its processes share."""
    return time.monotonic_ns() // 1000


class Air:
    """The medium and the clock. A moment is decided `slack_us` after it has passed: so long may messages about it take.

    Radios of this process attach a sink, which gets their events as soon as they are decided.
    """

    def __init__(
        self,
        medium: Medium,
        slack_us: int = DEFAULT_SLACK_US,
        now_us: Callable[[], int] = monotonic_us,
        journal: TextIO | None = None,
    ) -> None:
        self.medium = medium
        self.slack_us = slack_us
        self.now_us = now_us
        self._carriers = Carriers(medium.duty)
        self._journal = journal
        self._sinks: dict[str, Sink] = {}
        self._timer: asyncio.TimerHandle | None = None

    def attach(self, radio_id: str, sink: Sink) -> None:
        """Deliver a radio's events there."""
        self._sinks[radio_id] = sink

    def detach(self, radio_id: str) -> None:
        """Take a radio out of the air, now."""
        del self._sinks[radio_id]
        self.end_carrier(radio_id, self.now_us())
        self.medium.remove_radio(radio_id, self.now_us())

    def begin_carrier(self, radio_id: str, carry: Carry) -> None:
        """A radio sends an unmodulated carrier, and hears nothing meanwhile."""
        self.end_carrier(radio_id, carry.from_us)
        self.medium.idle(radio_id, carry.from_us)
        self._carriers.begin(radio_id, carry)

    def end_carrier(self, radio_id: str, at_us: int) -> None:
        """Whatever else a radio does ends its carrier."""
        line = self._carriers.end(radio_id, at_us)
        if line is not None:
            self.note(line)

    def wake(self) -> None:
        """Look anew at when something has to be decided; call it after every change to the medium."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_us = self.medium.next_decision_us
        if due_us is not None:
            wait_us = max(due_us + self.slack_us - self.now_us(), 0)
            self._timer = asyncio.get_running_loop().call_later(wait_us / 1e6, self._decide)

    def close(self) -> None:
        """Decide nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def note(self, fields: dict[str, Any]) -> None:
        """Write a line to the log, if there is one."""
        if self._journal is not None:
            self._journal.write(messages.encode(fields).decode())
            self._journal.flush()

    def _decide(self) -> None:
        heard: dict[str, list[Event]] = {}
        for event in self.medium.advance(self.now_us() - self.slack_us):
            if isinstance(event, FrameEnded):
                self.note(messages.journal_fields(event))
                if event.duty.violation:
                    log.warning("duty cycle passed: %s", messages.duty_fields(event.duty))
            else:
                heard.setdefault(event.radio, []).append(event)
        for radio_id, events in heard.items():
            if radio_id in self._sinks:
                self._sinks[radio_id](events)
        self.wake()


class _Visitor:
    """One connection; it becomes a radio when it says hello."""

    def __init__(self, air: Air, writer: asyncio.StreamWriter) -> None:
        self._air = air
        self._writer = writer
        self.radio_id: str | None = None

    def say(self, fields: dict[str, Any]) -> None:
        """Send a message; whoever does not read loses the connection instead of filling the memory."""
        if self._writer.transport.get_write_buffer_size() > _MAX_UNSENT:
            log.warning("radio %s does not read what it hears; disconnected", self.radio_id)
            self._writer.transport.abort()
            return
        self._writer.write(messages.encode(fields))

    def handle(self, line: bytes) -> None:
        """Do what one line says; a mistake is answered, and changes nothing."""
        try:
            self._obey(messages.parse(line))
        except AirError as error:
            self.say({"op": "error", "error": str(error)})
        self._air.wake()

    def _obey(self, message: Message) -> None:
        medium = self._air.medium
        if isinstance(message, Report):
            self.say(messages.report_fields(medium.frame_count, medium.duty))
        elif isinstance(message, Hello):
            self._enter(message)
        elif self.radio_id is None:
            raise MalformedMessage(
                f"{message.op!r} before hello: the air must know first which radio this is, and where"
            )
        elif isinstance(message, Carry):
            self._air.begin_carrier(self.radio_id, message)
        elif isinstance(message, Transmit):
            self._air.end_carrier(self.radio_id, message.at_us)
            frame = medium.transmit(
                self.radio_id, message.at_us, message.modulation, message.power_dbm, bytes.fromhex(message.data)
            )
            self.say({"op": "txed", "frame": frame.number, "at_us": frame.at_us, "until_us": frame.until_us})
        elif isinstance(message, Listen):
            self._air.end_carrier(self.radio_id, message.from_us)
            medium.listen(self.radio_id, message.from_us, message.channels)
        elif isinstance(message, Idle):
            self._air.end_carrier(self.radio_id, message.from_us)
            medium.idle(self.radio_id, message.from_us)

    def _enter(self, hello: Hello) -> None:
        medium = self._air.medium
        if self.radio_id is None:
            medium.add_radio(hello.id, hello.x_m, hello.y_m, hello.antenna_dbi)
            self.radio_id = hello.id
            self._air.attach(hello.id, self._hear)
        elif hello.id == self.radio_id:
            medium.move_radio(hello.id, hello.x_m, hello.y_m, hello.antenna_dbi)
        else:
            raise MalformedMessage(f"this connection is radio {self.radio_id!r}; open another one for {hello.id!r}")
        self.say({"op": "welcome", "now_us": self._air.now_us(), "slack_us": self._air.slack_us})

    def _hear(self, events: list[Event]) -> None:
        for event in events:
            self.say(messages.event_fields(event))


async def _visit(air: Air, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    visitor = _Visitor(air, writer)
    try:
        while line := await reader.readline():
            visitor.handle(line)
    except ConnectionError as error:
        log.info("radio %s: connection lost: %s", visitor.radio_id, error)
    except ValueError:  # readline: longer than the limit; where the next message begins is unknown
        visitor.say({"op": "error", "error": f"a line is longer than {messages.MAX_LINE} bytes; connection closed"})
    finally:
        if visitor.radio_id is not None:
            air.detach(visitor.radio_id)
            air.wake()
        writer.close()


@contextlib.asynccontextmanager
async def open_socket(air: Air, path: Path) -> AsyncIterator[None]:
    """Let radios join through a Unix socket at that path while the context is open."""
    _clear_path(path)

    def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(_visit(air, reader, writer))
        visits[task] = writer
        task.add_done_callback(visits.pop)

    visits: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
    server = await asyncio.start_unix_server(visit, path, limit=messages.MAX_LINE)
    try:
        yield
    finally:
        server.close()
        tasks = list(visits)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        air.close()
        _remove(path)


def _clear_path(path: Path) -> None:
    """Remove the socket of an air that has died; refuse if the path is anything else."""
    if not path.exists():
        return
    if not path.is_socket():
        raise SocketTaken(f"{path} exists and is not a socket; give the air a path of its own")
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise SocketTaken(f"another air already serves {path}; end it or choose another path")
    path.unlink()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
