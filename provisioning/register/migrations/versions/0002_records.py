# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Devices become records with an id of the register; organisations, papers and the log come in.

Nothing of an older register is lost: each device becomes a record of a test device, which is what it can prove to be.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from provisioning.register import guards

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# What the kinds of 0.1.0 are called by the guidelines, and the ids they get.
_KINDS = {
    "street_light": ("streetlight_controller", "LJU", "both"),
    "waste_bin": ("waste_level", "AVF", "sensor"),
    "traffic": ("traffic_counter", "TRK", "sensor"),
}
_KEPT = ("dev_eui", "join_eui", "kind", "name", "state", "created_at_s", "owner")
_OTHER = ("other", "OVR", "sensor")


def upgrade() -> None:
    """Make the new tables and move what there is."""
    connection = op.get_bind()
    old = connection.execute(sa.text("SELECT * FROM devices ORDER BY created_at_s, dev_eui")).mappings().all()
    keys = connection.execute(sa.text("SELECT * FROM credentials")).mappings().all()
    op.drop_table("credentials")
    op.drop_table("devices")
    op.drop_table("schema_version")
    op.add_column("city", sa.Column("fingerprint_key", sa.LargeBinary))
    devices, credentials = _device_tables()
    _log_tables()
    for name in ("organisations", "role_holders", "platforms", "datasets"):
        op.create_table(
            name,
            sa.Column("id", sa.String(128), primary_key=True),
            sa.Column("body", sa.Text, nullable=False),
            sa.Column("revision", sa.BigInteger, nullable=False),
        )
    _paper_tables()
    for statement in guards.statements(connection.dialect.name):
        op.execute(statement)
    _move(connection, devices, credentials, old, keys)


def _device_tables() -> tuple[sa.Table, sa.Table]:
    devices = op.create_table(
        "devices",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("dev_eui", sa.String(16), unique=True),
        sa.Column("join_eui", sa.String(16)),
        sa.Column("kind", sa.String(64), nullable=False, index=True),
        sa.Column("record_kind", sa.String(64), nullable=False, index=True),
        sa.Column("name", sa.String(128), nullable=False, unique=True),
        sa.Column("owner", sa.String(128), index=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False, index=True),
        sa.Column("batch", sa.String(128), index=True),
        sa.Column("asset", sa.String(128), index=True),
        sa.Column("segment", sa.String(128), index=True),
        sa.Column("fingerprint", sa.String(80), index=True),
        sa.Column("cell", sa.BigInteger, index=True),
        sa.Column("lat", sa.Float(53)),
        sa.Column("lon", sa.Float(53)),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("input_sha256", sa.LargeBinary(32)),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at_s", sa.BigInteger, nullable=False),
    )
    credentials = op.create_table(
        "credentials",
        sa.Column("dev_eui", sa.String(16), sa.ForeignKey("devices.dev_eui"), primary_key=True),
        sa.Column("purpose", sa.String(32), primary_key=True),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("fingerprint", sa.LargeBinary(16), nullable=False, unique=True),
        sa.Column("rotated_at_s", sa.BigInteger, nullable=False),
        sa.Column("revoked_at_s", sa.BigInteger),
    )
    return devices, credentials


def _log_tables() -> None:
    op.create_table(
        "log",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_s", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False, index=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
    )
    head = op.create_table(
        "log_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "sha256": bytes(32)}])


def _paper_tables() -> None:
    op.create_table(
        "papers",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("type", sa.String(16), nullable=False, index=True),
        sa.Column("batch", sa.String(128), index=True),
        sa.Column("platform", sa.String(128), index=True),
        sa.Column("expires_at_s", sa.BigInteger, nullable=False, index=True),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "paper_devices",
        sa.Column("paper", sa.String(128), sa.ForeignKey("papers.id"), primary_key=True),
        sa.Column("device", sa.String(16), primary_key=True, index=True),
    )


def _move(connection: sa.Connection, devices: sa.Table, credentials: sa.Table, old: Any, keys: Any) -> None:
    counters = op.create_table(
        "counters",
        sa.Column("prefix", sa.String(8), primary_key=True),
        sa.Column("last", sa.Integer, nullable=False),
    )
    fingerprints = {row["dev_eui"]: f"hmac:{bytes(row['fingerprint']).hex()}" for row in keys}
    last: dict[str, int] = {}
    for row in old:
        kind, prefix, role = _KINDS.get(row["kind"], _OTHER)
        last[prefix] = last.get(prefix, 0) + 1
        device_id = f"{prefix}-{last[prefix]:04}"
        record = _record(row, device_id, kind, role, fingerprints.get(row["dev_eui"]))
        connection.execute(
            devices.insert().values(
                **{
                    name: row[name]
                    for name in ("dev_eui", "join_eui", "kind", "name", "state", "created_at_s", "owner")
                },
                id=device_id,
                record_kind=kind,
                stage=record["lifecycle"]["stage"],
                fingerprint=fingerprints.get(row["dev_eui"]),
                record=json.dumps(record, ensure_ascii=False, separators=(",", ":"), sort_keys=True),
                revision=0,
            )
        )
    for row in keys:
        connection.execute(credentials.insert().values(**row))
    for prefix, number in last.items():
        connection.execute(counters.insert().values(prefix=prefix, last=number))


def _record(row: Any, device_id: str, kind: str, role: str, fingerprint: str | None) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": device_id,
        "urn": f"urn:ngsi-ld:Device:{device_id}",
        "name": row["name"],
        "kind": kind,
        "wire_kind": row["kind"],
        "role": role,
        "identity": {"dev_eui": row["dev_eui"], "join_eui": row["join_eui"]},
        "lifecycle": {"stage": "retired" if row["state"] == "retired" else "approved", "testbed": True},
    }
    if row["owner"]:  # any text until now, not yet the id of an organisation
        record["need"] = {"summary": f"Taken over from version 0.1.0; owner: {row['owner']}"}
    if fingerprint:
        record["credentials"] = {"kind": "otaa", "fingerprint": fingerprint, "store_ref": "register:app_key"}
    return record
