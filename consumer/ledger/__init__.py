# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A durable consumer: every verified reading once in a database, with the signed message that proves it.

`open_ledger(url)` gives the database: `sqlite:FILE` or `postgresql://…` (which needs the package psycopg).
"""

from consumer.ledger.database import Database, open_database
from consumer.ledger.store import Ledger

__all__ = ["Database", "Ledger", "open_ledger"]


def open_ledger(url: str) -> Ledger:
    """Open or make the ledger that *url* names. Raises LedgerError."""
    return Ledger(open_database(url))
