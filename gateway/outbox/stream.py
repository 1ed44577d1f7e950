# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The stream of this gateway: records without gaps, each envelope naming the hash of the one before."""

from __future__ import annotations

import os
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from gateway.quick_record import record
from gateway.records.envelope import Position, digest
from gateway.sqlite_files import damaged

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from gateway.records.envelope import Ended
    from gateway.records.reading import Reading

_STREAM_ID_BYTES = 8
_AT_A_TIME = 16
"""Envelopes that go in one statement."""


class Sealer(Protocol):
    """Makes signed messages. Raises CannotSign."""

    def seal(self, readings: Sequence[Reading], position: Position) -> bytes:
        """Return one message of some readings."""

    def loss(self, position: Position, tail: bytes, why: str) -> bytes:
        """Return a notice that the records of *position* are lost; *tail* is the digest of the last envelope."""

    def ended(self, position: Position, ended: Ended) -> bytes:
        """Return a notice, the record of *position*, that another stream ended."""


@record
class Head:
    """Where the stream goes on."""

    number: int
    stream_id: bytes
    next_record: int
    previous: bytes


@record
class Row:
    """One envelope on its way out."""

    row: int
    readings: int
    """How many it carries; 0 for a notice."""
    message: bytes


def open_head(connection: sqlite3.Connection) -> Head:
    """Return the head of the newest stream, or begin the first, in the caller's transaction. Raises StoreCorrupt."""
    row = connection.execute(
        "SELECT number, stream_id, next_record, previous FROM stream ORDER BY number DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return begin(connection)
    number, stream_id, next_record, previous = row
    sound = isinstance(number, int) and isinstance(next_record, int) and isinstance(previous, bytes)
    if not sound or not isinstance(stream_id, bytes) or len(stream_id) != _STREAM_ID_BYTES:
        raise damaged(connection, "the head of the stream is not what was written")
    return Head(number, stream_id, next_record, previous)


def begin(connection: sqlite3.Connection) -> Head:
    """Begin a new stream after those that there are. The caller holds the transaction."""
    stream_id = os.urandom(_STREAM_ID_BYTES)
    cursor = connection.execute(
        "INSERT INTO stream (stream_id, next_record, previous) VALUES (?, 1, x'')", (stream_id,)
    )
    return Head(cursor.lastrowid or 0, stream_id, 1, b"")


def append(
    connection: sqlite3.Connection, head: Head, readings: Sequence[Reading], sealer: Sealer, max_batch: int, at_s: float
) -> tuple[Head, list[Row]]:
    """Number, seal and insert the readings; return the new head and the rows. The caller holds the transaction."""
    first, previous = head.next_record, head.previous
    inserted: list[tuple[object, ...]] = []
    sealed: list[tuple[int, bytes]] = []
    for start in range(0, len(readings), max_batch):
        batch = readings[start : start + max_batch]
        last = first + len(batch) - 1
        message = sealer.seal(batch, Position(head.stream_id, first, last, previous))
        sha256 = digest(message)
        rank = max([reading.rank for reading in batch])
        inserted.append((head.number, first, last, message, sha256, previous, int(rank), at_s))
        sealed.append((len(batch), message))
        first, previous = last + 1, sha256
    ids = _insert(connection, inserted)
    rows = [Row(row, count, message) for row, (count, message) in zip(ids, sealed, strict=True)]
    head = Head(head.number, head.stream_id, first, previous)
    connection.execute(
        "UPDATE stream SET next_record = ?, previous = ? WHERE number = ?",
        (head.next_record, head.previous, head.number),
    )
    return head, rows


def _insert(connection: sqlite3.Connection, envelopes: Sequence[Sequence[object]]) -> list[int]:
    """Insert some envelopes, several in one statement; return their ids, which have no gaps (AUTOINCREMENT)."""
    ids: list[int] = []
    for start in range(0, len(envelopes), _AT_A_TIME):
        some = envelopes[start : start + _AT_A_TIME]
        last = connection.execute(_insert_of(len(some)), list(chain.from_iterable(some))).lastrowid or 0
        ids += range(last - len(some) + 1, last + 1)
    return ids


@lru_cache(maxsize=_AT_A_TIME)
def _insert_of(count: int) -> str:
    rows = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?)"] * count)
    return f"INSERT INTO envelope (stream, first, last, message, digest, previous, rank, at) VALUES {rows}"  # noqa: S608
