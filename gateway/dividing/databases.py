# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Sessions and outboxes, device by device, into the files of the worker that each device belongs to."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from gateway.network import sessions
from gateway.network.share import of_device
from gateway.outbox.devices import COLUMNS
from gateway.outbox.schema import prepare
from gateway.sqlite_files import durable, open_database

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_BY_DEVICE = ("nonces", "random_nonce", "command_device")
"""Tables of the session file whose rows mean the same in another file of sessions."""
_PARTS = ("session_radio", "session_more")
_DOWNLINK = "dev_eui, fport, payload, confirmed, priority, expires_at, tries"
_SESSION = "dev_eui, dev_addr, keys, fcnt_up, fcnt_down, confirmed"
_GAP = "dev_eui, first, data"
_UNREADABLE = "dev_eui, seq, raw, why, at"


def copy(source: Path, target: Path) -> None:
    """Copy a database that nobody uses, whatever its log holds, and bring its tables up to date.

    Raises StoreCorrupt, StoreUnavailable, sqlite3.Error.
    """
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
    target.chmod(0o600)
    open_outbox = target.name.startswith("outbox")
    open_database(target, prepare if open_outbox else sessions.SCHEMA).close()


@contextmanager
def _opened(path: Path, others: Sequence[Path], count: int, index: int) -> Iterator[sqlite3.Connection]:
    """Open a worker's copy in one transaction; the others are called ``other0`` and so on, ``ours(dev_eui)`` tells."""
    with closing(open_database(path, prepare if path.name.startswith("outbox") else sessions.SCHEMA)) as database:
        database.create_function("ours", 1, lambda dev_eui: of_device(dev_eui, count) == index, deterministic=True)
        for number, other in enumerate(others):
            database.execute(f"ATTACH DATABASE ? AS other{number}", (str(other),))
        with durable(database):
            yield database


def share_sessions(path: Path, others: Sequence[Path], count: int, index: int, answers_of: Sequence[Path]) -> None:
    """Leave in *path* what belongs to a worker, from 0, of *count*, and fetch the rest of it from *others*.

    *answers_of*: of these, the answers to commands that no platform has yet; of its own file it keeps them if it is
    among these.
    """
    with _opened(path, others, count, index) as database:
        for table in (*_BY_DEVICE, "session", "downlink"):
            database.execute(f"DELETE FROM {table} WHERE NOT ours(dev_eui)")  # noqa: S608 - constants
        if path not in answers_of:
            database.execute("DELETE FROM command_answer")
        for number, other in enumerate(others):
            for table in _BY_DEVICE:
                rows = f"SELECT * FROM other{number}.{table} WHERE ours(dev_eui)"  # noqa: S608 - constants
                database.execute(f"INSERT OR REPLACE INTO {table} {rows}")
            database.execute(f"INSERT OR IGNORE INTO command SELECT * FROM other{number}.command")  # noqa: S608
            rows = f"SELECT {_DOWNLINK} FROM other{number}.downlink WHERE ours(dev_eui) ORDER BY id"  # noqa: S608
            database.execute(f"INSERT INTO downlink ({_DOWNLINK}) {rows}")
            if other in answers_of:
                rows = f"SELECT platform, topic, message FROM other{number}.command_answer ORDER BY row"  # noqa: S608
                database.execute(f"INSERT INTO command_answer (platform, topic, message) {rows}")
            _fetch_sessions(database, f"other{number}")


def _fetch_sessions(database: sqlite3.Connection, other: str) -> None:
    """Sessions get new row numbers; what is kept beside them goes along."""
    rows = database.execute(f"SELECT id, {_SESSION} FROM {other}.session WHERE ours(dev_eui)").fetchall()  # noqa: S608
    for old, *values in rows:
        new = database.execute(
            f"INSERT INTO session ({_SESSION}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
            values,
        ).lastrowid
        for table in _PARTS:
            part = database.execute(f"SELECT * FROM {other}.{table} WHERE session = ?", (old,)).fetchone()  # noqa: S608
            if part is not None:
                marks = ", ".join("?" * len(part))
                database.execute(f"INSERT INTO {table} VALUES ({marks})", (new, *part[1:]))  # noqa: S608


def share_outbox(path: Path, others: Sequence[Path], count: int, index: int) -> None:
    """Leave in *path* the devices of a worker, and fetch its others from *others*. Streams stay where they are."""
    with _opened(path, others, count, index) as database:
        for table, columns in (("device", COLUMNS), ("unreadable", _UNREADABLE)):
            database.execute(f"DELETE FROM {table} WHERE NOT ours(dev_eui)")  # noqa: S608 - constants
            for number in range(len(others)):
                rows = f"SELECT {columns} FROM other{number}.{table} WHERE ours(dev_eui)"  # noqa: S608
                database.execute(f"INSERT OR REPLACE INTO {table} ({columns}) {rows}")
        database.execute("DELETE FROM gap WHERE NOT ours(dev_eui)")
        for number in range(len(others)):  # the gaps of a device come from where its row comes from, and no others
            database.execute(f"DELETE FROM gap WHERE dev_eui IN (SELECT dev_eui FROM other{number}.device)")  # noqa: S608
            rows = f"SELECT {_GAP} FROM other{number}.gap WHERE ours(dev_eui)"  # noqa: S608 - constants
            database.execute(f"INSERT INTO gap ({_GAP}) {rows}")


def addresses(path: Path) -> list[int]:
    """Return the addresses of all sessions in a file."""
    with closing(sqlite3.connect(path)) as database:
        return [int(row[0]) for row in database.execute("SELECT dev_addr FROM session")]


def not_delivered(path: Path, platforms: Sequence[str], receipts_from: frozenset[str]) -> list[str]:
    """Return the platforms that an outbox still holds something for."""
    with closing(sqlite3.connect(path)) as database:
        newest = database.execute("SELECT coalesce(max(id), 0) FROM envelope").fetchone()[0]
        oldest = database.execute("SELECT coalesce(min(id), 0) FROM envelope").fetchone()[0]
        through = dict(database.execute("SELECT platform, through FROM lane"))
        receipted = dict(database.execute("SELECT platform, through FROM receipted_through"))
    waits = [name for name in platforms if newest and through.get(name, oldest - 1) < newest]
    return waits + [name for name in receipts_from if newest and receipted.get(name, 0) < newest and name not in waits]
