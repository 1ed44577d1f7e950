# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The tables of version 0.1.0: devices with sealed keys, gateways with certificates."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables. A register of version 0.1.0 has them: it is stamped, and this does not run."""
    op.create_table(
        "schema_version",
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("applied_at_s", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "city",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("created_at_s", sa.BigInteger, nullable=False),
        sa.Column("kek_check", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "devices",
        sa.Column("dev_eui", sa.String(16), primary_key=True),
        sa.Column("join_eui", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False, index=True),
        sa.Column("name", sa.String(128), nullable=False, unique=True),
        sa.Column("owner", sa.String(128)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at_s", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "credentials",
        sa.Column("dev_eui", sa.String(16), sa.ForeignKey("devices.dev_eui"), primary_key=True),
        sa.Column("purpose", sa.String(32), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(16), nullable=False, unique=True),
        sa.Column("rotated_at_s", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "gateways",
        sa.Column("eui", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(128), nullable=False, unique=True),
        sa.Column("certificate_pem", sa.Text, nullable=False),
        sa.Column("certificate_sha256", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("not_after_s", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at_s", sa.BigInteger, nullable=False),
    )
