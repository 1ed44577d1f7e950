# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A stream that damage ended: what is known of it, noted with its rescue and told, signed, before anything else.

The notice is the first record of the next stream, so the chain and the receipts of platforms hold it like a reading.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

from gateway.outbox.schema import ENDED, LOSS
from gateway.outbox.stream import Head, Row
from gateway.records.envelope import Ended, Position, digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.outbox.stream import Sealer

_MAX_BATCH = 256
"""Records in one envelope, at most (gateway.config)."""
_STREAM_ID_BYTES = 8
_COVERED = "SELECT coalesce(sum(last - first + 1), 0), max(last), max(id) FROM envelope WHERE stream = ?"


def note(old: sqlite3.Connection | None, sound: sqlite3.Connection, published: int) -> Ended:
    """Write down, in the rescued file *sound*, what is known of the stream that ends. The caller holds the transaction.

    *old*: the damaged file, where it can be opened; *published*: up to which id every platform has everything.
    """
    if old is not None:
        _copy_untold(old, sound, published)
    ended = _known(old, sound, published)
    sound.execute(
        "INSERT INTO ended (stream_id, last, saved, lost) VALUES (?, ?, ?, ?)",
        (ended.stream_id, ended.last, ended.saved, ended.lost),
    )
    return ended


def untold(connection: sqlite3.Connection) -> bool:
    """Tell whether there is something to tell."""
    return connection.execute("SELECT 1 FROM ended WHERE told_in = 0 LIMIT 1").fetchone() is not None


def tell(connection: sqlite3.Connection, head: Head, sealer: Sealer, at_s: float) -> tuple[Head, list[Row]]:
    """Seal a notice of each ended stream that was not told yet; return the new head and the rows. Raises CannotSign.

    The caller holds the transaction.
    """
    rows = []
    query = "SELECT number, stream_id, last, saved, lost FROM ended WHERE told_in = 0 ORDER BY number"
    for number, *known in connection.execute(query).fetchall():
        record = head.next_record
        message = sealer.ended(Position(head.stream_id, record, record, head.previous), Ended(*known))
        sha256 = digest(message)
        cursor = connection.execute(
            "INSERT INTO envelope (stream, first, last, message, digest, previous, rank, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (head.number, record, record, message, sha256, head.previous, ENDED, at_s),
        )
        row = cursor.lastrowid or 0
        connection.execute("UPDATE ended SET told_in = ?, records = records + 1 WHERE number = ?", (row, number))
        rows.append(Row(row, 0, message))
        head = Head(head.number, head.stream_id, record + 1, sha256)
    connection.execute(
        "UPDATE stream SET next_record = ?, previous = ? WHERE number = ?",
        (head.next_record, head.previous, head.number),
    )
    return head, rows


def _copy_untold(old: sqlite3.Connection, sound: sqlite3.Connection, published: int) -> None:
    """What an earlier damage ended: told again unless every platform has the notice, for the row may be damaged now."""
    with suppress(sqlite3.Error, UnicodeDecodeError):
        for stream_id, last, saved, lost, told_in, records in old.execute(
            "SELECT stream_id, last, saved, lost, told_in, records FROM ended ORDER BY number"
        ):
            sound.execute(
                "INSERT INTO ended (stream_id, last, saved, lost, told_in, records) VALUES (?, ?, ?, ?, ?, ?)",
                (stream_id, last, saved, lost, told_in if told_in <= published else 0, records),
            )


def _known(old: sqlite3.Connection | None, sound: sqlite3.Connection, published: int) -> Ended:
    saved = sound.execute("SELECT coalesce(sum(last - first + 1), 0) FROM envelope WHERE rank < ?", (LOSS,)).fetchone()
    row = sound.execute("SELECT number, stream_id, next_record FROM stream ORDER BY number DESC LIMIT 1").fetchone()
    if row is None or not _is_stream(row):
        return Ended(b"", 0, saved[0], None)
    number, stream_id, next_record = row
    covered, newest, newest_id = sound.execute(_COVERED, (number,)).fetchone()
    before = _ends_at(old, number, published)
    if before is None:  # what every platform has is not readable any more, but perhaps what came next
        after = sound.execute("SELECT stream, first FROM envelope WHERE id = ?", (published + 1,)).fetchone()
        before = None if after is None or after[0] != number else after[1] - 1
    least = max(newest or 0, before or 0)
    behind = _newest_id(old, published) - (newest_id or published)
    if not least <= next_record - 1 <= least + max(0, behind) * _MAX_BATCH:
        return Ended(stream_id, least, saved[0], None)  # one of both is damaged: what is here was there at least
    last = next_record - 1
    lost = None if before is None else last - before - covered
    return Ended(stream_id, last, saved[0], lost if lost is None or lost >= 0 else None)


def _is_stream(row: Sequence[object]) -> bool:
    number, stream_id, next_record = row
    sound = isinstance(stream_id, bytes) and len(stream_id) == _STREAM_ID_BYTES
    return sound and isinstance(number, int) and isinstance(next_record, int) and 0 < next_record < 1 << 62


def _ends_at(old: sqlite3.Connection | None, number: int, published: int) -> int | None:
    """Return the last record of a stream that every platform has; None where nobody can tell."""
    if not published:
        return 0
    if old is not None:
        with suppress(sqlite3.Error, UnicodeDecodeError):
            query = "SELECT stream, last, message, digest FROM envelope WHERE id = ?"
            found = old.execute(query, (published,)).fetchone()
            if found is not None and isinstance(found[2], bytes) and digest(found[2]) == found[3]:
                return int(found[1]) if found[0] == number else 0
    return None


def _newest_id(old: sqlite3.Connection | None, published: int) -> int:
    if old is not None:
        with suppress(sqlite3.Error, UnicodeDecodeError):
            found = old.execute("SELECT seq FROM sqlite_sequence WHERE name = 'envelope'").fetchone()
            if found is not None and isinstance(found[0], int):
                return found[0]
    return published
