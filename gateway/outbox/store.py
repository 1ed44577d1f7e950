# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The outbox file: accepts what frames brought, seals it, and keeps it until every platform has it.

One thread at a time. What ``accept`` returns is on disk; until then nothing may be told to a device.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gateway.errors import CannotSign, OutboxFull
from gateway.outbox import endings, losses, receipted, retention, stream
from gateway.outbox.age import AgeClock
from gateway.outbox.devices import Devices
from gateway.outbox.lanes import END, Lanes
from gateway.outbox.schema import LOSS, prepare
from gateway.outbox.stream import Row
from gateway.records.envelope import digest
from gateway.sqlite_files import damaged, durable, open_database, translated, unhurried

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gateway.clock import Clock
    from gateway.outbox.devices import Arrival
    from gateway.outbox.stream import Head, Sealer

__all__ = ["Accepted", "Limits", "Outbox", "Receipt", "Row"]

_ROOM_WANTED = 0.95
"""Of ``max_bytes`` at most is in use after pruning; what is published goes sooner for that."""
_ROWS_FOR_ROOM = 500
"""That go in one commit when readings wait for room."""
_PROGRESS_EVERY_S = 60.0
_ARRIVAL_BYTES = 16384
"""More than one frame's payload can become on disk, at most 255 bytes as they are on air, with all indices."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the outbox holds, and for how long."""

    max_batch: int = 16
    max_bytes: int = 1024**3
    keep_published_s: float = 72 * 3600.0
    when_full: Literal["refuse", "drop"] = "refuse"
    """Of what no platform took: take nothing more, or give up the lowest rank to make room."""
    max_age_s: float = 0.0
    """How long that may wait, in seconds of use; 0: for ever."""
    receipts_from: frozenset[str] = frozenset()
    """Platforms that sign for what they hold: what they have not signed for stays, what they have may go."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a batch did to the disk."""

    new: int
    duplicates: int
    unreadable: int
    too_sparse: int
    gone: int
    rows: Sequence[Row]
    """The envelopes that it became."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is held of one device: everything up to *contiguous*, and *above* it these."""

    contiguous: int
    above: list[int]


