# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a ledger does with an authentic message: give it its place, keep its readings once, say what is held.

The place is decided in the transaction that stores it, from what the database holds: nothing is remembered between
messages, so that a restart, a second receiver or a redelivery changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from consumer.envelope import Envelope, Loss
from consumer.errors import ConsumerError, Forked
from consumer.ledger import schema
from consumer.ledger.database import Database
from consumer.senml import Measurement

_MAX_EXAMPLE: Final = 300


@dataclass(frozen=True, slots=True)
class Placed:
    """What came of a message. `readings`: new ones, by their index in the message. `redelivered`: it was there."""

    stream: int
    readings: tuple[int, ...] = ()
    duplicates: int = 0
    redelivered: bool = False


class Ledger:
    """One database. Not thread-safe; several processes may write to the same one. Everything raises LedgerError."""

    def __init__(self, database: Database) -> None:
        self.database = database
        try:
            schema.prepare(database)
        except ConsumerError:
            database.close()
            raise

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()

    def transaction(self) -> Any:
        """A context: all that is stored in it becomes durable together at its end."""
        return self.database.transaction()

    def add_certificate(self, sha256: bytes, gateway: str, pem: bytes) -> None:
        """Keep a gateway's certificate: what is stored must be provable later."""
        self.database.execute(
            "INSERT INTO certificate (sha256, gateway, pem) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (sha256, gateway, pem),
        )

    def certificates(self) -> list[bytes]:
        """The certificates kept, as PEM."""
        return [bytes(pem) for (pem,) in self.database.rows("SELECT pem FROM certificate ORDER BY gateway, sha256")]

    def store(self, envelope: Envelope, measured: Sequence[Measurement], message: bytes, now_s: float) -> Placed:
        """Give an authentic message its place. Raises Forked, with the message kept as evidence.

        The caller holds a transaction, and commits it also after Forked.
        """
        stream = self._stream(envelope.gateway, envelope.stream_id)
        known = self._one("SELECT digest FROM envelope WHERE stream = ? AND first = ?", (stream, envelope.first))
        if known is not None and bytes(known[0]) == envelope.digest:
            return Placed(stream, redelivered=True)
        try:
            self._refuse_other_story(stream, envelope)
        except Forked as error:
            self._keep_fork(stream, envelope, message, str(error), now_s)
            raise
        if envelope.loss is not None:
            return self._store_loss(stream, envelope, envelope.loss, message, now_s)
        serial = self._one("SELECT COALESCE(MAX(serial), 0) + 1 FROM envelope")
        self.database.execute(
            "INSERT INTO envelope (stream, first, last, serial, iat, received, previous, digest, message) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(stream, envelope.first, envelope.last, serial[0] if serial else 1, envelope.iat_s, now_s),
                *(envelope.previous, envelope.digest, message),
            ),
        )
        self._span(stream, envelope.first, envelope.last)
        new = [index for index, each in enumerate(measured) if self._reading(stream, envelope.first + index, each)]
        return Placed(stream, tuple(new), len(measured) - len(new))

    def held(self, stream: int, at_most: int) -> list[tuple[int, int]]:
        """The ranges of record numbers that are here or were signed as lost: the lowest ones."""
        query = "SELECT first, last FROM span WHERE stream = ? ORDER BY first LIMIT ?"
        return [(int(first), int(last)) for first, last in self.database.rows(query, (stream, at_most))]

    def digest_at(self, stream: int, last: int) -> bytes:
        """The digest of the envelope that ends at this record, empty when none does."""
        found = self._one("SELECT digest FROM envelope WHERE stream = ? AND last = ?", (stream, last))
        return bytes(found[0]) if found else b""

    def stream_of(self, stream: int) -> tuple[str, bytes]:
        """The gateway and the id of a stream."""
        gateway, stream_id = self.database.rows("SELECT gateway, stream_id FROM stream WHERE number = ?", (stream,))[0]
        return str(gateway), bytes(stream_id)

    def wait(self, digest: bytes, message: bytes, now_s: float) -> None:
        """Keep a message until the certificate of its gateway comes."""
        self.database.execute(
            "INSERT INTO waiting (digest, received, message) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (digest, now_s, message),
        )

    def waiting(self) -> tuple[int, int]:
        """How many messages wait, and their bytes."""
        count, size = self.database.rows("SELECT COUNT(*), COALESCE(SUM(LENGTH(message)), 0) FROM waiting")[0]
        return int(count), int(size)

    def take_waiting(self) -> list[bytes]:
        """Remove and return the messages that wait, oldest first. The caller holds a transaction."""
        found = [bytes(message) for (message,) in self.database.rows("SELECT message FROM waiting ORDER BY received")]
        self.database.execute("DELETE FROM waiting")
        return found

    def refuse(self, reason: str, example: str) -> None:
        """Count a message that was refused."""
        self.database.execute(
            "INSERT INTO refused (reason, messages, example) VALUES (?, 1, ?) "
            "ON CONFLICT (reason) DO UPDATE SET messages = refused.messages + 1",
            (reason, example[:_MAX_EXAMPLE]),
        )

    def _reading(self, stream: int, record: int, reading: Measurement) -> bool:
        values = json.dumps(reading.values, ensure_ascii=False, separators=(",", ":"))
        units = json.dumps(reading.units, ensure_ascii=False, separators=(",", ":"))
        new = self.database.execute(
            "INSERT INTO reading (dev_eui, seq, time, time_source, measured, units, stream, record) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (dev_eui, seq) DO NOTHING",
            (*(reading.dev_eui, reading.seq, reading.time, reading.time_source), values, units, stream, record),
        )
        if not new:
            self.database.execute(
                "INSERT INTO duplicate (stream, record, dev_eui, seq) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (stream, record, reading.dev_eui, reading.seq),
            )
        return bool(new)

    def _store_loss(self, stream: int, envelope: Envelope, loss: Loss, message: bytes, now_s: float) -> Placed:
        new = self.database.execute(
            "INSERT INTO loss (stream, first, last, iat, received, previous, tail, why, message) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                *(stream, envelope.first, envelope.last, envelope.iat_s, now_s),
                *(envelope.previous, loss.tail, loss.why, message),
            ),
        )
        self._span(stream, envelope.first, envelope.last)
        return Placed(stream, redelivered=not new)

    def _refuse_other_story(self, stream: int, envelope: Envelope) -> None:
        first, last, at = envelope.first, envelope.last, (stream,)
        if envelope.loss is None:
            query = "SELECT first, last FROM envelope WHERE stream = ? AND first <= ? AND last >= ? LIMIT 1"
            other = self._one(query, (*at, last, first))
            if other is not None:
                raise Forked(f"records {first} to {last} came before with other content, as {other[0]} to {other[1]}")
        end = envelope.digest if envelope.loss is None else envelope.loss.tail
        before = self._digests("digest", "last", stream, first - 1) | self._digests("tail", "last", stream, first - 1)
        if before and envelope.previous and before != {envelope.previous}:
            raise Forked(f"records {first} to {last} do not follow what came before them")
        after = self._digests("previous", "first", stream, last + 1) - {b""}
        if after and after != {end}:
            raise Forked(f"records {first} to {last} are not what the message after them follows")
        same = self._digests("digest", "last", stream, last) | self._digests("tail", "last", stream, last)
        if same and same != {end}:
            raise Forked(f"records {first} to {last} end in another way than what came before for them")

    def _digests(self, what: str, where: str, stream: int, record: int) -> set[bytes]:
        """The digests named *what* beside record number *record*; `what` and `where` are names of columns of ours."""
        tables = {"digest": ("envelope",), "tail": ("loss",), "previous": ("envelope", "loss")}[what]
        found: set[bytes] = set()
        for table in tables:
            query = f"SELECT {what} FROM {table} WHERE stream = ? AND {where} = ?"  # noqa: S608  names of ours only
            found |= {bytes(digest) for (digest,) in self.database.rows(query, (stream, record))}
        return found

    def _keep_fork(self, stream: int, envelope: Envelope, message: bytes, why: str, now_s: float) -> None:
        self.database.execute(
            "INSERT INTO fork (digest, stream, first, last, received, why, message) VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (envelope.digest, stream, envelope.first, envelope.last, now_s, why, message),
        )

    def _span(self, stream: int, first: int, last: int) -> None:
        query = "SELECT first, last FROM span WHERE stream = ? AND first <= ? AND last >= ?"
        touching = self.database.rows(query, (stream, last + 1, first - 1))
        self.database.execute(
            "DELETE FROM span WHERE stream = ? AND first <= ? AND last >= ?", (stream, last + 1, first - 1)
        )
        low = min([first, *(int(each[0]) for each in touching)])
        high = max([last, *(int(each[1]) for each in touching)])
        self.database.execute("INSERT INTO span (stream, first, last) VALUES (?, ?, ?)", (stream, low, high))

    def _stream(self, gateway: str, stream_id: bytes) -> int:
        query = "SELECT number FROM stream WHERE gateway = ? AND stream_id = ?"
        if not (found := self.database.rows(query, (gateway, stream_id))):
            self.database.execute(
                "INSERT INTO stream (number, gateway, stream_id) SELECT COALESCE(MAX(number), 0) + 1, ?, ? FROM stream",
                (gateway, stream_id),
            )
            found = self.database.rows(query, (gateway, stream_id))
        return int(found[0][0])

    def _one(self, query: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        found = self.database.rows(query, values)
        return found[0] if found else None
