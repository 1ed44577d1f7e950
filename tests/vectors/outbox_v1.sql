-- SPDX-FileCopyrightText: 2026 The Lykta developers
-- SPDX-License-Identifier: Apache-2.0
-- The tables of the outbox as version 0.1.0 made them first, with two records: one envelope, taken by one platform.
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
INSERT INTO stream VALUES (1, x'0102030405060708', 3, x'4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a');
INSERT INTO envelope VALUES (1, 1, 1, 2, x'01', x'4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a');
INSERT INTO lane VALUES ('city', 1, 2);
INSERT INTO device VALUES (x'0000000000000001', 2, x'80', 2, 0, 0);
INSERT INTO progress VALUES ('city', 1790000000.0, 1);
