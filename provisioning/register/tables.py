# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The tables of the register. Times are Unix seconds, EUIs lower-case hexadecimal digits.

Migrations (provisioning/register/migrations) bring an older register here; a test holds that both lead to the same.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
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
    text,
)

from provisioning.register import guards
from provisioning.register import revision as revisions

HEAD: Final = revisions.HEAD
"""The revision of these tables."""

metadata = MetaData()

version = Table(revisions.VERSION_TABLE, metadata, Column("version_num", String(32), primary_key=True))

city = Table(
    "city",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("created_at_s", BigInteger, nullable=False),
    Column("kek_check", LargeBinary, nullable=False),  # opens with the right KEK and with no other
    Column("fingerprint_key", LargeBinary),  # sealed; none: it is derived from the KEK that the register was made with
)

devices = Table(
    "devices",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("dev_eui", String(16), unique=True),
    Column("join_eui", String(16)),
    Column("kind", String(64), nullable=False, index=True),  # what it speaks on the air
    Column("record_kind", String(64), nullable=False, index=True),  # what the guidelines call it
    Column("name", String(128), nullable=False, unique=True),
    Column("owner", String(128), index=True),
    Column("state", String(16), nullable=False),  # what a gateway asks for
    Column("stage", String(16), nullable=False, index=True),
    Column("batch", String(128), index=True),
    Column("asset", String(128), index=True),
    Column("segment", String(128), index=True),
    Column("fingerprint", String(80), index=True),
    Column("cell", BigInteger, index=True),
    Column("lat", Float(53)),
    Column("lon", Float(53)),
    Column("record", Text, nullable=False),  # JSON
    Column("input_sha256", LargeBinary(32)),  # of the record as it was handed in
    Column("revision", BigInteger, nullable=False),  # number of its last change in the log
    Column("created_at_s", BigInteger, nullable=False),
)

# A table of its own: what the guidelines call credentials. A revoked one holds no key; nobody may use it again.
credentials = Table(
    "credentials",
    metadata,
    Column("dev_eui", String(16), ForeignKey("devices.dev_eui"), primary_key=True),
    Column("purpose", String(32), primary_key=True),
    Column("sealed", LargeBinary),
    Column("fingerprint", LargeBinary(16), nullable=False, unique=True),
    Column("rotated_at_s", BigInteger, nullable=False),
    Column("revoked_at_s", BigInteger),
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


def _objects(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("id", String(128), primary_key=True),
        Column("body", Text, nullable=False),  # JSON
        Column("revision", BigInteger, nullable=False),
    )


organisations = _objects("organisations")
role_holders = _objects("role_holders")
platforms = _objects("platforms")
datasets = _objects("datasets")
commanders = _objects("commanders")

papers = Table(
    "papers",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("type", String(16), nullable=False, index=True),
    Column("batch", String(128), index=True),
    Column("platform", String(128), index=True),
    Column("expires_at_s", BigInteger, nullable=False, index=True),
    Column("envelope", LargeBinary, nullable=False),  # COSE_Sign1 over the paper
    Column("revision", BigInteger, nullable=False),
)

paper_devices = Table(
    "paper_devices",
    metadata,
    Column("paper", String(128), ForeignKey("papers.id"), primary_key=True),
    Column("device", String(16), primary_key=True, index=True),
)

log = Table(
    "log",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_s", BigInteger, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(128), nullable=False, index=True),
    Column("body", Text, nullable=False),  # JSON
    Column("sha256", LargeBinary(32), nullable=False),
)

# One row: whoever writes locks it, so that numbers are given one after the other.
log_head = Table(
    "log_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("sha256", LargeBinary(32), nullable=False),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("state", String(16), nullable=False),  # planned, started, aborted; what else it is follows from its boards
    Column("body", Text, nullable=False),  # JSON
    Column("signed", LargeBinary, nullable=False),  # the manifest, as boards get it
    Column("bundle", LargeBinary, nullable=False),
    Column("created_at_s", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

# The one table that gateways write.
rollout_boards = Table(
    "rollout_boards",
    metadata,
    Column("rollout", String(64), ForeignKey("rollouts.id"), primary_key=True),
    Column("dev_eui", String(16), primary_key=True),
    Column("wave", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("problem", String(128), nullable=False),
    Column("have", BigInteger, nullable=False),  # bytes that the board has
    Column("gateway", String(16), nullable=False),
    Column("changed_at_s", BigInteger, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("prefix", String(8), primary_key=True),
    Column("last", Integer, nullable=False),
)


def create(connection: Connection) -> None:
    """Make all tables of a new register."""
    metadata.create_all(connection)
    for statement in guards.statements(connection.dialect.name):
        connection.execute(text(statement))
    connection.execute(insert(version).values(version_num=HEAD))
    connection.execute(insert(log_head).values(id=1, seq=0, sha256=bytes(32)))


def revision(connection: Connection) -> str | None:
    """The revision of the tables: `0001` when made before revisions were kept, None where there is no register."""
    inspector = inspect(connection)
    if inspector.has_table(version.name):
        return connection.execute(select(version.c.version_num)).scalar_one_or_none()
    return "0001" if inspector.has_table(revisions.VERSION_TABLE_BEFORE) else None


def is_sqlite(engine: Engine) -> bool:
    """Return whether the register is a file."""
    return engine.dialect.name == "sqlite"
