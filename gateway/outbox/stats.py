# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What an outbox holds, for people and for tests. Reads only; works while the daemon runs, and when it does not."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import StoreUnavailable
from gateway.outbox.lanes import END, Lanes
from gateway.outbox.receipts import Held
from gateway.outbox.schema import LOSS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class DeviceStats:
    """What is held of one device."""

    contiguous: int
    runs_above: list[list[int]]
    readings: int
    gone: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class Stats:
    """What an outbox holds, in readings unless said otherwise."""

    durable: int
    """Every reading ever put on disk: the records of all streams without notices that one ended."""
    streams: dict[str, int]
    """Records by stream id, oldest stream first."""
    envelopes: int
    """Envelopes in the file now."""
    published: dict[str, int]
    """By platform."""
    waiting: dict[str, int]
    """By platform: held, but not taken by it yet."""
    dropped: dict[str, int]
    """By platform: given up before it took them; notices say which."""
    late: dict[str, int]
    """By platform: of what waits, in the catch-up lane."""
    devices: dict[str, DeviceStats]


def read(path: Path) -> Stats:
    """Read the outbox at *path*. Raises StoreUnavailable."""
    with _opened(path) as connection:
        return _read(connection)


def held(path: Path) -> dict[bytes, Held]:
    """Return what the outbox at *path* holds of each device. Raises StoreUnavailable."""
    with _opened(path) as connection:
        return {dev_eui: found for dev_eui, found, *_ in _devices(connection)}


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise StoreUnavailable(f"there is no outbox at {path}; the gateway has not run yet")
    try:
        # Not mode=ro: a WAL database whose sidecars are gone needs to make them to be read.
        with closing(sqlite3.connect(path, isolation_level=None, timeout=2)) as connection:
            connection.execute("PRAGMA query_only = ON")
            if not connection.execute("PRAGMA user_version").fetchone()[0]:
                raise StoreUnavailable(f"the outbox at {path} holds no tables yet; if the gateway starts, ask again")
            connection.execute("BEGIN")  # one moment for all queries
            yield connection
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise StoreUnavailable(f"{path} cannot be read: {error}") from error


def _read(connection: sqlite3.Connection) -> Stats:
    streams = {
        stream_id.hex(): next_record - 1
        for stream_id, next_record in connection.execute("SELECT stream_id, next_record FROM stream ORDER BY number")
    }
    lanes = _lanes(connection)
    return Stats(
        durable=sum(streams.values()) - _notices(connection),
        streams=streams,
        envelopes=connection.execute("SELECT count(*) FROM envelope").fetchone()[0],
        published={name: readings for name, (_, readings, _) in lanes.items()},
        waiting={name: _readings(connection, spans.spans()) for name, (spans, _, _) in lanes.items()},
        dropped={name: dropped for name, (_, _, dropped) in lanes.items()},
        late={name: _readings(connection, spans.behind()) for name, (spans, _, _) in lanes.items()},
        devices={
            dev_eui.hex(): DeviceStats(held.contiguous, held.runs(), readings, gone, unreadable)
            for dev_eui, held, readings, gone, unreadable in _devices(connection)
        },
    )


def _devices(connection: sqlite3.Connection) -> Iterator[tuple[bytes, Held, int, int, int]]:
    parts = defaultdict[bytes, list[tuple[int, bytes]]](list)
    if _is_there(connection, "gap"):
        for dev_eui, first, data in connection.execute("SELECT dev_eui, first, data FROM gap ORDER BY dev_eui, first"):
            parts[dev_eui].append((first, data))
    for dev_eui, contiguous, runs, *counts in connection.execute(
        "SELECT dev_eui, contiguous, runs, readings, gone, unreadable FROM device ORDER BY dev_eui"
    ):
        yield dev_eui, Held.from_row(contiguous, runs, parts[dev_eui]), *counts


def _is_there(connection: sqlite3.Connection, table: str) -> bool:
    """Tell whether a file, of an older version perhaps, has a table."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None


def _notices(connection: sqlite3.Connection) -> int:
    """Return how many records say that a stream ended."""
    if not _is_there(connection, "ended"):
        return 0
    return int(connection.execute("SELECT coalesce(sum(records), 0) FROM ended").fetchone()[0])


def _lanes(connection: sqlite3.Connection) -> dict[str, tuple[Lanes, int, int]]:
    rows = connection.execute("SELECT platform, through, waiting, readings, dropped FROM lane")
    return {
        platform: (Lanes.from_bytes(waiting) if waiting else Lanes([[through, END]]), readings, dropped)
        for platform, through, waiting, readings, dropped in rows
    }


def _readings(connection: sqlite3.Connection, spans: Iterable[tuple[int, int]]) -> int:
    query = "SELECT coalesce(sum(last - first + 1), 0) FROM envelope WHERE id > ? AND id <= ? AND rank < ?"
    return sum(int(connection.execute(query, (*span, LOSS)).fetchone()[0]) for span in spans)
