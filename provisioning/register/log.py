# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The log of the register: every change, numbered without gaps, chained by hash, never changed.

The hash of an entry is SHA-256 over the canonical JSON (RFC 8785 for the values used here: texts, integers, objects) of
[hash of the entry before, number, Unix time, actor, action, subject, body]. The hash before the first entry is 32 zero
bytes. Whoever keeps a number and its hash elsewhere can prove later that nothing up to there was changed or cut off.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, insert, select, update

from provisioning.errors import LogBroken
from provisioning.register import tables
from provisioning.register.spelling import canonical

if TYPE_CHECKING:
    from sqlalchemy.engine import Row

_BATCH = 1000


class Head(NamedTuple):
    """The last entry: its number (0 when there is none) and its hash."""

    seq: int
    sha256: bytes


class Entry(NamedTuple):
    """One change."""

    seq: int
    at_s: int
    actor: str
    action: str
    subject: str
    body: dict[str, Any]


def entry_hash(before: bytes, seq: int, at_s: int, actor: str, action: str, subject: str, body: str) -> bytes:
    """The hash of an entry; `body` is its canonical JSON."""
    text = canonical([before.hex(), seq, at_s, actor, action, subject, body])
    return hashlib.sha256(text.encode()).digest()


@dataclass
class Change:
    """A transaction that changes the register: whatever it does is logged in it, or it does not happen."""

    connection: Connection
    at_s: int
    actor: str
    head: Head
    pending: list[dict[str, Any]]

    def log(self, action: str, subject: str, body: dict[str, Any]) -> int:
        """Add an entry; return its number, which is the revision of what was changed. `body` never holds a secret."""
        text, seq = canonical(body), self.head.seq + 1
        digest = entry_hash(self.head.sha256, seq, self.at_s, self.actor, action, subject, text)
        self.head = Head(seq, digest)
        self.pending.append(
            {
                "seq": seq,
                "at_s": self.at_s,
                "actor": self.actor,
                "action": action,
                "subject": subject,
                "body": text,
                "sha256": digest,
            }
        )
        return seq

    def flush(self) -> None:
        """Write what was added."""
        if self.pending:
            self.connection.execute(insert(tables.log), self.pending)
            values = {"seq": self.head.seq, "sha256": self.head.sha256}
            self.connection.execute(update(tables.log_head).values(values))
            self.pending = []


@contextmanager
def changing(connection: Connection, at_s: int, actor: str) -> Iterator[Change]:
    """Begin a change in an open transaction. Holds the log's lock until the transaction ends."""
    change = Change(connection, at_s, actor, head(connection, lock=True), [])
    yield change
    change.flush()


def head(connection: Connection, *, lock: bool = False) -> Head:
    """The last entry. With `lock`, nobody else writes until this transaction ends."""
    query = select(tables.log_head.c.seq, tables.log_head.c.sha256)
    row = connection.execute(query.with_for_update() if lock else query).one()
    return Head(row.seq, bytes(row.sha256))


def entries(connection: Connection, *, subject: str | None = None, last: int | None = None) -> list[Entry]:
    """Entries about one subject or all, oldest first; the newest `last` of them."""
    query = select(tables.log).order_by(tables.log.c.seq.desc())
    if subject is not None:
        query = query.where(tables.log.c.subject == subject)
    if last is not None:
        query = query.limit(last)
    rows = connection.execute(query).all()
    return [
        Entry(row.seq, row.at_s, row.actor, row.action, row.subject, json.loads(row.body)) for row in reversed(rows)
    ]


def verify(connection: Connection, known: Head | None = None) -> Head:
    """Check every entry against its hash and the one before, and `known` against the entry of its number.

    Returns the last entry. Raises LogBroken with the first number that is not as it was.
    """
    before, seq = bytes(32), 0
    query = select(tables.log).order_by(tables.log.c.seq).execution_options(yield_per=_BATCH)
    with connection.execute(query) as rows:
        for row in rows:
            _check(row, seq, before)
            before, seq = bytes(row.sha256), row.seq
            if known is not None and known.seq == seq and known.sha256 != before:
                raise _broken(seq, "its hash is not the one that was kept elsewhere: the log was written anew")
    stored = head(connection)
    if stored != Head(seq, before):
        raise _broken(seq + 1, f"the log should go on to entry {stored.seq}")
    if known is not None and known.seq > seq:
        raise _broken(seq + 1, f"entry {known.seq} was seen before and is not there: the end was cut off")
    return stored


def _check(row: Row[Any], seq: int, before: bytes) -> None:
    if row.seq != seq + 1:
        raise _broken(seq + 1, f"the next entry is {row.seq}")
    if entry_hash(before, row.seq, row.at_s, row.actor, row.action, row.subject, row.body) != bytes(row.sha256):
        raise _broken(row.seq, "its content does not have its hash")


def _broken(seq: int, what: str) -> LogBroken:
    return LogBroken(
        f"The log of the register was changed at entry {seq}: {what}.",
        value=f"entry {seq}",
        reason="Since then nobody can prove who changed what in the register.",
        next_step="keep the database as it is, restore a backup beside it, and find out who wrote to it",
    )
