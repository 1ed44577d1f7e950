# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Commands on disk, in the session file: beside the downlinks that carry them, in the same transactions.

What was ordered, what became of it and what has still to be answered. A command is remembered for longer than it is
valid, so that its message has one effect however often it comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.network.sessions import SessionStore

SCHEMA = """
CREATE TABLE IF NOT EXISTS command (
    commander TEXT NOT NULL,
    id BLOB NOT NULL,
    sha256 BLOB NOT NULL,         -- of the message: another one under the same id is refused
    platform TEXT NOT NULL,       -- where it came from and its answers go
    verb TEXT NOT NULL,
    taken_at REAL NOT NULL,       -- Unix time
    expires_at REAL NOT NULL,     -- Unix time
    answer BLOB NOT NULL,         -- the signed result for the command as a whole
    PRIMARY KEY (commander, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS command_device (
    commander TEXT NOT NULL,
    id BLOB NOT NULL,
    dev_eui BLOB NOT NULL,
    number INTEGER NOT NULL,      -- of the request, as the device's answer names it
    state TEXT NOT NULL,          -- queued, then what consumer.results calls final
    kind TEXT NOT NULL,
    wanted TEXT NOT NULL,         -- JSON: keys of settings that the answer has still to name
    said TEXT NOT NULL,           -- JSON: what the device has said so far
    tries INTEGER NOT NULL,
    asked_at REAL,                -- Unix time at which the device had it; NULL before
    expires_at REAL NOT NULL,
    fport INTEGER NOT NULL,
    request BLOB NOT NULL,
    answer BLOB,                  -- the signed result
    PRIMARY KEY (commander, id, dev_eui)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS command_number ON command_device (dev_eui, number);
CREATE INDEX IF NOT EXISTS command_open ON command_device (expires_at) WHERE state = 'queued';
CREATE TABLE IF NOT EXISTS command_answer (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    platform TEXT NOT NULL,
    topic TEXT NOT NULL,          -- <commander>/<id>
    message BLOB NOT NULL
);
"""
KEEP_S = 30 * 86400.0
"""After the end of a command, for whoever asks what became of it."""
MAX_DEVICE_ROWS = 200_000
MAX_ANSWERS = 50_000
_COLUMNS = "commander, id, dev_eui, number, kind, wanted, said, tries, asked_at, expires_at, fport, request"
_OPEN = f"SELECT {_COLUMNS} FROM command_device WHERE state = 'queued' AND "  # noqa: S608 - no value in it
_INSERT = f"INSERT INTO command_device ({_COLUMNS}, state) VALUES ({'?, ' * 12}'queued')"  # noqa: S608 - nor here


