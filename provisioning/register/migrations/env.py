# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Alembic's environment: it is handed an open connection and runs in the caller's transaction."""

from alembic import context

from provisioning.register import tables

context.configure(connection=context.config.attributes["connection"], target_metadata=tables.metadata)
context.run_migrations()
