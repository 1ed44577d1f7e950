# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Opening the register's database so that several processes can use it at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, OperationalError, SQLAlchemyError

from provisioning import database_errors
from provisioning.database_errors import BUSY_TIMEOUT_MS
from provisioning.register.plain import prepare_sqlite


def resolve_url(url: str, base: Path | None = None) -> URL:
    """Parse a database URL; a relative SQLite path is taken relative to `base`."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise database_errors.no_address() from error
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise database_errors.no_file(url)
        if base is not None:
            parsed = parsed.set(database=str(base / parsed.database))
    return parsed


def open_engine(url: URL) -> Engine:
    """An engine with a busy timeout and, on SQLite, write-ahead logging and enforced foreign keys."""
    try:
        engine = create_engine(url, hide_parameters=True)  # parameters hold keys; they stay out of messages
    except (SQLAlchemyError, ImportError) as error:
        raise database_errors.unknown_kind(error, url.render_as_string(hide_password=True)) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    else:
        event.listen(engine, "begin", _begin_on_server)
    return engine


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
        where = engine.url.render_as_string(hide_password=True)
        raise database_errors.unusable(error.orig, where, engine.dialect.name) from error
    except SQLAlchemyError as error:
        said, where = getattr(error, "orig", None), engine.url.render_as_string(hide_password=True)
        if getattr(said, "sqlstate", None) == database_errors.NOT_GRANTED:
            raise database_errors.not_granted(said, where) from error
        raise database_errors.unreadable(error, where, said) from error
