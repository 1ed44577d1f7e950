# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What is agreed with a device about its radio, in a table of its own: session files of before get it when opened."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from firmware.wire.region import RX2_DR, RX2_HZ
from gateway.network.options import DEFAULT_MASK

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA = """
CREATE TABLE IF NOT EXISTS session_radio (
    session INTEGER PRIMARY KEY,   -- session.id
    rx1_delay_s INTEGER NOT NULL,
    rx1_dr_offset INTEGER NOT NULL,
    rx2_dr INTEGER NOT NULL,
    rx2_hz INTEGER NOT NULL,
    channels INTEGER NOT NULL,     -- bit i: channel i is enabled
    dr INTEGER NOT NULL,
    tx_power INTEGER NOT NULL,     -- index; each 2 dB below full power
    nb_trans INTEGER NOT NULL,
    battery INTEGER,               -- 0 mains, 1 to 254, 255 unknown; of the last DevStatusAns
    margin_db INTEGER,             -- SNR of the last DevStatusReq at the device
    status_at REAL,                -- Unix time of the last DevStatusAns
    link TEXT NOT NULL,            -- by which way it was heard best the last time
    address TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS session_radio_ends AFTER DELETE ON session
BEGIN DELETE FROM session_radio WHERE session = old.id; END;
CREATE TABLE IF NOT EXISTS downlink (
    id INTEGER PRIMARY KEY AUTOINCREMENT,   -- the order in which they were queued
    dev_eui BLOB NOT NULL,
    fport INTEGER NOT NULL,
    payload BLOB NOT NULL,
    confirmed INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    expires_at REAL,               -- Unix time; NULL: never
    tries INTEGER NOT NULL         -- how often a gateway took it
);
CREATE TABLE IF NOT EXISTS session_more (
    session INTEGER PRIMARY KEY,  -- session.id; sessions of before have no row
    join_nonce INTEGER NOT NULL,
    plan TEXT NOT NULL            -- the device's channels, JSON
);
CREATE TRIGGER IF NOT EXISTS session_more_ends AFTER DELETE ON session
BEGIN DELETE FROM session_more WHERE session = old.id; END;
"""


@dataclass(slots=True)
class RadioState:
    """What the network believes of a device's radio. The defaults are those of a device that has just joined."""

    rx1_delay_s: int = 1
    rx1_dr_offset: int = 0
    rx2_dr: int = RX2_DR
    rx2_hz: int = RX2_HZ
    channels: int = DEFAULT_MASK
    dr: int = 0
    tx_power: int = 0
    nb_trans: int = 1
    battery: int | None = None
    margin_db: int | None = None
    status_at: float | None = None
    link: str = ""
    address: str = ""


_NAMES = tuple(field.name for field in fields(RadioState))
SELECT = f"SELECT {', '.join(_NAMES)} FROM session_radio WHERE session = ?"  # noqa: S608 - names of this file
REPLACE = (
    f"INSERT OR REPLACE INTO session_radio (session, {', '.join(_NAMES)}) "  # noqa: S608 - as above
    f"VALUES (?{', ?' * len(_NAMES)})"
)


def from_row(row: Sequence[Any] | None) -> RadioState:
    """Return what a row of ``SELECT`` says; the defaults for a session without one."""
    return RadioState(*row) if row else RadioState()


def to_row(state: RadioState) -> tuple[object, ...]:
    """Return the values for ``REPLACE``, after the session's id."""
    return tuple(getattr(state, name) for name in _NAMES)
