# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How long published rows stay, and what happens when the outbox reaches its limit. Unpublished rows always stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

ROWS_AT_A_TIME = 100
"""A millisecond of work, for which a commit of readings may have to wait."""
_PAGES_BACK = 200
"""Twice what the rows of one step take: as fast as they make more pages free than are in use."""


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes in use in the database; free pages do not count."""
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def published_through(connection: sqlite3.Connection, platforms: Sequence[str], before_s: float | None = None) -> int:
    """Return the id up to which every platform has everything (0 when there is no platform).

    With *before_s* (Unix seconds): had everything at that time.
    """
    values: tuple[float, ...] = ()
    if before_s is None:
        query = "SELECT through FROM lane WHERE platform = ?"
    else:
        query, values = "SELECT max(through) FROM progress WHERE platform = ? AND at <= ?", (before_s,)
    rows = [connection.execute(query, (platform, *values)).fetchone() for platform in platforms]
    return min((row[0] or 0 if row else 0 for row in rows), default=0)


def prune(connection: sqlite3.Connection, through: int, rows: int = ROWS_AT_A_TIME) -> int:
    """Delete some of the oldest envelopes up to id *through*; return how many. The caller holds the transaction."""
    cursor = connection.execute(
        "DELETE FROM envelope WHERE id IN (SELECT id FROM envelope WHERE id <= ? ORDER BY id LIMIT ?)",
        (through, rows),
    )
    return cursor.rowcount


def forget_progress(connection: sqlite3.Connection, before_s: float) -> None:
    """Delete the notes on progress that no pruning needs any more. The caller holds the transaction."""
    connection.execute(
        "DELETE FROM progress WHERE at < (SELECT max(at) FROM progress AS newer "
        "WHERE newer.platform = progress.platform AND newer.at <= ?)",
        (before_s,),
    )


def give_back(connection: sqlite3.Connection) -> None:
    """Return free pages to the file system, some at a time, outside a transaction: not more than half stay free.

    Those are what the next readings go into. To give all back moves as many pages as it frees, and the file grows again
    at once: that was half of all that a busy gateway wrote to its disk.
    """
    pages, free = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count"))
    spare = min(2 * free - pages, _PAGES_BACK)
    if spare <= 0:
        return
    # A statement without columns is not stepped on by fetchall: it would give back one page and stop.
    connection.executescript(f"PRAGMA incremental_vacuum({spare})")
