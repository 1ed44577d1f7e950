# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A damaged outbox is set aside, never thrown away; what is sound in it goes into a new one, under its old numbers."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import StoreCorrupt
from gateway.outbox import endings
from gateway.outbox.devices import COLUMNS, INSERT, INSERT_PART, PARTS, DeviceState
from gateway.outbox.lanes import END, Lanes
from gateway.outbox.schema import LOSS, prepare
from gateway.outbox.stream import begin
from gateway.records.envelope import digest
from gateway.sqlite_files import damaged, durable, open_database, set_aside, translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gateway.records.envelope import Ended

_MAX_MISSES = 10000
"""Ids tried beyond the last sound row when the file cannot say how far it goes."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was done about a damaged outbox."""

    kept_as: Path
    why: str
    envelopes: int
    """Sound envelopes that go on to the platforms."""
    devices: int
    """Devices whose receipts go on where they were; the others tell their oldest reading with the next request."""
    ended: Ended
    """What is known of the stream that ends; the first notice of the new one says so."""

    def fields(self) -> dict[str, object]:
        """Return what the log says of it."""
        return {
            "why": self.why,
            "kept_as": self.kept_as,
            "envelopes_saved": self.envelopes,
            "devices_saved": self.devices,
            "stream_ended": self.ended.stream_id,
            "last_record": self.ended.last,
            "records_lost": self.ended.lost,
            "effect": "a new stream begins with a signed notice of where the old one ended",
        }


def recover(path: Path, platforms: Sequence[str]) -> Recovery | None:
    """Check the outbox at *path*; when it is damaged put a sound one in its place. None when there is nothing to do.

    The new file continues no stream: what follows gets a new stream id, since records may be missing at the end, and
    begins with a notice that says which stream ended, and where.
    Raises StoreUnavailable.
    """
    try:
        with closing(open_database(path, prepare)) as connection, translated(connection):
            _check_meaning(connection)
    except StoreCorrupt as error:
        why = str(error)
    else:
        return None
    return replace_damaged(path, platforms, why)


