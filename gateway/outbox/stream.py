# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The stream of this gateway: records without gaps, each envelope naming the hash of the one before."""

from __future__ import annotations

import os
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
    rows = []
    for start in range(0, len(readings), max_batch):
        batch = readings[start : start + max_batch]
        last = head.next_record + len(batch) - 1
        message = sealer.seal(batch, Position(head.stream_id, head.next_record, last, head.previous))
        sha256 = digest(message)
        cursor = connection.execute(
            "INSERT INTO envelope (stream, first, last, message, digest, previous, rank, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                head.number, head.next_record, last, message, sha256, head.previous,
                max(int(reading.rank) for reading in batch), at_s,
            ),
        )  # fmt: skip
        rows.append(Row(cursor.lastrowid or 0, len(batch), message))
        head = Head(head.number, head.stream_id, last + 1, sha256)
    connection.execute(
        "UPDATE stream SET next_record = ?, previous = ? WHERE number = ?",
        (head.next_record, head.previous, head.number),
    )
    return head, rows
