# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The outbox file: accepts what frames brought, seals it, and keeps it until every platform has it.

One thread at a time. What ``accept`` returns is on disk; until then nothing may be told to a device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import OutboxFull
from gateway.outbox import retention, stream
from gateway.outbox.devices import Devices
from gateway.outbox.schema import SCHEMA
from gateway.sqlite_files import durable, open_database, translated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gateway.clock import Clock
    from gateway.outbox.devices import Arrival
    from gateway.outbox.stream import Head, Sealer

_ROOM_WANTED = 0.95
_PROGRESS_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the outbox holds, and for how long."""

    max_batch: int = 16
    max_bytes: int = 1024**3
    keep_published_s: float = 72 * 3600.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a batch did to the disk."""

    new: int
    duplicates: int
    unreadable: int
    too_sparse: int
    gone: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is held of one device: everything up to *contiguous*, and *above* it these."""

    contiguous: int
    above: list[int]


@dataclass(frozen=True, slots=True)
class Row:
    """One envelope on its way out."""

    row: int
    readings: int
    message: bytes


class Outbox:
    """One SQLite file. Raises StoreUnavailable, StoreCorrupt, OutboxFull; then nothing has changed."""

    def __init__(self, path: Path, seal: Sealer, platforms: Sequence[str], limits: Limits, clock: Clock) -> None:
        self._seal = seal
        self._platforms = tuple(platforms)
        self._limits = limits
        self._clock = clock
        self._progress_at: dict[str, float] = {}
        self._db = open_database(path, SCHEMA, check=False)  # recovery.recover has checked it
        with durable(self._db):
            self._head: Head = stream.open_head(self._db)
        self._devices = Devices(self._db)

    def reconfigure(self, platforms: Sequence[str], limits: Limits) -> None:
        """Go on with other platforms and limits. A new platform gets what the outbox still holds."""
        self._platforms = tuple(platforms)
        self._limits = limits

    @property
    def stream_id(self) -> bytes:
        """The stream that grows, 8 bytes."""
        return self._head.stream_id

    def accept(self, arrivals: Sequence[Arrival]) -> Accepted:
        """Put what is new on disk, in one commit for the whole batch, sealed and in stream order."""
        self._make_room()
        with durable(self._db):
            draft = self._devices.draft(arrivals)
            head = self._head
            if draft.fresh:
                head = stream.append(self._db, head, draft.fresh, self._seal, self._limits.max_batch)
            self._devices.save(draft, self._clock.wall_s())
        self._head = head
        self._devices.keep(draft)
        return Accepted(len(draft.fresh), draft.duplicates, len(draft.unreadable), draft.too_sparse, draft.gone)

    def receipt(self, dev_eui: bytes) -> Receipt:
        """Return what may be told to a device."""
        with translated(self._db):
            held = self._devices.state(dev_eui).held
        return Receipt(held.contiguous, held.above())

    def through(self, platform: str) -> int:
        """Return the id up to which the platform has everything."""
        with translated(self._db):
            return retention.published_through(self._db, [platform])

    def last(self) -> int:
        """Return the id of the newest envelope; 0 when there is none."""
        with translated(self._db):
            return int(self._db.execute("SELECT coalesce(max(id), 0) FROM envelope").fetchone()[0])

    def read(self, after: int, limit: int) -> list[Row]:
        """Return up to *limit* envelopes after id *after*, in order."""
        with translated(self._db):
            rows = self._db.execute(
                "SELECT id, last - first + 1, message FROM envelope WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
            )
            return [Row(*row) for row in rows]

    def published(self, platform: str, through: int, readings: int) -> None:
        """The platform took every envelope up to id *through*; *readings* more than last time."""
        now_s = self._clock.wall_s()
        with durable(self._db):
            self._db.execute(
                "INSERT INTO lane VALUES (?, ?, ?) ON CONFLICT (platform) "
                "DO UPDATE SET through = excluded.through, readings = readings + excluded.readings",
                (platform, through, readings),
            )
            every_s = min(_PROGRESS_EVERY_S, self._limits.keep_published_s / 10)
            if abs(now_s - self._progress_at.get(platform, 0.0)) >= every_s:  # abs: the clock may have been set back
                self._db.execute("INSERT OR REPLACE INTO progress VALUES (?, ?, ?)", (platform, now_s, through))
                self._progress_at[platform] = now_s

    def prune(self) -> int:
        """Delete some of what every platform has had for long enough; return how many envelopes."""
        before_s = self._clock.wall_s() - self._limits.keep_published_s
        with durable(self._db):
            through = retention.published_through(self._db, self._platforms, before_s)
            pruned = retention.prune(self._db, through)
            retention.forget_progress(self._db, before_s)
        with translated(self._db):
            retention.give_back(self._db)
        return pruned

    def used_bytes(self) -> int:
        """Return how much of ``max_bytes`` is in use."""
        with translated(self._db):
            return retention.used_bytes(self._db)

    def close(self) -> None:
        """Close the file. What was committed is on disk already."""
        self._db.close()

    def _make_room(self) -> None:
        used = self.used_bytes()
        if used < self._limits.max_bytes:
            return
        while used >= self._limits.max_bytes * _ROOM_WANTED:
            with durable(self._db):
                pruned = retention.prune(self._db, retention.published_through(self._db, self._platforms))
            if not pruned:
                break
            used = self.used_bytes()
        if used >= self._limits.max_bytes:
            raise OutboxFull(
                f"the outbox holds {used} of {self._limits.max_bytes} bytes, and nothing more of it is published"
            )
