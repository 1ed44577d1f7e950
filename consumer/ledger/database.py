# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The two databases of a ledger behind one small face: SQL with `?`, rows as tuples, one writer at a time."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from consumer.errors import LedgerError

_BUSY_S: Final = 30.0
_PASSWORD: Final = re.compile(r"(://[^:/@]*):[^@]*@")
_LOCK: Final = 0x4C796B7461  # "Lykta": the advisory lock that keeps a second receiver out of a transaction


class Database(Protocol):
    """What a ledger asks of a database. Every method raises LedgerError for what the database refuses."""

    name: str

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one statement; return how many rows it changed."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""

    def tables(self) -> set[str]:
        """Return the names of the tables that are there."""

    def transaction(self) -> Any:
        """A context: everything in it is on disk when it ends, or nothing of it is."""

    def close(self) -> None:
        """Let go of the database."""


class SqliteDatabase:
    """One file, write-ahead log, every commit synced."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        with _refusals(self.name):
            self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL").fetchall()
            self._connection.execute("PRAGMA synchronous = FULL")

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        with _refusals(self.name):
            return self._connection.execute(sql, values).rowcount

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with _refusals(self.name):
            return self._connection.execute(sql, values).fetchall()

    def tables(self) -> set[str]:
        return {str(name) for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.rollback()
            raise

    def close(self) -> None:
        self._connection.close()


class PostgresDatabase:
    """A PostgreSQL server, by psycopg 3. The same statements with its names for types and parameters."""

    def __init__(self, url: str) -> None:
        try:
            import psycopg
        except ImportError as error:
            raise LedgerError("a ledger in PostgreSQL needs the Python package psycopg: pip install psycopg") from error
        self.name = _PASSWORD.sub(r"\1:…@", url)
        self._errors = psycopg.Error
        try:
            self._connection = psycopg.connect(url, autocommit=True)
        except psycopg.Error as error:
            raise LedgerError(f"{self.name} cannot be opened: {str(error).strip()}") from error

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        changed: int = self._run(sql, values).rowcount
        return changed

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._run(sql, values).fetchall()
        return found

    def tables(self) -> set[str]:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        return {str(name) for (name,) in self.rows(query)}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        try:
            with self._connection.transaction():
                self._run("SELECT pg_advisory_xact_lock(?)", (_LOCK,))
                yield
        except self._errors as error:
            raise LedgerError(f"{self.name}: {str(error).strip()}") from error

    def close(self) -> None:
        self._connection.close()

    def _run(self, sql: str, values: Sequence[Any]) -> Any:
        try:
            return self._connection.execute(_dialect(sql), values)
        except self._errors as error:
            raise LedgerError(f"{self.name}: {str(error).strip()}") from error


def open_database(url: str) -> Database:
    """Open what *url* names: `sqlite:FILE`, a bare file name, or `postgresql://…`. Raises LedgerError."""
    if url.startswith(("postgresql://", "postgres://")):
        return PostgresDatabase(url)
    scheme, found, rest = url.partition(":")
    if found and scheme != "sqlite":
        raise LedgerError(f"no ledger of the kind {scheme[:20]!r}; give sqlite:FILE or postgresql://…")
    return SqliteDatabase(Path(rest if found else url))


def _dialect(sql: str) -> str:
    return (
        re.sub(r"\bBLOB\b", "BYTEA", sql)
        .replace("INTEGER", "BIGINT")
        .replace("REAL", "DOUBLE PRECISION")
        .replace("?", "%s")
    )


@contextmanager
def _refusals(name: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerError(f"{name}: {error}") from error
