# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the outbox's tests stand on: readings, an outbox with a transparent sealer, and a clock that jumps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cbor2

from gateway.errors import OutboxFull
from gateway.intake import Intake
from gateway.network.quarantine import Quarantine
from gateway.network.server import NetworkServer
from gateway.operate.counters import Counters
from gateway.outbox.devices import Arrival
from gateway.outbox.lanes import END, Lanes
from gateway.outbox.store import Accepted, Limits, Outbox
from gateway.records.envelope import Ended, Position, digest
from gateway.records.reading import Payload, Reading, Unreadable

PLATFORMS = ("city",)


@dataclass
class TestClock:
    """A wall clock that a test sets, and a monotonic one that it moves."""

    __test__ = False
    wall: float = 1_790_000_000.0
    monotonic: float = 0.0

    def wall_s(self) -> float:
        return self.wall

    def monotonic_s(self) -> float:
        return self.monotonic

    def sleep(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


def device(number: int) -> bytes:
    return number.to_bytes(8, "big")


def reading(number: int, seq: int) -> Reading:
    return Reading(device(number), seq, "street_light", 1_790_000_000 + seq, "device", {"power_w": seq}, 0.0)


def arrival(number: int, *seqs: int, oldest: int | None = None, bad: Sequence[int] = ()) -> Arrival:
    unreadable = tuple(Unreadable(device(number), seq, b"\xa0", "test") for seq in bad)
    return Arrival(device(number), Payload(tuple(reading(number, seq) for seq in seqs), unreadable, oldest))


@dataclass
class Disk:
    """An outbox that can be full."""

    outbox: Outbox
    full: bool = False

    def accept(self, arrivals: list[Arrival]) -> Accepted:
        if self.full:
            raise OutboxFull("the outbox is full")
        return self.outbox.accept(arrivals)

    def __getattr__(self, name: str) -> object:
        return getattr(self.outbox, name)

    def intake(self, server: NetworkServer, counters: Counters, quarantine: Quarantine) -> Intake:
        """What takes frames of *server* and stores here."""
        stands_in: Outbox = self  # type: ignore[assignment]
        return Intake(server, stands_in, counters, quarantine)


class Sealer:
    """A sealer that hides nothing: the position, and (device, seq) of each reading, or why they were lost."""

    def seal(self, readings: Sequence[Reading], position: Position) -> bytes:
        return _sealed(position, [[each.dev_eui, each.seq] for each in readings])

    def loss(self, position: Position, tail: bytes, why: str) -> bytes:
        return _sealed(position, [tail, why])

    def ended(self, position: Position, ended: Ended) -> bytes:
        return _sealed(position, [ended.stream_id, ended.last, ended.saved, ended.lost])


def _sealed(position: Position, content: object) -> bytes:
    where = [position.stream_id, position.first, position.last, position.previous]
    sealed: bytes = cbor2.dumps([where, content])
    return sealed


def took(outbox: Outbox, through: int, readings: int) -> None:
    """The platform has everything up to an id."""
    outbox.published("city", Lanes([[through, END]]), readings)


def open_outbox(path: Path, clock: TestClock | None = None, **limits: object) -> Outbox:
    return Outbox(path, Sealer(), PLATFORMS, Limits(**limits), clock or TestClock())  # type: ignore[arg-type]


def published(outbox: Outbox) -> list[tuple[bytes, int]]:
    """Everything in the outbox as a platform sees it; checks numbers and chain of each stream on the way."""
    found: list[tuple[bytes, int]] = []
    heads: dict[bytes, tuple[int, bytes]] = {}
    for row in outbox.read(0, 1_000_000):
        (stream_id, first, last, previous), readings = cbor2.loads(row.message)
        assert (first, previous) == heads.get(stream_id, (1, b"")), "the chain is broken"
        heads[stream_id] = (last + 1, digest(row.message))
        if not row.readings and first == last:  # the notice that another stream ended
            continue
        assert last - first + 1 == len(readings) == row.readings
        found += [(dev_eui, seq) for dev_eui, seq in readings]
    return found
