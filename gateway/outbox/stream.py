# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The stream of this gateway: records without gaps, each envelope naming the hash of the one before."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.records.envelope import Position, digest
from gateway.records.reading import Reading

if TYPE_CHECKING:
    import sqlite3

_STREAM_ID_BYTES = 8

Sealer = Callable[[Sequence[Reading], Position], bytes]
"""Makes one signed message of some readings."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where the stream goes on."""

    number: int
    stream_id: bytes
    next_record: int
    previous: bytes


def open_head(connection: sqlite3.Connection) -> Head:
    """Return the head of the newest stream, or begin the first. The caller holds the transaction."""
    row = connection.execute(
        "SELECT number, stream_id, next_record, previous FROM stream ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return Head(*row) if row else begin(connection)


def begin(connection: sqlite3.Connection) -> Head:
    """Begin a new stream after those that there are. The caller holds the transaction."""
    stream_id = os.urandom(_STREAM_ID_BYTES)
    cursor = connection.execute(
        "INSERT INTO stream (stream_id, next_record, previous) VALUES (?, 1, x'')", (stream_id,)
    )
    return Head(cursor.lastrowid or 0, stream_id, 1, b"")


def append(
    connection: sqlite3.Connection, head: Head, readings: Sequence[Reading], seal: Sealer, max_batch: int
) -> Head:
    """Number, seal and insert the readings; return the new head. The caller holds the transaction."""
    for start in range(0, len(readings), max_batch):
        batch = readings[start : start + max_batch]
        last = head.next_record + len(batch) - 1
        message = seal(batch, Position(head.stream_id, head.next_record, last, head.previous))
        sha256 = digest(message)
        connection.execute(
            "INSERT INTO envelope (stream, first, last, message, digest) VALUES (?, ?, ?, ?, ?)",
            (head.number, head.next_record, last, message, sha256),
        )
        head = Head(head.number, head.stream_id, last + 1, sha256)
    connection.execute(
        "UPDATE stream SET next_record = ?, previous = ? WHERE number = ?",
        (head.next_record, head.previous, head.number),
    )
    return head
