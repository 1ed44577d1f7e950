# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""SQLite files that survive power cuts: how they are opened, checked, written and, when damaged, set aside."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import StoreCorrupt, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_PRIMARY_MASK = 0xFF
_PASSING = {3, 5, 6, 7, 8, 9, 10, 13, 14, 15, 23}
"""SQLite's PERM, BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL, AUTH."""
_SIDECARS = ("-wal", "-shm")


Prepare = Callable[[sqlite3.Connection], None]
"""Makes the tables, and those of an earlier version into these."""


def open_database(path: Path, schema: str | Prepare, *, check: bool = True) -> sqlite3.Connection:
    """Open or create a database whose commits are on disk when they return; with *check* read all of it for damage.

    Raises StoreCorrupt when the file is damaged or something else, StoreUnavailable when it cannot be opened now.
    """
    try:
        # One thread at a time uses it, though not always the same one: the writer's, and at the start and end the main.
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path} cannot be opened: {error}") from error
    try:
        if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
            # It counts only before the first table. Later it would be a write, and a full disk would stop the start.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # NORMAL loses the last commits on a power cut
        connection.execute("PRAGMA journal_size_limit = 16777216")
        connection.execute("PRAGMA busy_timeout = 2000")
        if check:
            _check(connection, path)
        if isinstance(schema, str):
            connection.executescript(schema)
        else:
            schema(connection)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        connection.close()
        if _passes(error):
            raise StoreUnavailable(f"{path} cannot be used: {error}") from error
        raise StoreCorrupt(f"{path} is damaged: {error}") from error
    except StoreCorrupt:
        connection.close()
        raise
    return connection


def _passes(error: Exception) -> bool:
    """Tell an error of the disk or of another process, which may pass, from damage, which does not.

    A table whose name lost a bit is "no such table", and a text that did cannot be decoded: Python calls both
    operational, as it does a full disk.
    """
    if not isinstance(error, sqlite3.OperationalError):
        return False
    code = getattr(error, "sqlite_errorcode", None)
    return "decode" not in str(error) if code is None else code & _PRIMARY_MASK in _PASSING


def condemn(path: Path) -> None:
    """Damage showed while the file was in use: the next check refuses it, whatever its check says."""
    _mark(path).touch()


def damaged(connection: sqlite3.Connection, why: str) -> StoreCorrupt:
    """What was read is not what was written: condemn the file, and return the error to raise."""
    path = Path(connection.execute("PRAGMA database_list").fetchone()[2])
    condemn(path)
    return StoreCorrupt(f"{path} is damaged: {why}")


def _mark(path: Path) -> Path:
    return path.with_name(path.name + ".damaged")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    check_mark(path)
    if problems := problems_of(connection):
        raise StoreCorrupt(f"{path} is damaged: {'; '.join(problems)}")


def check_mark(path: Path) -> None:
    """Refuse a file that was condemned. Raises StoreCorrupt."""
    if _mark(path).exists():
        raise StoreCorrupt(f"{path} showed damage while it was in use")


def problems_of(connection: sqlite3.Connection) -> list[str]:
    """Read all of a file; return what is wrong with it."""
    found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    return [] if found == ["ok"] else found


def set_aside(path: Path) -> Path:
    """Rename a damaged database, and what belongs to it, to the first free ``<name>.corrupt-<n>``."""
    number = 1
    while (aside := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    for sidecar in _SIDECARS:
        part = path.with_name(path.name + sidecar)
        if part.exists():
            part.rename(aside.with_name(aside.name + sidecar))
    path.rename(aside)
    _mark(path).unlink(missing_ok=True)
    return aside


@contextmanager
def durable(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction, on disk when the block ends. Raises StoreUnavailable, StoreCorrupt; then nothing has changed."""
    with translated(connection):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def unhurried(connection: sqlite3.Connection) -> Iterator[None]:
    """A commit in this block outlives the process when it returns, and a power cut with the first commit after it."""
    with translated(connection):
        connection.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            connection.execute("PRAGMA synchronous = FULL")


@contextmanager
def translated(connection: sqlite3.Connection) -> Iterator[None]:
    """Turn SQLite's errors into ours: what may pass (disk full, read-only, I/O), and what will not (damage).

    Damage condemns the file: the next start sets it aside, even when its check should find nothing.
    """
    try:
        yield
    except sqlite3.IntegrityError:
        raise  # an error of ours, not of the disk
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if _passes(error):
            raise StoreUnavailable(f"the disk does not take it: {error}") from error
        raise damaged(connection, str(error)) from error