class Outbox:
    """One SQLite file. Raises StoreUnavailable, StoreCorrupt, OutboxFull; then nothing has changed."""

    def __init__(self, path: Path, sealer: Sealer, platforms: Sequence[str], limits: Limits, clock: Clock) -> None:
        self._sealer = sealer
        self._platforms = tuple(platforms)
        self._limits = limits
        self._clock = clock
        self._progress_at: dict[str, float] = {}
        self._edges: dict[str, set[int]] = {}
        self._may_use = limits.max_bytes
        """So many bytes are in use at most; from ``max_bytes`` on it is worth asking."""
        self._refused: set[str] = set()
        """Platforms that may not have anything now."""
        self._db = open_database(path, prepare, check=False)  # recovery.recover has checked it
        with durable(self._db):
            self._head: Head = stream.open_head(self._db)
            self._age = AgeClock(self._db, clock)
            self._untold = endings.untold(self._db)
        self._devices = Devices(self._db)
        self._tell_of_ended()
        self.given_up = 0
        """Readings that were dropped unpublished since the start."""

    def reconfigure(self, platforms: Sequence[str], limits: Limits) -> None:
        """Go on with other platforms and limits. A new platform gets what the outbox still holds."""
        self._platforms = tuple(platforms)
        self._limits = limits
        self._may_use = max(self._may_use, limits.max_bytes)

    @property
    def stream_id(self) -> bytes:
        """The stream that grows, 8 bytes."""
        return self._head.stream_id

    def _tell_of_ended(self) -> None:
        """Say that an older stream ended, before anything is said in this one; later where nothing can be signed."""
        if self._untold:
            with suppress(CannotSign), durable(self._db):
                head, _ = endings.tell(self._db, self._head, self._sealer, self._age.now_s())
                self._age.save(self._db)
                self._head, self._untold = head, False

    def accept(self, arrivals: Sequence[Arrival]) -> Accepted:
        """Put what is new on disk, in one commit for the whole batch, sealed and in stream order."""
        self._make_room(len(arrivals) * _ARRIVAL_BYTES)
        with durable(self._db):
            draft = self._devices.draft(arrivals)
            head, rows, said = self._head, list[Row](), list[Row]()
            at_s = self._age.now_s()
            if self._untold:
                head, said = endings.tell(self._db, head, self._sealer, at_s)
            if draft.fresh:
                head, rows = stream.append(self._db, head, draft.fresh, self._sealer, self._limits.max_batch, at_s)
            self._devices.save(draft, self._clock.wall_s())
            saved_s = self._age.save(self._db)
        self._age.saved(saved_s)
        self._head, self._untold, rows = head, False, [*said, *rows] if said else rows
        self._devices.keep(draft)
        return Accepted(len(draft.fresh), draft.duplicates, len(draft.unreadable), draft.too_sparse, draft.gone, rows)

    def receipt(self, dev_eui: bytes) -> Receipt:
        """Return what may be told to a device."""
        with translated(self._db):
            held = self._devices.state(dev_eui).held
        return Receipt(held.contiguous, held.above())

    def counter(self, dev_eui: bytes) -> tuple[bytes, int]:
        """Return the session of a device's last frame that brought something, and the counter expected after it."""
        with translated(self._db):
            state = self._devices.state(dev_eui)
        return state.session, state.fcnt_up

    def lanes(self, platform: str) -> Lanes:
        """Return what a platform waits for."""
        with translated(self._db):
            row = self._db.execute("SELECT through, waiting FROM lane WHERE platform = ?", (platform,)).fetchone()
        if row is None:
            return Lanes()
        try:
            return Lanes.from_bytes(row[1]) if row[1] else Lanes([[row[0], END]])
        except ValueError as error:
            raise damaged(self._db, str(error)) from error

    def keep_apart(self, platform: str, edges: set[int]) -> None:
        """Where a platform's spans begin and end in memory: the note on disk may be older."""
        self._edges[platform] = edges

    def refuse(self, platform: str, refused: bool) -> None:
        """Whether a platform may not have anything now: then what only it waits for is given up before all else."""
        (self._refused.add if refused else self._refused.discard)(platform)

    def last(self) -> int:
        """Return the id of the newest envelope; 0 when there is none."""
        with translated(self._db):
            return int(self._db.execute("SELECT coalesce(max(id), 0) FROM envelope").fetchone()[0])

    def read(self, after: int, limit: int, upto: int = END) -> list[Row]:
        """Return up to *limit* envelopes after id *after*, in order."""
        with translated(self._db):
            rows = self._db.execute(
                "SELECT id, CASE WHEN rank >= ? THEN 0 ELSE last - first + 1 END, message, digest FROM envelope "
                "WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
                (LOSS, after, upto, limit),
            )
            return [self._sound(*row) for row in rows]

    def _sound(self, row: int, readings: int, message: bytes, sha256: bytes) -> Row:
        if digest(message) != sha256:
            raise damaged(self._db, f"envelope {row} is not what was written")
        return Row(row, readings, message)

    def published(self, platform: str, lanes: Lanes, readings: int) -> None:
        """The platform waits only for *lanes* now; it took *readings* more than last time."""
        now_s = self._age.now_s()
        with durable(self._db):
            self._db.execute(
                "INSERT INTO lane (platform, through, readings, waiting) VALUES (?, ?, ?, ?) ON CONFLICT (platform) "
                "DO UPDATE SET through = excluded.through, readings = readings + excluded.readings, "
                "waiting = excluded.waiting",
                (platform, lanes.through, readings, lanes.to_bytes()),
            )
            every_s = min(_PROGRESS_EVERY_S, self._limits.keep_published_s / 10)
            if now_s - self._progress_at.get(platform, -every_s) >= every_s:
                self._db.execute("INSERT OR REPLACE INTO progress VALUES (?, ?, ?)", (platform, now_s, lanes.through))
                self._progress_at[platform] = now_s
            saved_s = self._age.save(self._db)
        self._age.saved(saved_s)

    def published_soon(self, platform: str, lanes: Lanes, readings: int) -> None:
        """As ``published``, without a wait for the disk: until the next commit a power cut may take the note back."""
        with unhurried(self._db):
            self.published(platform, lanes, readings)

    def published_meanwhile(self, noted: Mapping[str, tuple[Lanes, int]]) -> None:
        """Note what platforms took while nothing could be written."""
        for platform, (lanes, readings) in noted.items():
            self.published(platform, lanes, readings)

    def prune(self) -> int:
        """Delete some of what every platform has had for long enough, and give up what is too old; return how many.

        Where room is scarce that is what every platform has, so that no reading has to wait until there is some.
        Until the next commit a power cut may bring back what was deleted.
        """
        now_s = self._age.now_s()
        before_s = now_s - self._limits.keep_published_s
        with unhurried(self._db), durable(self._db):
            crowded = retention.used_bytes(self._db) >= self._limits.max_bytes * _ROOM_WANTED
            through = self._free_through(None if crowded else before_s)
            pruned = retention.prune(self._db, through)
            retention.forget_progress(self._db, before_s)
        if self._limits.max_age_s:
            pruned += self._give_up("too_old", now_s - self._limits.max_age_s)
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

    def take_receipt(self, platform: str, held: receipted.Held) -> None:
        """A platform signed for what it holds. Raises WrongReceipt; then nothing has changed."""
        with durable(self._db):
            receipted.take(self._db, platform, held)

    def lacking(self, platform: str, upto: int) -> list[int]:
        """Return some envelopes up to id *upto* that a platform does not hold although it holds later ones."""
        with translated(self._db):
            return receipted.lacking(self._db, platform, upto)

    def gone(self, platform: str) -> int:
        """Return how many records a platform lacks that are not here any more."""
        with translated(self._db):
            return receipted.gone(self._db, platform)

    def _free_through(self, before_s: float | None) -> int:
        """Return the id up to which nobody needs anything any more."""
        signing = [each for each in self._platforms if each in self._limits.receipts_from]
        others = [each for each in self._platforms if each not in self._limits.receipts_from]
        found = [receipted.through(self._db, each) for each in signing]
        if others:
            found.append(retention.published_through(self._db, others, before_s))
        return min(found, default=0)

    def _wanting(self, platform: str) -> Lanes:
        """Return what a platform must not lose without a word."""
        if platform not in self._limits.receipts_from:
            return self.lanes(platform)
        with translated(self._db):
            return Lanes([[receipted.through(self._db, platform), END]])

    def _make_room(self, coming_bytes: int) -> None:
        self._may_use += coming_bytes
        if self._may_use < self._limits.max_bytes:  # far from full: to ask each time costs a tenth of a small batch
            return
        used = self.used_bytes()
        self._may_use = used + coming_bytes
        if used < self._limits.max_bytes:
            return
        while used >= self._limits.max_bytes * _ROOM_WANTED:
            with durable(self._db):
                made = retention.prune(self._db, self._free_through(None), _ROWS_FOR_ROOM)
            if not made and self._limits.when_full == "drop":
                made = self._give_up("outbox_full", None)
            if not made:
                break
            used = self.used_bytes()
        if used >= self._limits.max_bytes:
            raise OutboxFull(
                f"the outbox holds {used} of {self._limits.max_bytes} bytes, and nothing more of it is published"
            )

    def _give_up(self, why: losses.Why, before_s: float | None) -> int:
        """Return how many envelopes are not there any more."""
        lanes = {platform: self._wanting(platform) for platform in self._platforms}
        through = min((each.through for each in lanes.values()), default=0)
        served = (each.through for platform, each in lanes.items() if platform not in self._refused)
        spare = min(served, default=0) if self._refused else 0
        with durable(self._db):
            old = (
                losses.lowest(self._db, spare)
                if before_s is None
                else losses.stored_before(self._db, before_s, through)
            )
            edges = set[int]().union(*self._edges.values())
            lost = losses.give_up(self._db, old, lanes, edges, self._sealer, why) if old else 0
        self.given_up += lost
        return len(old)
