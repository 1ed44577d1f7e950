# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The tables of the register, and the steps that bring an older register to the present version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    insert,
    inspect,
    select,
)

VERSION: Final = 1

metadata = MetaData()

schema_version = Table(
    "schema_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("applied_at_s", BigInteger, nullable=False),  # Unix time
)

city = Table(
    "city",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("created_at_s", BigInteger, nullable=False),
    Column("kek_check", LargeBinary, nullable=False),  # opens with the right KEK and with no other
)

devices = Table(
    "devices",
    metadata,
    Column("dev_eui", String(16), primary_key=True),  # lower-case hexadecimal digits
    Column("join_eui", String(16), nullable=False),
    Column("kind", String(64), nullable=False, index=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("owner", String(128)),
    Column("state", String(16), nullable=False),
    Column("created_at_s", BigInteger, nullable=False),
)

# A table of its own: what the guidelines call credentials (kind, fingerprint, reference to the store).
credentials = Table(
    "credentials",
    metadata,
    Column("dev_eui", String(16), ForeignKey("devices.dev_eui"), primary_key=True),
    Column("purpose", String(32), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("fingerprint", LargeBinary(16), nullable=False, unique=True),
    Column("rotated_at_s", BigInteger, nullable=False),
)

gateways = Table(
    "gateways",
    metadata,
    Column("eui", String(16), primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("certificate_pem", Text, nullable=False),
    Column("certificate_sha256", LargeBinary(32), nullable=False, unique=True),
    Column("not_after_s", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at_s", BigInteger, nullable=False),
)

# Step n brings a register of version n to n + 1. A step that was released never changes.
STEPS: Final[dict[int, Callable[[Connection], None]]] = {}


def create(connection: Connection, now_s: int) -> None:
    """Make all tables of a new register."""
    metadata.create_all(connection)
    connection.execute(insert(schema_version).values(version=VERSION, applied_at_s=now_s))


def version(connection: Connection) -> int | None:
    """The version of the register, None where there is no register."""
    if not inspect(connection).has_table(schema_version.name):
        return None
    versions = connection.execute(select(schema_version.c.version)).scalars().all()
    return max(versions, default=None)


def upgrade(connection: Connection, found: int, now_s: int) -> None:
    """Run the steps from version `found` to the present one."""
    for step in range(found, VERSION):
        STEPS[step](connection)
        connection.execute(insert(schema_version).values(version=step + 1, applied_at_s=now_s))
