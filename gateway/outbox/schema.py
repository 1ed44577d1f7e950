# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The tables of the outbox."""

from __future__ import annotations

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
    digest BLOB NOT NULL               -- of message: tells sound rows from damaged ones
);
CREATE TABLE IF NOT EXISTS device (
    dev_eui BLOB PRIMARY KEY,
    contiguous INTEGER NOT NULL,
    runs BLOB NOT NULL,
    readings INTEGER NOT NULL,         -- held, ever
    gone INTEGER NOT NULL,             -- numbers that the device lost before we had them
    unreadable INTEGER NOT NULL
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
    readings INTEGER NOT NULL          -- in those, ever
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS progress (
    platform TEXT NOT NULL,
    at REAL NOT NULL,
    through INTEGER NOT NULL,
    PRIMARY KEY (platform, at)
) WITHOUT ROWID;
"""
