# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A damaged outbox is set aside, never thrown away; what is sound in it goes into a new one, under its old numbers."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cbor2

from gateway.errors import StoreCorrupt
from gateway.outbox.receipts import Held
from gateway.outbox.schema import SCHEMA
from gateway.outbox.stream import begin
from gateway.records.envelope import digest
from gateway.sqlite_files import durable, open_database, set_aside

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

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


def recover(path: Path, platforms: Sequence[str]) -> Recovery | None:
    """Check the outbox at *path*; when it is damaged put a sound one in its place. None when there is nothing to do.

    The new file continues no stream: what follows gets a new stream id, since records may be missing at the end.
    Raises StoreUnavailable.
    """
    try:
        open_database(path, SCHEMA).close()
    except StoreCorrupt as error:
        why = str(error)
    else:
        return None
    return replace_damaged(path, platforms, why)


def replace_damaged(path: Path, platforms: Sequence[str], why: str) -> Recovery:
    """Set the file aside and make a new one of what is sound in it."""
    aside = set_aside(path)
    with closing(open_database(path, SCHEMA)) as sound, durable(sound):
        envelopes, devices = 0, 0
        with suppress(sqlite3.Error), closing(sqlite3.connect(aside, isolation_level=None)) as damaged:
            _copy_streams(damaged, sound)
            devices = _copy_devices(damaged, sound)
            envelopes = _copy_envelopes(damaged, sound, _published(damaged, platforms))
        begin(sound)
    return Recovery(aside, why, envelopes, devices)


def _rows(damaged: sqlite3.Connection, query: str, *values: object) -> Iterator[tuple[object, ...]]:
    """Yield rows until the damage."""
    with suppress(sqlite3.Error):
        yield from damaged.execute(query, values)


def _copy_streams(damaged: sqlite3.Connection, sound: sqlite3.Connection) -> None:
    for row in _rows(damaged, "SELECT number, stream_id, next_record, previous FROM stream"):
        sound.execute("INSERT OR IGNORE INTO stream VALUES (?, ?, ?, ?)", row)


def _copy_devices(damaged: sqlite3.Connection, sound: sqlite3.Connection) -> int:
    copied = 0
    for row in _rows(damaged, "SELECT dev_eui, contiguous, runs, readings, gone, unreadable FROM device"):
        try:
            Held.from_row(int(str(row[1])), bytes(row[2])).above()  # type: ignore[call-overload]
        except (ValueError, TypeError, cbor2.CBORDecodeError):
            continue
        sound.execute("INSERT OR IGNORE INTO device VALUES (?, ?, ?, ?, ?, ?)", row)
        copied += 1
    return copied


def _published(damaged: sqlite3.Connection, platforms: Sequence[str]) -> int:
    found = {row[0]: row[1] for row in _rows(damaged, "SELECT platform, through FROM lane")}
    through = [found.get(platform, 0) for platform in platforms]
    return min((each for each in through if isinstance(each, int)), default=0)


def _copy_envelopes(damaged: sqlite3.Connection, sound: sqlite3.Connection, published: int) -> int:
    """Copy each unpublished row whose message still has its digest. One by one: damage takes single pages."""
    top = next(_rows(damaged, "SELECT seq FROM sqlite_sequence WHERE name = 'envelope'"), (None,))[0]
    last = top if isinstance(top, int) else published + _MAX_MISSES
    copied = 0
    for row in range(published + 1, last + 1):
        query = "SELECT id, stream, first, last, message, digest FROM envelope WHERE id = ?"
        found = next(_rows(damaged, query, row), None)
        if found is None or not isinstance(found[4], bytes) or digest(found[4]) != found[5]:
            continue
        sound.execute("INSERT INTO envelope VALUES (?, ?, ?, ?, ?, ?)", found)
        copied += 1
    return copied
