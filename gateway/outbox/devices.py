# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the outbox knows of each device: read from its row, kept in memory, changed on copies.

The row has the frame counter too: what a frame brought and that it came are on disk in one commit. Of a device with
many gaps all but the newest of them have rows of their own, by parts (``gaps.Gaps``).
"""

from __future__ import annotations

import struct
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import cbor2

from gateway.outbox import quick_row
from gateway.outbox.quick_row import Row
from gateway.outbox.receipts import NO_GAPS, Held, Verdict
from gateway.quick_record import record
from gateway.sqlite_files import damaged

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from gateway.outbox.gaps import Part
    from gateway.records.reading import Payload, Reading, Unreadable

COLUMNS = "dev_eui, contiguous, runs, readings, gone, unreadable, session, fcnt_up, crc"
_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT = f"INSERT OR REPLACE INTO device ({COLUMNS}) VALUES {_ROW}"  # noqa: S608 - constants
_AT_A_TIME = (64, 32)
"""Rows that go in one statement; the rest, below 32, in one more. For each statement Python hands its lock to the event
loop, and waits for it again, and SQLite begins anew: a row of 11 takes 2.4 us, in statements of 4 and 1 it was 3.2."""
_pack_numbers = struct.Struct("<5q").pack
INSERT_PART = "INSERT OR REPLACE INTO gap (dev_eui, first, data) VALUES (?, ?, ?)"
PARTS = "SELECT first, data FROM gap WHERE dev_eui = ? ORDER BY first"
_DELETE_PART = "DELETE FROM gap WHERE dev_eui = ? AND first = ?"
_MAX_REMEMBERED = 20000
_MAX_REMEMBERED_GAPS = 1_000_000
"""Of all these devices: some bytes each, 10 MB at most. Who was heard longest ago is read from disk again."""
_MAX_UNREADABLE = 1000
"""Unreadable readings kept of one device; above that they are not acknowledged any more."""


@record
class Arrival:
    """What one frame brought."""

    dev_eui: bytes
    payload: Payload
    session: bytes = b""
    """Which of the device's sessions it came in; its counter is kept with what it brought."""
    fcnt_up: int = 0
    """The counter expected after it."""


@dataclass(slots=True)
class DeviceState:
    """One row of the device table."""

    held: Held
    readings: int = 0
    gone: int = 0
    unreadable: int = 0
    session: bytes = b""
    fcnt_up: int = 0

    def copy(self) -> DeviceState:
        """Return one that can change without this one."""
        held = self.held.copy()
        return DeviceState(held, self.readings, self.gone, self.unreadable, self.session, self.fcnt_up)

    def to_row(self, dev_eui: bytes) -> Row:
        """Return the row, in the order of its columns."""
        runs, contiguous, session, fcnt_up = self.held.to_bytes(), self.held.contiguous, self.session, self.fcnt_up
        readings, gone, unreadable = self.readings, self.gone, self.unreadable
        crc = _crc(dev_eui, contiguous, runs, readings, gone, unreadable, session, fcnt_up)
        return (dev_eui, contiguous, runs, readings, gone, unreadable, session, fcnt_up, crc)

    @classmethod
    def of_whole(cls, row: Row) -> DeviceState:
        """Return what ``to_row`` gave of a device without gaps."""
        return cls(Held(row[1]), row[3], row[4], row[5], row[6], row[7])

    @classmethod
    def from_row(cls, row: Sequence[Any], parts: Sequence[tuple[int, bytes]] = ()) -> DeviceState:
        """Return what ``to_row`` and ``held.parts`` gave. Raises ValueError when a bit of it changed."""
        try:
            found = cls(Held.from_row(row[1], row[2], parts), row[3], row[4], row[5], bytes(row[6]), row[7])
            wrong = row[8] is not None and row[8] != _crc(*row[:8])
        except (TypeError, ValueError, struct.error, cbor2.CBORDecodeError) as error:
            raise ValueError(f"the row of a device is not readable: {error}") from error
        if wrong:
            raise ValueError(f"the row of device {bytes(row[0]).hex()} is not what was written")
        return found


def _crc(
    dev_eui: bytes, contiguous: int, runs: bytes, readings: int, gone: int, unreadable: int, session: bytes, fcnt: int
) -> int:
    if session:
        return zlib.crc32(_pack_numbers(contiguous, readings, gone, unreadable, fcnt) + dev_eui + session + runs)
    return zlib.crc32(repr((dev_eui, contiguous, runs, readings, gone, unreadable)).encode())


@dataclass
class Draft:
    """What a batch would change; nothing has changed yet."""

    devices: dict[bytes, DeviceState | Row] = field(default_factory=dict)
    parts: dict[bytes, tuple[Part, ...]] = field(default_factory=dict)
    """Of devices whose gaps may change: the parts that have rows now."""
    fresh: list[Reading] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    duplicates: int = 0
    too_sparse: int = 0
    gone: int = 0


