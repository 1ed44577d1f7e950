# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The register's database by its driver alone: sqlite3 or psycopg. For who reads and loads as little as it can."""

from __future__ import annotations

import re
import sqlite3
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Protocol

from provisioning import database_errors
from provisioning.database_errors import BUSY_TIMEOUT_MS
from provisioning.register.address import Address

if TYPE_CHECKING:
    import psycopg

    Connection = sqlite3.Connection | psycopg.Connection[dict[str, Any]]

_IDLE: Final = 2
"""Connections that are kept open for the next transaction: that of the gateway's writer, and one beside it."""
_BATCH: Final = 1000


class Database(Protocol):
    """Where transactions come from. Thread-safe."""

    address: Address

    def transaction(self, *, writes: bool) -> AbstractContextManager[Plain]:
        """One transaction, ended with the block. Raises RegisterError for whatever the database says."""

    def close(self) -> None:
        """Close all connections."""


class Plain:
    """A transaction on a driver's own connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Any = connection
        self._names = count()

    def rows(self, sql: str, values: Mapping[str, object]) -> list[Mapping[str, Any]]:
        """See provisioning.register.asking."""
        found: list[Mapping[str, Any]] = self._connection.execute(self._spelt(sql), values).fetchall()
        return found

    def each(self, sql: str, values: Mapping[str, object]) -> Iterator[Mapping[str, Any]]:
        """See provisioning.register.asking."""
        if isinstance(self._connection, sqlite3.Connection):
            yield from self._connection.execute(sql, values)
            return
        with self._connection.cursor(name=f"each_{next(self._names)}") as cursor:  # a named one stays at the server
            cursor.itersize = _BATCH
            yield from cursor.execute(self._spelt(sql), values)

    def do(self, sql: str, values: Mapping[str, object]) -> None:
        """See provisioning.register.asking."""
        self._connection.execute(self._spelt(sql), values)

    def _spelt(self, sql: str) -> str:
        return sql if isinstance(self._connection, sqlite3.Connection) else _as_psycopg_spells(sql)


@lru_cache(maxsize=64)
def _as_psycopg_spells(sql: str) -> str:
    return re.sub(r":([a-z_0-9]+)", r"%(\1)s", sql)


def prepare_sqlite(connection: sqlite3.Connection, _record: object = None) -> None:
    """Make a connection wait for others, keep a write-ahead log, and begin transactions only when told to."""
    connection.isolation_level = None
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error:
        connection.close()  # nobody else knows it yet
        raise


class _Idle:
    """Connections that wait for the next transaction, in whatever thread."""

    def __init__(self) -> None:
        self._kept: deque[Any] = deque()
        self._closed = False

    def take(self) -> Any | None:
        """Return one, None where none waits."""
        try:
            return self._kept.pop()
        except IndexError:
            return None

    def give_back(self, connection: Any) -> None:
        """Keep it, or close it when enough are kept."""
        if self._closed or len(self._kept) >= _IDLE:
            connection.close()
        else:
            self._kept.append(connection)

    def close(self) -> None:
        """Close those that wait; those that come back are closed too."""
        self._closed = True
        self.forget()

    def forget(self) -> None:
        """Close those that wait: one of them was found broken."""
        while (connection := self.take()) is not None:
            with suppress(Exception):
                connection.close()


class SqliteDatabase:
    """A register in a file."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._idle = _Idle()

    def close(self) -> None:
        """See Database."""
        self._idle.close()

    @contextmanager
    def transaction(self, *, writes: bool) -> Iterator[Plain]:
        """See Database."""
        connection = None
        try:
            connection = self._idle.take() or self._connect()
            # A deferred transaction that turns from reading to writing fails at once when another process wrote in
            # between, whatever the busy timeout.
            connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            yield Plain(connection)
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise database_errors.unusable(error, str(self.address), "sqlite") from error
        except sqlite3.Error as error:
            raise database_errors.unreadable(error, str(self.address)) from error
        finally:
            if connection is not None:
                self._give_back(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.address.database, check_same_thread=False)
        prepare_sqlite(connection)
        connection.row_factory = sqlite3.Row
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()
        else:
            self._idle.give_back(connection)


class PostgresDatabase:
    """A register on a PostgreSQL server. Raises ImportError where psycopg is not installed."""

    def __init__(self, address: Address) -> None:
        import psycopg  # of the extra set: only who has such a register needs it
        from psycopg.rows import dict_row

        self.address = address
        self._driver, self._dict_row = psycopg, dict_row
        self._idle = _Idle()

    def close(self) -> None:
        """See Database."""
        self._idle.close()

    @contextmanager
    def transaction(self, *, writes: bool) -> Iterator[Plain]:
        """See Database."""
        connection, driver = None, self._driver
        try:
            connection = self._idle.take() or self._connect()
            if not writes:  # readers see one state of the register
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute(f"SET LOCAL lock_timeout = {BUSY_TIMEOUT_MS}")
            yield Plain(connection)
            connection.commit()
        except driver.OperationalError as error:
            self._idle.forget()  # when the server went away, it did for those too
            raise database_errors.unusable(error, str(self.address), "postgresql") from error
        except driver.Error as error:
            if error.sqlstate == database_errors.NOT_GRANTED:
                raise database_errors.not_granted(error, str(self.address)) from error
            raise database_errors.unreadable(error, str(self.address)) from error
        finally:
            if connection is not None:
                self._give_back(connection)

    def _connect(self) -> psycopg.Connection[dict[str, Any]]:
        return self._driver.connect(**self.address.arguments(), row_factory=self._dict_row)

    def _give_back(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        try:
            connection.rollback()
        except self._driver.Error:
            connection.close()
        else:
            self._idle.give_back(connection)


def open_database(address: Address) -> Database:
    """Return the database at an address; nothing is connected yet. Raises RegisterError."""
    try:
        return SqliteDatabase(address) if address.backend == "sqlite" else PostgresDatabase(address)
    except ImportError as error:
        raise database_errors.unknown_kind(error, str(address)) from error
