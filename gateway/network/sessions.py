# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Sessions and nonces on disk. A small surface, so that several gateways can share one PostgreSQL later.

Writes collect in one transaction until ``commit``; a frame counter moves by a conditional UPDATE, so that of two
gateways that hear the same frame one wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway import late_check
from gateway.errors import StoreCorrupt, StoreUnavailable
from gateway.late_check import LateCheck
from gateway.network import kept_commands, radio_state
from gateway.network.channels import ChannelPlan
from gateway.network.options import DEFAULT_MASK, GATEWAY_CHANNELS
from gateway.operate.logs import EventLog
from gateway.sqlite_files import check_mark, damaged, open_database, set_aside, translated

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from gateway.network.keyring import Keyring
    from gateway.network.radio_state import RadioState

SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS nonces (
    dev_eui BLOB PRIMARY KEY,
    dev_nonce INTEGER NOT NULL,   -- the last one that was accepted
    join_nonce INTEGER NOT NULL   -- the last one that was given out
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS random_nonce (
    dev_eui BLOB NOT NULL,
    dev_nonce INTEGER NOT NULL,   -- every one that was used, of devices that draw them at random
    PRIMARY KEY (dev_eui, dev_nonce)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS session (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    dev_eui BLOB NOT NULL,
    dev_addr INTEGER NOT NULL UNIQUE,
    keys BLOB NOT NULL,           -- NwkSKey | AppSKey, encrypted
    fcnt_up INTEGER NOT NULL,     -- the next one expected
    fcnt_down INTEGER NOT NULL,   -- every one below may have been used
    confirmed INTEGER NOT NULL    -- 1 once an uplink came in it
);
CREATE INDEX IF NOT EXISTS session_of_device ON session (dev_eui);
"""
    + radio_state.SCHEMA
    + kept_commands.SCHEMA
)


@dataclass(frozen=True, slots=True)
class Nonces:
    """The last nonces of one device; -1 before the first."""

    dev_nonce: int = -1
    join_nonce: int = -1


@dataclass(frozen=True, slots=True)
class StoredSession:
    """One row of the session table, its keys in clear."""

    row: int
    dev_eui: bytes
    dev_addr: int
    nwk_skey: bytes
    app_skey: bytes
    fcnt_up: int
    fcnt_down: int
    confirmed: bool
    join_nonce: int = 0


class SessionStore:
    """One SQLite file. Every method may raise StoreUnavailable; then call ``rollback``."""

    def __init__(self, path: Path, keyring: Keyring) -> None:
        self._keyring = keyring
        self._advanced: dict[int, int] = {}
        """Counters that moved since the last commit, by row."""
        self._late: LateCheck | None = None
        try:
            self._db = self._open(path)
        except StoreCorrupt as error:
            aside = set_aside(path)
            EventLog("network").error(
                "sessions_damaged", file=path, kept_as=aside, why=error, effect="devices have to join again"
            )
            self._db = open_database(path, SCHEMA)

    def _open(self, path: Path) -> sqlite3.Connection:
        late = late_check.is_late(path)
        if late:
            check_mark(path)
        opened = open_database(path, SCHEMA, check=not late)
        if late:
            self._late = LateCheck(path)
        return opened

    def nonces(self, dev_eui: bytes) -> Nonces:
        """Return the last nonces of a device."""
        with translated(self._db):
            row = self._db.execute("SELECT dev_nonce, join_nonce FROM nonces WHERE dev_eui = ?", (dev_eui,)).fetchone()
        return Nonces(*row) if row else Nonces()

    def set_nonces(self, dev_eui: bytes, nonces: Nonces) -> None:
        """Remember what was used."""
        self._write("INSERT OR REPLACE INTO nonces VALUES (?, ?, ?)", dev_eui, nonces.dev_nonce, nonces.join_nonce)

    def use_random_nonce(self, dev_eui: bytes, dev_nonce: int) -> bool:
        """Take a DevNonce of a device that draws them at random; False when it was used before."""
        return self._write("INSERT OR IGNORE INTO random_nonce VALUES (?, ?)", dev_eui, dev_nonce) == 1

    def forget_dev_nonce(self, dev_eui: bytes) -> bool:
        """Let a device that was wiped count from 0 again; False when it never joined. Its JoinNonces still grow."""
        self._write("DELETE FROM random_nonce WHERE dev_eui = ?", dev_eui)
        return self._write("UPDATE nonces SET dev_nonce = -1 WHERE dev_eui = ?", dev_eui) == 1

    def address_is_free(self, dev_addr: int) -> bool:
        """Tell whether no session has the address."""
        with translated(self._db):
            found = self._db.execute("SELECT 1 FROM session WHERE dev_addr = ?", (dev_addr,)).fetchone()
        return found is None

    def add(
        self,
        dev_eui: bytes,
        dev_addr: int,
        keys: tuple[bytes, bytes],
        join_nonce: int,
        radio: RadioState,
        plan: ChannelPlan,
    ) -> list[int]:
        """Add a session that waits for its first uplink; return the addresses of those it displaces.

        *keys*: NwkSKey, AppSKey.

        The confirmed session stays: if the accept is lost the device goes on with it.
        """
        displaced = self._addresses("SELECT dev_addr FROM session WHERE dev_eui = ? AND confirmed = 0", dev_eui)
        self._write("DELETE FROM session WHERE dev_eui = ? AND confirmed = 0", dev_eui)
        sealed = self._keyring.seal(b"".join(keys), dev_eui, dev_addr)
        self._write(
            "INSERT INTO session (dev_eui, dev_addr, keys, fcnt_up, fcnt_down, confirmed) VALUES (?, ?, ?, 0, 0, 0)",
            dev_eui,
            dev_addr,
            sealed,
        )
        row = self._row(dev_addr)
        self.set_radio(row, radio)
        self._write("INSERT INTO session_more VALUES (?, ?, ?)", row, join_nonce, plan.to_json())
        return displaced

    def radio(self, row: int) -> RadioState:
        """Return what is agreed about a session's radio."""
        with translated(self._db):
            return radio_state.from_row(self._db.execute(radio_state.SELECT, (row,)).fetchone())

    def set_radio(self, row: int, state: RadioState) -> None:
        """Remember what is agreed now."""
        self._write(radio_state.REPLACE, row, *radio_state.to_row(state))

    def plan(self, row: int) -> ChannelPlan:
        """Return what channels a session's device has."""
        with translated(self._db):
            found = self._db.execute("SELECT plan FROM session_more WHERE session = ?", (row,)).fetchone()
        if found is not None:
            return ChannelPlan.from_json(found[0])
        listed = self.radio(row).channels != DEFAULT_MASK  # joined before there were plans, with the CFList of then
        return ChannelPlan(dict(enumerate(GATEWAY_CHANNELS, DEFAULT_MASK.bit_length())) if listed else {})

    def set_plan(self, row: int, plan: ChannelPlan) -> None:
        """Remember what channels the device has now."""
        self._write(
            "INSERT INTO session_more VALUES (?, 0, ?) ON CONFLICT (session) DO UPDATE SET plan = excluded.plan",
            row,
            plan.to_json(),
        )

    def address_of(self, dev_eui: bytes) -> int | None:
        """Return the address of the session that a device is known to use."""
        found = self._addresses("SELECT dev_addr FROM session WHERE dev_eui = ? AND confirmed = 1", dev_eui)
        return found[0] if found else None

    def by_address(self, dev_addr: int) -> StoredSession | None:
        """Return the session of an address."""
        with translated(self._db):
            row = self._db.execute(
                "SELECT id, dev_eui, dev_addr, keys, fcnt_up, fcnt_down, confirmed, coalesce(join_nonce, 0) "
                "FROM session LEFT JOIN session_more ON session = id WHERE dev_addr = ?",
                (dev_addr,),
            ).fetchone()
        if row is None:
            return None
        keys = self._keyring.open(row[3], row[1], row[2])
        fcnt_up = max(row[4], self._advanced.get(row[0], 0))
        return StoredSession(row[0], row[1], row[2], keys[:16], keys[16:], fcnt_up, row[5], bool(row[6]), row[7])

    def advance(self, row: int, fcnt_up: int) -> bool:
        """Move the uplink counter to *fcnt_up*, the next expected; False when somebody was there first."""
        if self._advanced.get(row, -1) >= fcnt_up:
            return False
        self._advanced[row] = fcnt_up
        return True

    def reserve_down(self, row: int, fcnt_down: int) -> None:
        """Remember that every downlink counter below *fcnt_down* may be used from now on."""
        self._write("UPDATE session SET fcnt_down = ? WHERE id = ? AND fcnt_down < ?", fcnt_down, row, fcnt_down)

    def confirm(self, row: int, dev_eui: bytes) -> list[int]:
        """The first uplink in a session ends the device's other ones; return their addresses."""
        ended = self._addresses("SELECT dev_addr FROM session WHERE dev_eui = ? AND id != ?", dev_eui, row)
        self._write("DELETE FROM session WHERE dev_eui = ? AND id != ?", dev_eui, row)
        self._write("UPDATE session SET confirmed = 1 WHERE id = ?", row)
        return ended

    def put_downlink(self, values: tuple[object, ...]) -> int:
        """Add a row of the table ``downlink``, without its id; return the id."""
        self._write(
            "INSERT INTO downlink (dev_eui, fport, payload, confirmed, priority, expires_at, tries) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            *values,
        )
        with translated(self._db):
            return int(self._db.execute("SELECT last_insert_rowid()").fetchone()[0])

    def note_tries(self, row: int, tries: int) -> None:
        """Remember how often a downlink was sent."""
        self._write("UPDATE downlink SET tries = ? WHERE id = ?", tries, row)

    def drop_downlink(self, row: int) -> None:
        """Forget a downlink whose fate is known."""
        self._write("DELETE FROM downlink WHERE id = ?", row)

    def downlinks(self) -> list[tuple[Any, ...]]:
        """Return the rows of the table ``downlink`` in the order they were queued."""
        with translated(self._db):
            return self._db.execute("SELECT * FROM downlink ORDER BY id").fetchall()

    def write(self, statement: str, *values: object) -> int:
        """Change tables of others in this file, in the same transaction; return how many rows."""
        return self._write(statement, *values)

    def read(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask tables of others in this file."""
        with translated(self._db):
            return self._db.execute(query, values).fetchall()

    @property
    def only_counters(self) -> bool:
        """Whether nothing but counters has changed since the last commit."""
        return not self._db.in_transaction

    @property
    def lags(self) -> bool:
        """Whether counters have moved since the last commit."""
        return bool(self._advanced)

    def commit(self) -> None:
        """Put everything since the last commit on disk. Raises StoreCorrupt too, when the late check found damage."""
        if self._late is not None and self._late.damage:
            raise damaged(self._db, self._late.damage)
        self._advance_all()
        with translated(self._db):
            if self._db.in_transaction:
                self._db.execute("COMMIT")

    def rollback(self) -> None:
        """Forget everything since the last commit."""
        self._advanced.clear()
        with translated(self._db):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file; what was not committed is lost."""
        if self._late is not None:
            self._late.close()
        self._db.close()

    def _advance_all(self) -> None:
        """Move the counters, all in one statement: one by one each costs more than the rest of its frame."""
        if not self._advanced:
            return
        moved, self._advanced = self._advanced, {}
        with translated(self._db):
            if not self._db.in_transaction:
                self._db.execute("BEGIN IMMEDIATE")
            done = self._db.executemany(
                "UPDATE session SET fcnt_up = ? WHERE id = ? AND fcnt_up < ?",
                [(fcnt_up, row, fcnt_up) for row, fcnt_up in moved.items()],
            ).rowcount
        if done != len(moved):
            raise StoreUnavailable(f"{len(moved) - done} frame counters were moved by somebody else")

    def _write(self, statement: str, *values: object) -> int:
        self._advance_all()  # in the order in which things happened
        with translated(self._db):
            if not self._db.in_transaction:
                self._db.execute("BEGIN IMMEDIATE")
            return self._db.execute(statement, values).rowcount

    def _row(self, dev_addr: int) -> int:
        with translated(self._db):
            return int(self._db.execute("SELECT id FROM session WHERE dev_addr = ?", (dev_addr,)).fetchone()[0])

    def _addresses(self, query: str, *values: object) -> list[int]:
        with translated(self._db):
            return [int(row[0]) for row in self._db.execute(query, values)]
