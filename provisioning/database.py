# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Opening the register's database so that several processes can use it at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, OperationalError, SQLAlchemyError

from provisioning.errors import RegisterError

BUSY_TIMEOUT_MS = 10_000
_NOT_GRANTED: Final = "42501"
"""insufficient_privilege, PostgreSQL's Appendix A."""

_MEND: Final = {
    "sqlite": "check that the file exists, is writable and that its disk is not full; then try again",
    "postgresql": "check the network and the server; lykta check RECORD --snapshot FILE judges without them",
}


def resolve_url(url: str, base: Path | None = None) -> URL:
    """Parse a database URL; a relative SQLite path is taken relative to `base`."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        # The URL may hold a password: it is not shown.
        raise RegisterError(
            "The address of the register is not a database URL.",
            next_step='write for example url = "sqlite:///register.db"',
        ) from error
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise RegisterError("The register must be a file: other processes read it too.", value=url)
        if base is not None:
            parsed = parsed.set(database=str(base / parsed.database))
    return parsed


def open_engine(url: URL) -> Engine:
    """An engine with a busy timeout and, on SQLite, write-ahead logging and enforced foreign keys."""
    try:
        engine = create_engine(url, hide_parameters=True)  # parameters hold keys; they stay out of messages
    except (SQLAlchemyError, ImportError) as error:
        raise RegisterError(
            f"This kind of database cannot be used: {error}",
            value=url.render_as_string(hide_password=True),
            next_step="use sqlite:///…; for postgresql://… run once: make extra",
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    else:
        event.listen(engine, "begin", _begin_on_server)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_immediate, not by the driver
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error:
        connection.close()  # the pool does not know it yet
        raise


def _begin_immediate(connection: Connection) -> None:
    # A deferred transaction that turns from reading to writing fails at once when another process wrote
    # in between, whatever the busy timeout. Readers ask for a plain one.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_on_server(connection: Connection) -> None:
    # Readers see one state of the register; writers wait for each other at the log's head and then see the newest.
    if not connection.get_execution_options().get("writes", False):
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {BUSY_TIMEOUT_MS}")


@contextmanager
def transaction(engine: Engine, *, writes: bool) -> Iterator[Connection]:
    """One transaction; database errors become RegisterError, IntegrityError passes to the caller."""
    try:
        with engine.connect().execution_options(writes=writes) as connection, connection.begin():
            yield connection
    except IntegrityError:
        raise
    except OperationalError as error:
        raise RegisterError(
            f"The register cannot be used: {error.orig}.",
            value=engine.url.render_as_string(hide_password=True),
            next_step=_MEND.get(engine.dialect.name, _MEND["postgresql"]),
        ) from error
    except SQLAlchemyError as error:
        if getattr(getattr(error, "orig", None), "sqlstate", None) == _NOT_GRANTED:
            raise RegisterError(
                f"The register does not let this user do that: {str(error.orig).strip()}.",  # type: ignore[attr-defined]
                value=engine.url.render_as_string(hide_password=True),
                next_step="grant what docs/register.md lists under Databases",
            ) from error
        raise RegisterError(
            f"The register cannot be read: {type(error).__name__}.",
            value=engine.url.render_as_string(hide_password=True),
            reason=str(getattr(error, "orig", None) or error),
            next_step="restore it from a backup",
        ) from error
