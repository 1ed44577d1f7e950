# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The tables of a ledger. They are meant to be read by a platform's own queries: `reading` is what it is all for."""

from __future__ import annotations

from typing import Final

from consumer.errors import LedgerError
from consumer.ledger.database import Database

VERSION: Final = 1

_TABLES: Final = (
    "CREATE TABLE ledger (version INTEGER NOT NULL)",
    "CREATE TABLE certificate (sha256 BLOB PRIMARY KEY, gateway TEXT NOT NULL, pem BLOB NOT NULL)",
    "CREATE TABLE stream (number INTEGER PRIMARY KEY, gateway TEXT NOT NULL, stream_id BLOB NOT NULL, "
    "UNIQUE (gateway, stream_id))",
    # Every signed message as it came: the proof.
    "CREATE TABLE envelope (stream INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, "
    "serial INTEGER NOT NULL, iat INTEGER NOT NULL, received REAL NOT NULL, previous BLOB NOT NULL, "
    "digest BLOB NOT NULL, message BLOB NOT NULL, PRIMARY KEY (stream, first))",
    "CREATE UNIQUE INDEX envelope_by_last ON envelope (stream, last)",
    "CREATE UNIQUE INDEX envelope_by_serial ON envelope (serial)",
    "CREATE INDEX envelope_by_iat ON envelope (stream, iat)",
    # What a gateway said, signed, that it gave up.
    "CREATE TABLE loss (stream INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, iat INTEGER NOT NULL, "
    "received REAL NOT NULL, previous BLOB NOT NULL, tail BLOB NOT NULL, why TEXT NOT NULL, message BLOB NOT NULL, "
    "PRIMARY KEY (stream, first, last))",
    # Which record numbers were told, as ranges: few rows however long the stream.
    "CREATE TABLE span (stream INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, "
    "PRIMARY KEY (stream, first))",
    "CREATE TABLE reading (dev_eui TEXT NOT NULL, seq INTEGER NOT NULL, time REAL NOT NULL, time_source TEXT NOT NULL, "
    "measured TEXT NOT NULL, units TEXT NOT NULL, stream INTEGER NOT NULL, record INTEGER NOT NULL, "
    "PRIMARY KEY (dev_eui, seq))",
    "CREATE INDEX reading_by_time ON reading (time)",
    "CREATE UNIQUE INDEX reading_by_record ON reading (stream, record)",
    # The same reading of a device in a second record.
    "CREATE TABLE duplicate (stream INTEGER NOT NULL, record INTEGER NOT NULL, dev_eui TEXT NOT NULL, "
    "seq INTEGER NOT NULL, PRIMARY KEY (stream, record))",
    # Authentic messages that contradict others: evidence.
    "CREATE TABLE fork (digest BLOB PRIMARY KEY, stream INTEGER NOT NULL, first INTEGER NOT NULL, "
    "last INTEGER NOT NULL, received REAL NOT NULL, why TEXT NOT NULL, message BLOB NOT NULL)",
    # Messages whose gateway's certificate has not come yet.
    "CREATE TABLE waiting (digest BLOB PRIMARY KEY, received REAL NOT NULL, message BLOB NOT NULL)",
    # What was written to files besides: up to which envelope, and how long each file is.
    "CREATE TABLE exported (folder TEXT PRIMARY KEY, serial INTEGER NOT NULL)",
    "CREATE TABLE exported_file (folder TEXT NOT NULL, file TEXT NOT NULL, size INTEGER NOT NULL, "
    "PRIMARY KEY (folder, file))",
    "CREATE TABLE refused (reason TEXT PRIMARY KEY, messages INTEGER NOT NULL, example TEXT NOT NULL)",
)


def prepare(database: Database) -> None:
    """Make the tables of a new ledger; refuse what is no ledger, or one of a newer version. Raises LedgerError."""
    with database.transaction():
        if "ledger" not in database.tables():
            taken = sorted(database.tables())
            if taken:
                raise LedgerError(
                    f"{database.name} has tables of something else ({', '.join(taken)[:100]}); give an empty database"
                )
            for statement in _TABLES:
                database.execute(statement)
            database.execute("INSERT INTO ledger (version) VALUES (?)", (VERSION,))
        rows = database.rows("SELECT version FROM ledger")
    if rows != [(VERSION,)]:
        found = rows[0][0] if rows else "unknown"
        raise LedgerError(
            f"{database.name} is a ledger of version {found}; this program knows version {VERSION}: install a newer one"
        )