class Devices:
    """The device table with a bounded memory in front."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._remembered: OrderedDict[bytes, DeviceState | Row] = OrderedDict()
        self._gaps = 0
        """Of all that are remembered."""

    def draft(self, arrivals: Sequence[Arrival]) -> Draft:
        """Sort the readings of a batch into new ones and those that are held already."""
        self._forget()  # what batches that failed have left
        draft = Draft()
        devices, fresh = draft.devices, draft.fresh
        for arrival in arrivals:
            dev_eui = arrival.dev_eui
            drafted = devices.get(dev_eui)
            found = drafted or self._known(dev_eui)
            if type(found) is tuple:
                row = quick_row.after(found, arrival)
                if row is not None:
                    devices[dev_eui] = row
                    fresh.append(arrival.payload.readings[0])
                    continue
            state = _state(found)
            if state is not drafted:  # what is remembered stays as it is
                devices[dev_eui] = state = state.copy()
            _take(draft, state, arrival)
        return draft

    def state(self, dev_eui: bytes) -> DeviceState:
        """Return what is held of a device; do not change it."""
        state = _state(self._known(dev_eui))
        self._forget()
        return state

    def _known(self, dev_eui: bytes) -> DeviceState | Row:
        known = self._remembered.get(dev_eui)
        if known is None:
            row = self._db.execute(f"SELECT {COLUMNS} FROM device WHERE dev_eui = ?", (dev_eui,)).fetchone()  # noqa: S608
            parts = self._db.execute(PARTS, (dev_eui,)).fetchall() if row and row[2] != NO_GAPS else []
            try:
                state = DeviceState.from_row(row, parts) if row else DeviceState(Held())
            except ValueError as error:
                raise damaged(self._db, str(error)) from error
            known = self._remembered[dev_eui] = _shortest(dev_eui, state)
            self._gaps += _gaps_of(known)
        else:
            self._remembered.move_to_end(dev_eui)
        return known

    def save(self, draft: Draft, at: float) -> None:
        """Write the rows; part of the caller's transaction. *at*: wall clock, of what cannot be read."""
        rows = [
            each if type(each) is tuple else _state(each).to_row(dev_eui) for dev_eui, each in draft.devices.items()
        ]
        done = 0
        for most in _AT_A_TIME:
            while len(rows) - done >= most:
                self._insert(rows[done : done + most])
                done += most
        if done < len(rows):
            self._insert(rows[done:])
        for dev_eui, before in draft.parts.items():
            now = _state(draft.devices[dev_eui]).held.parts()
            if now != before:
                self._db.executemany(_DELETE_PART, [(dev_eui, part.first) for part in before if part not in now])
                self._db.executemany(INSERT_PART, [(dev_eui, *part) for part in now if part not in before])
        if not draft.unreadable:
            return
        self._db.executemany(
            "INSERT OR REPLACE INTO unreadable VALUES (?, ?, ?, ?, ?)",
            [(each.dev_eui, each.seq, each.raw, each.why, at) for each in draft.unreadable],
        )

    def _insert(self, rows: Sequence[Row]) -> None:
        self._db.execute(_insert_of(len(rows)), list(chain.from_iterable(rows)))

    def keep(self, draft: Draft) -> None:
        """The draft is on disk: it is the truth now."""
        for dev_eui in draft.parts:
            now = draft.devices[dev_eui] = _shortest(dev_eui, draft.devices[dev_eui])
            self._gaps += _gaps_of(now) - _gaps_of(self._remembered[dev_eui])
        self._remembered.update(draft.devices)
        self._forget()

    def _forget(self) -> None:
        """Never between ``draft`` and ``keep``: what a draft began with is remembered until then."""
        while len(self._remembered) > _MAX_REMEMBERED or self._gaps > _MAX_REMEMBERED_GAPS:
            self._gaps -= _gaps_of(self._remembered.popitem(last=False)[1])


@lru_cache(maxsize=128)
def _insert_of(count: int) -> str:
    return f"{INSERT}{f', {_ROW}' * (count - 1)}"


def _state(known: DeviceState | Row) -> DeviceState:
    return DeviceState.of_whole(known) if isinstance(known, tuple) else known


def _shortest(dev_eui: bytes, known: DeviceState | Row) -> DeviceState | Row:
    """Return what is remembered of a device: its row where that says it all."""
    return known if isinstance(known, tuple) or known.held.gaps is not None else known.to_row(dev_eui)


def _gaps_of(known: DeviceState | Row) -> int:
    return 0 if isinstance(known, tuple) or known.held.gaps is None else known.held.gaps.count


def _take(draft: Draft, state: DeviceState, arrival: Arrival) -> None:
    payload = arrival.payload
    if arrival.session:
        state.session, state.fcnt_up = arrival.session, arrival.fcnt_up
    readings = payload.readings
    alone = len(readings) == 1 and payload.oldest is None and not payload.unreadable
    if state.held.gaps is not None and alone and state.held.add_next(readings[0].seq):  # half of the time of _add
        draft.fresh.append(readings[0])
        state.readings += 1
    else:
        draft.parts.setdefault(arrival.dev_eui, state.held.parts())
        _add(draft, state, payload)


def _add(draft: Draft, state: DeviceState, payload: Payload) -> None:
    oldest = payload.oldest
    numbers = [each.seq for each in payload.readings] + [each.seq for each in payload.unreadable]
    if oldest is not None and oldest > state.held.highest and min(numbers, default=oldest) >= oldest:
        _move_base(draft, state, oldest, payload.numbered)  # others' devices: no gap first, which takes 10 us
    for reading in payload.readings:
        if _count(draft, state.held.add(reading.seq)):
            draft.fresh.append(reading)
            state.readings += 1
    for unreadable in payload.unreadable:
        if state.unreadable < _MAX_UNREADABLE and _count(draft, state.held.add(unreadable.seq)):
            draft.unreadable.append(unreadable)
            state.unreadable += 1
    if oldest is not None:
        _move_base(draft, state, oldest, payload.numbered)


def _move_base(draft: Draft, state: DeviceState, oldest: int, numbered: bool) -> None:
    gone = state.held.move_base(oldest)
    gone = gone if numbered else 0  # numbers that no reading ever had
    state.gone += gone
    draft.gone += gone


def _count(draft: Draft, verdict: Verdict) -> bool:
    draft.duplicates += verdict is Verdict.DUPLICATE
    draft.too_sparse += verdict is Verdict.TOO_SPARSE
    return verdict is Verdict.NEW