def _check_meaning(connection: sqlite3.Connection) -> None:
    """Find what SQLite's own check cannot: numbers that were changed. Raises StoreCorrupt."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        prepare(fresh)
        if _columns(connection) != _columns(fresh):
            raise damaged(connection, "its tables are not those of an outbox")
    head = connection.execute(
        "SELECT number, next_record, previous FROM stream ORDER BY number DESC LIMIT 1"
    ).fetchone()
    newest = connection.execute(
        "SELECT stream, last, digest, tail, rank FROM envelope ORDER BY id DESC LIMIT 1"
    ).fetchone()
    if head is not None and newest is not None and newest[0] == head[0]:
        tail = newest[3] if newest[4] == LOSS else newest[2]
        if (newest[1] + 1, tail) != head[1:]:
            raise damaged(connection, "the stream does not go on where its newest envelope ends")
    for platform, through, waiting in connection.execute("SELECT platform, through, waiting FROM lane"):
        try:
            sound = not waiting or Lanes.from_bytes(waiting).through == through
        except ValueError:
            sound = False
        if not sound:
            raise damaged(connection, f"the note of what {platform!r} took contradicts itself")


def _columns(connection: sqlite3.Connection) -> dict[str, set[str]]:
    tables = [str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {
        table: {row[1] for row in connection.execute("SELECT * FROM pragma_table_info(?)", (table,))}
        for table in tables
        if table != "sqlite_sequence"
    }


def replace_damaged(path: Path, platforms: Sequence[str], why: str) -> Recovery:
    """Set the file aside and make a new one of what is sound in it."""
    aside = set_aside(path)
    with closing(open_database(path, prepare)) as sound, durable(sound):
        envelopes, devices, ended = 0, 0, None
        with suppress(sqlite3.Error, UnicodeDecodeError), closing(sqlite3.connect(aside, isolation_level=None)) as old:
            _copy_streams(old, sound)
            devices = _copy_devices(old, sound)
            lanes = _copy_lanes(old, sound)
            published = min((lanes[each].through if each in lanes else 0 for each in platforms), default=0)
            envelopes = _copy_envelopes(old, sound, published)
            _skip_ids(sound, lanes)
            ended = endings.note(old, sound, published)
        begin(sound)
        ended = ended or endings.note(None, sound, 0)
    return Recovery(aside, why, envelopes, devices, ended)


def _rows(old: sqlite3.Connection, query: str, *values: object) -> Iterator[tuple[object, ...]]:
    """Yield rows until the damage."""
    with suppress(sqlite3.Error, UnicodeDecodeError):
        yield from old.execute(query, values)


def _copy_streams(old: sqlite3.Connection, sound: sqlite3.Connection) -> None:
    for row in _rows(old, "SELECT number, stream_id, next_record, previous FROM stream"):
        sound.execute("INSERT OR IGNORE INTO stream VALUES (?, ?, ?, ?)", row)


def _copy_devices(old: sqlite3.Connection, sound: sqlite3.Connection) -> int:
    copied = 0
    columns = COLUMNS if _has_column(old, "device", "crc") else COLUMNS.replace("crc", "NULL")
    if not _has_column(old, "device", "session"):
        columns = columns.replace("session, fcnt_up", "x'', 0")
    for row in _rows(old, f"SELECT {columns} FROM device"):  # noqa: S608 - constants
        try:
            state = DeviceState.from_row(row, list(_rows(old, PARTS, row[0])))  # type: ignore[arg-type]
        except ValueError:
            continue
        sound.execute(INSERT, state.to_row(row[0]))  # type: ignore[arg-type]
        sound.executemany(INSERT_PART, [(row[0], *part) for part in state.held.parts()])
        copied += 1
    return copied


def _copy_lanes(old: sqlite3.Connection, sound: sqlite3.Connection) -> dict[str, Lanes]:
    """Copy what each platform waits for; one whose row is damaged gets everything that is there again."""
    lanes: dict[str, Lanes] = {}
    spans = "waiting" if _has_column(old, "lane", "waiting") else "x''"
    for platform, through, readings, waiting in _rows(
        old,
        f"SELECT platform, through, readings, {spans} FROM lane",  # noqa: S608 - one of two
    ):
        if not (isinstance(platform, str) and isinstance(through, int) and isinstance(waiting, bytes)):
            continue
        try:
            found = Lanes.from_bytes(waiting) if waiting else Lanes([[through, END]])
        except ValueError:
            continue
        lanes[platform] = found
        sound.execute(
            "INSERT INTO lane (platform, through, readings, waiting) VALUES (?, ?, ?, ?)",
            (platform, found.through, readings if isinstance(readings, int) else 0, found.to_bytes()),
        )
    for (seconds,) in _rows(old, "SELECT seconds FROM ran"):
        if isinstance(seconds, float):
            sound.execute("INSERT OR IGNORE INTO ran VALUES (1, ?)", (seconds,))
    return lanes


def _has_column(old: sqlite3.Connection, table: str, column: str) -> bool:
    return any(row[1] == column for row in _rows(old, f"PRAGMA table_info({table})"))


def _skip_ids(sound: sqlite3.Connection, lanes: dict[str, Lanes]) -> None:
    """New envelopes get ids above all that a platform ever took: else it would look as if it had them."""
    taken = [edge for each in lanes.values() for edge in each.edges() if edge != END]
    used = [sound.execute("SELECT coalesce(max(id), 0) FROM envelope").fetchone()[0], *taken]
    sound.execute("DELETE FROM sqlite_sequence WHERE name = 'envelope'")
    sound.execute("INSERT INTO sqlite_sequence VALUES ('envelope', ?)", (max(used),))


def _copy_envelopes(old: sqlite3.Connection, sound: sqlite3.Connection, published: int) -> int:
    """Copy each unpublished row whose message still has its digest. One by one: damage takes single pages."""
    top = next(_rows(old, "SELECT seq FROM sqlite_sequence WHERE name = 'envelope'"), (None,))[0]
    last = top if isinstance(top, int) else published + _MAX_MISSES
    copied = 0
    newer = ", rank, at, previous, tail" if _has_column(old, "envelope", "rank") else ", 0, 0, x'', x''"
    query = f"SELECT id, stream, first, last, message, digest{newer} FROM envelope WHERE id = ?"  # noqa: S608
    try:
        old.execute(query + " LIMIT 0", (0,))
    except (sqlite3.Error, UnicodeDecodeError):
        return 0  # where the schema cannot be read, no row can: one error, not ten thousand
    for row in range(published + 1, last + 1):
        found = next(_rows(old, query, row), None)
        if found is None or not isinstance(found[4], bytes) or digest(found[4]) != found[5]:
            continue
        sound.execute("INSERT INTO envelope VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", found)
        copied += 1
    return copied
