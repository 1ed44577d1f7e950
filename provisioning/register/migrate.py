# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Bring an older register to the present tables. The only module that loads Alembic."""

from __future__ import annotations

import getpass
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, select, update

from provisioning.database import open_engine, resolve_url, transaction
from provisioning.errors import AlreadyExists, RegisterError
from provisioning.register import records, tables
from provisioning.register.log import changing
from provisioning.register.record_text import load
from provisioning.register.spelling import canonical

if TYPE_CHECKING:
    from provisioning.city import City

_SCRIPTS: Final = Path(__file__).parent / "migrations"


def upgrade(
    url: str, *, base: Path | None = None, password: str | None = None, actor: str
) -> tuple[str, str, Path | None]:
    """Upgrade the register at `url`; return the revisions before and after and, of a SQLite file, the backup of it.

    All of it happens or nothing. Raises RegisterError where there is no register, or one of a newer version.
    """
    address = resolve_url(url, base)
    engine = open_engine(address if password is None else address.set(password=password))
    try:
        with transaction(engine, writes=False) as connection:
            found = tables.revision(connection)
        if found is None or found not in _known():
            raise RegisterError(
                "There is no register here that this tool can upgrade.",
                value=f"{engine.url.render_as_string(hide_password=True)}: tables {found or 'none'}",
                next_step="lykta init makes a new city; a newer register needs a newer tool",
            )
        if found == tables.HEAD:
            return found, found, None
        backup = _backup(engine, found)
        with transaction(engine, writes=True) as connection:
            _run(connection, tables.revision(connection) or found)
            _adopt(connection, actor)
        return found, tables.HEAD, backup
    finally:
        engine.dispose()


def upgrade_city(city: City) -> tuple[str, str, Path | None]:
    """Upgrade the register of a city."""
    actor = os.environ.get("LYKTA_ACTOR") or getpass.getuser()
    return upgrade(city.config.register_.url, base=city.home, password=city.password(), actor=actor)


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _known() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _run(connection: Connection, found: str) -> None:
    config = _config(connection)
    if found == "0001" and not connection.dialect.has_table(connection, tables.version.name):
        command.stamp(config, "0001")
    command.upgrade(config, "head")


def _adopt(connection: Connection, actor: str) -> None:
    """Enter in the log what no entry tells of yet."""
    table = tables.devices
    rows = connection.execute(
        select(table.c.id, table.c.record).where(table.c.revision == 0).order_by(table.c.id)
    ).all()
    with changing(connection, int(time.time()), actor) as change:
        change.log("register.upgrade", tables.HEAD, {"devices": len(rows)})
        for row in rows:
            record = records.dump(load(row.record))
            revision = change.log("device.adopt", row.id, {"record": record})
            values = {"revision": revision, "record": canonical(record)}
            connection.execute(update(table).where(table.c.id == row.id).values(values))


def _backup(engine: Engine, found: str) -> Path | None:
    if not tables.is_sqlite(engine) or engine.url.database is None:
        return None
    source = Path(engine.url.database)
    target = source.with_name(f"{source.name}.before-{tables.HEAD}-from-{found}")
    if target.exists():
        raise AlreadyExists(
            "A backup of an earlier upgrade is in the way.",
            value=target,
            reason="It may be the only whole copy of the register.",
            next_step=f"move {target} away, then try again",
        )
    target.touch(mode=0o600)
    try:
        with sqlite3.connect(source) as reading, sqlite3.connect(target) as writing:
            reading.backup(writing)
        reading.close()
        writing.close()
    except sqlite3.Error as error:
        target.unlink(missing_ok=True)
        raise RegisterError(f"The backup before the upgrade cannot be written: {error}.", value=target) from error
    return target
