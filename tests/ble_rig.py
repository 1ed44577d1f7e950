# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Boards within reach of an adapter, reduced to what a gateway's Bluetooth sees of them; no radio, no bumble.

The fake backend of bleak (`ble_fake_backend`) and the look-alike of BlueZ (`bluez_lookalike`) both stand on them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from firmware.wire import gatt, segment
from gateway.clock import SystemClock
from gateway.links import Uplink
from gateway.links.ble import Settings, build
from gateway.links.ble.link import BleLink
from gateway.network.aes import ecb
from gateway.operate.counters import Counters

ADVERTISE_EVERY_S = 0.02
PATIENCE_S = 150.0
"""Long, for a busy machine: what comes comes far sooner."""


class Refused(Exception):
    """The board does not take it."""


@dataclass
class Board:
    """A board's Bluetooth: it advertises a hint, takes one connection, joins and cuts pieces."""

    address: str
    hint: bytes
    mtu: int = 247
    advertising: bool = True
    connectable: bool = True
    answers: Callable[[bytes], list[bytes]] = lambda _frame: []
    """What it sends back on a frame from the gateway."""
    greeting: list[bytes] = field(default_factory=list)
    """Frames that it sends when it hears that the gateway listens."""
    frames: list[bytes] = field(default_factory=list)
    ready: int = 0
    connections: int = 0
    listened_to: bool = False
    """Whether the gateway has said on this connection that it listens."""
    notify: Callable[[bytes], None] | None = None
    dropped: Callable[[], None] | None = None

    def connect(self, dropped: Callable[[], None]) -> None:
        if not self.connectable or self.dropped is not None:
            raise Refused(self.address)
        self.dropped = dropped
        self.connections += 1
        self.listened_to = False
        self._up, self._down = segment.Segmenter(), segment.Reassembler()

    def disconnect(self) -> None:
        """End the connection from either side."""
        dropped, self.dropped, self.notify, self.listened_to = self.dropped, None, None, False
        if dropped is not None:
            dropped()

    def greet(self) -> None:
        for phy in self.greeting:
            self.send(phy)

    def send(self, frame: bytes) -> None:
        for piece in self._up.split(frame, self.mtu - gatt.ATT_HEADER):
            self.say(piece)

    def say(self, piece: bytes) -> None:
        """Notify one value, whatever it is. Before the gateway listens, it is lost."""
        if self.notify is not None:
            self.notify(piece)

    def written(self, piece: bytes) -> None:
        if len(piece) > self.mtu - gatt.ATT_HEADER:
            raise Refused(f"{len(piece)} bytes")
        frame = self._down.feed(piece)
        if frame is None:
            return
        if frame == segment.READY:
            self.ready += 1
            if not self.listened_to:
                self.listened_to = True
                self.greet()
            return
        self.frames.append(frame)
        for phy in self.answers(frame):
            self.send(phy)


def key_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


def board(
    number: int, *, counter: int = 0, flags: int = gatt.WAITING, key: bytes | None = None, **more: object
) -> Board:
    """The board of device *number*, whose AppKey is *key*."""
    hint_key = gatt.hint_key(ecb(key or key_of(number)))
    return Board(f"C0:00:00:00:{number >> 8:02X}:{number & 255:02X}", gatt.hint(ecb(hint_key), counter, flags), **more)  # type: ignore[arg-type]


async def knows_all(hint: bytes) -> str | None:
    """Stand in for the daemon where the test is not about who is known: every hint is a device's."""
    return hint.hex()


class Gateway:
    """The link, running inside a test, and what it heard."""

    def __init__(self, recognise: Callable[[bytes], Awaitable[str | None]] = knows_all, **settings: object) -> None:
        self.counters = Counters()
        self.heard: list[Uplink] = []
        self.news = asyncio.Event()
        chosen = {"type": "ble", "name": "ble", "scan_s": 1.0, "connect_s": 2.0, **settings}
        self.link: BleLink = build(Settings.model_validate(chosen), SystemClock(), self.counters)
        self.link.introduce(recognise)
        self.on_frame: Callable[[Uplink], None] = lambda _uplink: None

    @asynccontextmanager
    async def running(self):  # type: ignore[no-untyped-def]
        task = asyncio.create_task(self.link.run(self._sink))
        try:
            yield self
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.wait([task])
        assert task.cancelled(), task.exception()

    def _sink(self, uplink: Uplink) -> None:
        self.heard.append(uplink)
        self.on_frame(uplink)

    def counted(self, name: str) -> int:
        return self.counters.snapshot().get("links", {}).get(f"ble_{name}", 0)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not condition():  # noqa: ASYNC110 - the conditions are many, and change in one event loop
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"{what}; {self.link.status()} {self.counters.snapshot()}") from None

    def phys(self, address: str | None = None) -> list[bytes]:
        return [uplink.phy for uplink in self.heard if address in (None, uplink.address)]
