# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Triggers that let the log only grow. Who owns the database can drop them: then the chain of hashes tells."""

from __future__ import annotations

from typing import Final

MESSAGE: Final = "the log only grows"

_SQLITE = [
    f"CREATE TRIGGER log_no_{action.lower()} BEFORE {action} ON log BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
    for action in ("UPDATE", "DELETE")
]
_POSTGRESQL = [
    f"CREATE FUNCTION log_only_grows() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION '{MESSAGE}'; END $$ "
    "LANGUAGE plpgsql",
    "CREATE TRIGGER log_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON log "
    "FOR EACH STATEMENT EXECUTE FUNCTION log_only_grows()",
]


def statements(dialect: str) -> list[str]:
    """Return the SQL for this kind of database."""
    return list({"sqlite": _SQLITE, "postgresql": _POSTGRESQL}.get(dialect, []))
