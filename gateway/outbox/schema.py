# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The tables of the outbox, and how those of earlier versions become these."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

VERSION = 6
LOSS = 9
"""The rank of a notice of a loss: nothing is given up after it."""
ENDED = 10
"""The rank of a notice that a stream ended."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS stream (
    number INTEGER PRIMARY KEY,        -- the highest is the one that grows
    stream_id BLOB NOT NULL UNIQUE,
    next_record INTEGER NOT NULL,
    previous BLOB NOT NULL             -- digest of the last envelope; empty before the first
);
CREATE TABLE IF NOT EXISTS envelope (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of publication; never used again after pruning
    stream INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    message BLOB NOT NULL,
    digest BLOB NOT NULL,              -- of message: tells sound rows from damaged ones
    rank INTEGER NOT NULL DEFAULT 0,   -- the highest of its readings (records.reading.Rank); LOSS, ENDED: notices
    at REAL NOT NULL DEFAULT 0,        -- when it was stored, on the outbox's own clock (age.AgeClock)
    previous BLOB NOT NULL DEFAULT x'', -- digest of the envelope before; empty: the first, or not known any more
    tail BLOB NOT NULL DEFAULT x''     -- of a notice: digest of the last envelope that was lost
);
CREATE TABLE IF NOT EXISTS device (
    dev_eui BLOB PRIMARY KEY,
    contiguous INTEGER NOT NULL,
    runs BLOB NOT NULL,                -- what is held above it (receipts.Held.to_bytes); version 5: CBOR, all of it
    readings INTEGER NOT NULL,         -- held, ever
    gone INTEGER NOT NULL,             -- numbers that the device lost before we had them
    unreadable INTEGER NOT NULL,
    crc INTEGER,                       -- of this row: a flipped bit must not become a receipt; NULL: an older version's
    session BLOB NOT NULL DEFAULT x'',  -- tells the LoRaWAN session of its last frame from others; empty: none
    fcnt_up INTEGER NOT NULL DEFAULT 0 -- the counter expected after that frame; the sessions' own file may be behind
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gap (        -- of devices with many gaps: all but the newest, by parts (gaps.Part)
    dev_eui BLOB NOT NULL,
    first INTEGER NOT NULL,            -- the first number that is missing
    data BLOB NOT NULL,                -- the device's row has a checksum of all its parts
    PRIMARY KEY (dev_eui, first)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unreadable (
    dev_eui BLOB NOT NULL,
    seq INTEGER NOT NULL,
    raw BLOB NOT NULL,
    why TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (dev_eui, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lane (
    platform TEXT PRIMARY KEY,
    through INTEGER NOT NULL,          -- every envelope up to this id was taken by the platform
    readings INTEGER NOT NULL,         -- in what it took, ever
    dropped INTEGER NOT NULL DEFAULT 0, -- readings that were dropped before it took them, ever
    waiting BLOB NOT NULL DEFAULT x''  -- the spans of ids that wait (lanes.Lanes); empty: all after through
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS progress (
    platform TEXT NOT NULL,
    at REAL NOT NULL,                  -- on the outbox's own clock
    through INTEGER NOT NULL,
    PRIMARY KEY (platform, at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS receipted (
    platform TEXT NOT NULL,
    stream INTEGER NOT NULL,
    held BLOB NOT NULL,                -- ranges of record numbers (receipted.Held)
    PRIMARY KEY (platform, stream)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS receipted_through (
    platform TEXT PRIMARY KEY,
    through INTEGER NOT NULL           -- every envelope up to this id was receipted by the platform
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ended (   -- streams that damage ended (endings)
    number INTEGER PRIMARY KEY,
    stream_id BLOB NOT NULL,           -- empty: nobody knows
    last INTEGER NOT NULL,             -- the last record known of it
    saved INTEGER NOT NULL,            -- records that were rescued and go on
    lost INTEGER,                      -- records that were not, and that not every platform has; NULL: nobody knows
    told_in INTEGER NOT NULL DEFAULT 0, -- id of the notice; 0: not told yet
    records INTEGER NOT NULL DEFAULT 0 -- how many records notices of it took
);
CREATE TABLE IF NOT EXISTS ran (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seconds REAL NOT NULL              -- how long this outbox was in use, ever: the clock that nobody sets
);
"""

_FROM_1 = """
ALTER TABLE envelope ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
ALTER TABLE envelope ADD COLUMN at REAL NOT NULL DEFAULT 0;
ALTER TABLE envelope ADD COLUMN previous BLOB NOT NULL DEFAULT x'';
ALTER TABLE envelope ADD COLUMN tail BLOB NOT NULL DEFAULT x'';
ALTER TABLE lane ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lane ADD COLUMN waiting BLOB NOT NULL DEFAULT x'';
ALTER TABLE device ADD COLUMN crc INTEGER;
DELETE FROM progress;
"""
_FROM_3 = """
ALTER TABLE device ADD COLUMN session BLOB NOT NULL DEFAULT x'';
ALTER TABLE device ADD COLUMN fcnt_up INTEGER NOT NULL DEFAULT 0;
"""


def prepare(connection: sqlite3.Connection) -> None:
    """Bring the tables up to this version, in one commit. The connection is in no transaction."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version >= VERSION:
        return
    columns = {row[1] for row in connection.execute("PRAGMA table_info(envelope)")}
    steps = _FROM_1 if columns and "rank" not in columns else ""
    columns = {row[1] for row in connection.execute("PRAGMA table_info(device)")}
    steps += _FROM_3 if columns and "session" not in columns else ""
    index = "CREATE INDEX IF NOT EXISTS envelope_by_rank ON envelope (rank);"
    # Without comments: the file keeps the text, and all of it in its first page is the least that damage can meet.
    tables = re.sub(r"\s*--[^\n]*", "", SCHEMA)
    connection.executescript(f"BEGIN IMMEDIATE;{steps}{tables}{index}PRAGMA user_version = {VERSION};COMMIT;")
