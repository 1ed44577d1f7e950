# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Signed receipts of a platform: what it holds may go, what it lacks although a broker took it is sent again.

A broker's PUBACK says that the broker has a message. Only the platform's receipt says that the platform has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import cbor2

from gateway.errors import UnknownStream, WrongReceipt

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

Ranges = tuple[tuple[int, int], ...]
_ROWS_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class Held:
    """What a platform says it holds of one stream: ranges of record numbers, lowest first.

    *digest* is that of the envelope that ends the first range; empty where none does.
    """

    stream_id: bytes
    ranges: Ranges
    digest: bytes


def take(connection: sqlite3.Connection, platform: str, held: Held) -> None:
    """Keep what a receipt says. Raises WrongReceipt when the platform holds what we never said.

    The caller holds the transaction.
    """
    row = connection.execute("SELECT number, next_record FROM stream WHERE stream_id = ?", (held.stream_id,)).fetchone()
    if row is None:
        raise UnknownStream(f"no stream {held.stream_id.hex()} ever left this gateway")
    number, next_record = row
    if held.ranges and held.ranges[-1][1] >= next_record:
        raise WrongReceipt(f"record {held.ranges[-1][1]} is receipted, and the stream ends before {next_record}")
    if held.ranges and held.digest:
        query = "SELECT digest FROM envelope WHERE stream = ? AND last = ? AND id > ? LIMIT 1"
        found = connection.execute(query, (number, held.ranges[0][1], _through(connection, platform))).fetchone()
        if found is not None and found[0] != held.digest:
            raise WrongReceipt(f"record {held.ranges[0][1]} is receipted with another digest than the one that left")
    before = _held(connection, platform).get(number, ())
    if not all(_covered(held.ranges, first, last) for first, last in before):
        # It holds less than it did: restored from a backup, perhaps. What is still here may be sent again.
        connection.execute("DELETE FROM receipted_through WHERE platform = ?", (platform,))
    connection.execute(
        "INSERT INTO receipted (platform, stream, held) VALUES (?, ?, ?) ON CONFLICT (platform, stream) "
        "DO UPDATE SET held = excluded.held",
        (platform, number, cbor2.dumps(held.ranges)),
    )
    _advance(connection, platform)


def through(connection: sqlite3.Connection, platform: str) -> int:
    """Return the id up to which a platform has receipted everything."""
    return _through(connection, platform)


def lacking(connection: sqlite3.Connection, platform: str, upto: int) -> list[int]:
    """Return some of the oldest envelopes, up to id *upto*, that lie below what the platform holds and are not held.

    What lies above its highest record may still be on its way.
    """
    held = _held(connection, platform)
    tops = {stream: ranges[-1][1] for stream, ranges in held.items() if ranges}
    found: list[int] = []
    for row, stream, first, last in _after(connection, _through(connection, platform), _ROWS_AT_A_TIME):
        if row > upto or len(found) >= _ROWS_AT_A_TIME:
            break
        if last < tops.get(stream, 0) and not _covered(held.get(stream, ()), first, last):
            found.append(row)
    return found


def gone(connection: sqlite3.Connection, platform: str) -> int:
    """Return how many records a platform lacks, between some that it holds, that are not here any more."""
    lost = 0
    for stream, ranges in _held(connection, platform).items():
        row = connection.execute("SELECT min(first) FROM envelope WHERE stream = ?", (stream,)).fetchone()
        for (_, before), (after, _) in pairwise(ranges):
            end = after - 1 if row[0] is None else min(after - 1, row[0] - 1)
            lost += max(0, end - before)
    return lost


def _advance(connection: sqlite3.Connection, platform: str) -> None:
    held = _held(connection, platform)
    at = begun = _through(connection, platform)
    while rows := _after(connection, at, _ROWS_AT_A_TIME):
        for row, stream, first, last in rows:
            if not _covered(held.get(stream, ()), first, last):
                rows = []
                break
            at = row
        if not rows:
            break
    if at > begun:
        connection.execute(
            "INSERT INTO receipted_through (platform, through) VALUES (?, ?) ON CONFLICT (platform) "
            "DO UPDATE SET through = excluded.through",
            (platform, at),
        )


def _covered(ranges: Sequence[Sequence[int]], first: int, last: int) -> bool:
    return any(begin <= first and last <= end for begin, end in ranges)


def _held(connection: sqlite3.Connection, platform: str) -> dict[int, Ranges]:
    rows = connection.execute("SELECT stream, held FROM receipted WHERE platform = ?", (platform,))
    return {stream: tuple((first, last) for first, last in cbor2.loads(held)) for stream, held in rows}


def _through(connection: sqlite3.Connection, platform: str) -> int:
    row = connection.execute("SELECT through FROM receipted_through WHERE platform = ?", (platform,)).fetchone()
    return int(row[0]) if row else 0


def _after(connection: sqlite3.Connection, row: int, limit: int) -> list[tuple[int, int, int, int]]:
    query = "SELECT id, stream, first, last FROM envelope WHERE id > ? ORDER BY id LIMIT ?"
    return connection.execute(query, (row, limit)).fetchall()