@dataclass(slots=True)
class Pending:
    """A command for one device that is not over."""

    commander: str
    id: bytes
    dev_eui: bytes
    number: int
    kind: str
    wanted: str
    said: str
    tries: int
    asked_at: float | None
    expires_at: float
    fport: int
    request: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A signed result that a platform has not taken yet."""

    row: int
    topic: str
    message: bytes


class KeptCommands:
    """The tables. Every method may raise StoreUnavailable; what is written is durable after the store's commit."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    def known(self, commander: str, command_id: bytes) -> tuple[bytes, bytes] | None:
        """Return digest and answer of a command that was taken before."""
        rows = self._store.read(
            "SELECT sha256, answer FROM command WHERE commander = ? AND id = ?", commander, command_id
        )
        return (bytes(rows[0][0]), bytes(rows[0][1])) if rows else None

    def add(self, commander: str, command_id: bytes, digest: bytes, *rest: object) -> None:
        """Note a command; *rest*: platform, verb, taken_at, expires_at, answer."""
        self._store.write("INSERT INTO command VALUES (?, ?, ?, ?, ?, ?, ?, ?)", commander, command_id, digest, *rest)

    def add_device(self, pending: Pending) -> None:
        """Note that it was queued for a device."""
        self._store.write(
            _INSERT,
            *(getattr(pending, name) for name in _COLUMNS.split(", ")),
        )

    def numbers(self, dev_eui: bytes) -> set[int]:
        """Return the request numbers that answers of this device may still name."""
        return {row[0] for row in self._store.read("SELECT number FROM command_device WHERE dev_eui = ?", dev_eui)}

    def pending(self, dev_eui: bytes, number: int) -> Pending | None:
        """Return the command that a request number stands for, unless it is over."""
        query = _OPEN + "dev_eui = ? AND number = ?"
        rows = self._store.read(query, dev_eui, number)
        return Pending(*rows[0]) if rows else None

    def unasked(self) -> list[Pending]:
        """Return what no device is known to have."""
        query = _OPEN + "asked_at IS NULL"
        return [Pending(*row) for row in self._store.read(query)]

    def asked_before(self, wall_s: float) -> list[Pending]:
        """Return what devices had before a time and have not answered, or what has expired by now, in part."""
        query = _OPEN + "asked_at < ? LIMIT 500"
        return [Pending(*row) for row in self._store.read(query, wall_s)]

    def expired(self, wall_s: float) -> list[Pending]:
        """Return what can reach no device any more."""
        query = _OPEN + "expires_at < ? LIMIT 500"
        return [Pending(*row) for row in self._store.read(query, wall_s)]

    def update(self, pending: Pending) -> None:
        """Note how far it came."""
        self._store.write(
            "UPDATE command_device SET wanted = ?, said = ?, tries = ?, asked_at = ? "
            "WHERE commander = ? AND id = ? AND dev_eui = ?",
            *(pending.wanted, pending.said, pending.tries, pending.asked_at),
            *(pending.commander, pending.id, pending.dev_eui),
        )

    def finish(self, pending: Pending, state: str, message: bytes) -> None:
        """It is over: *message* says how."""
        self._store.write(
            "UPDATE command_device SET state = ?, answer = ? WHERE commander = ? AND id = ? AND dev_eui = ?",
            *(state, message, pending.commander, pending.id, pending.dev_eui),
        )
        rows = self._store.read(
            "SELECT platform FROM command WHERE commander = ? AND id = ?", pending.commander, pending.id
        )
        if rows:
            self.put_answer(rows[0][0], f"{pending.commander}/{pending.id.hex()}", message)

    def answers_of(self, commander: str, command_id: bytes) -> list[bytes]:
        """Return what devices' parts of a command came to, as it was answered."""
        query = "SELECT answer FROM command_device WHERE commander = ? AND id = ? AND answer IS NOT NULL"
        return [bytes(row[0]) for row in self._store.read(query, commander, command_id)]

    def put_answer(self, platform: str, topic: str, message: bytes) -> None:
        """Queue an answer for a platform. Beyond a bound the oldest goes: whoever asks again gets it again."""
        self._store.write(
            "INSERT INTO command_answer (platform, topic, message) VALUES (?, ?, ?)", platform, topic, message
        )
        self._store.write(
            "DELETE FROM command_answer WHERE row <= (SELECT max(row) FROM command_answer) - ?", MAX_ANSWERS
        )

    def answers(self, platform: str, after: int, most: int) -> list[Answer]:
        """Return answers for a platform, oldest first."""
        query = "SELECT row, topic, message FROM command_answer WHERE platform = ? AND row > ? ORDER BY row LIMIT ?"
        return [Answer(*row) for row in self._store.read(query, platform, after, most)]

    def drop_answers(self, rows: Iterable[int]) -> None:
        """The platform has them."""
        for row in rows:
            self._store.write("DELETE FROM command_answer WHERE row = ?", row)

    def full(self) -> bool:
        """Tell whether no more commands can be remembered."""
        return int(self._store.read("SELECT count(*) FROM command_device")[0][0]) >= MAX_DEVICE_ROWS

    def prune(self, wall_s: float) -> None:
        """Forget what ended long ago."""
        for table in ("command_device", "command"):
            self._store.write(f"DELETE FROM {table} WHERE expires_at < ?", wall_s - KEEP_S)  # noqa: S608 - our names
