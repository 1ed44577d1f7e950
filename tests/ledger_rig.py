# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Durable consumers for tests: a city, its gateway, and a ledger in either database."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cbor2

from consumer.authenticate import Authenticator
from consumer.ledger import Ledger, open_ledger
from consumer.ledger.receiver import Committed, Receiver
from provisioning.receiving import receipt_signer
from tests.signing_gateway import City, SigningGateway

CITY = City()
PLATFORM = "traffic-office"


@dataclass
class Platform:
    """A platform that keeps what it gets; `restart` is what a kill leaves of it."""

    url: str
    folder: Path
    gateway: SigningGateway = field(default_factory=CITY.gateway)

    def __post_init__(self) -> None:
        self.signer, self.certificate = receipt_signer(PLATFORM, self.folder / "keys")
        self.ledger: Ledger = open_ledger(self.url)
        self.receiver = self._receiver()

    def _receiver(self) -> Receiver:
        return Receiver(Authenticator([CITY.certificate]), self.ledger, self.signer)

    def restart(self) -> None:
        """Forget all that is in memory."""
        self.ledger.close()
        self.ledger = open_ledger(self.url)
        self.receiver = self._receiver()

    def take(self, *messages: bytes, certificate: bool = True) -> Committed:
        """Hand over messages and make them durable."""
        if certificate:
            self.receiver.certificate(self.gateway.pem)
        for message in messages:
            self.receiver.message(message)
        return self.receiver.commit()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query of the platform's own finds."""
        return self.ledger.database.rows(query)

    def seqs(self) -> list[int]:
        """The numbers of the readings kept."""
        return [int(seq) for (seq,) in self.rows("SELECT seq FROM reading ORDER BY seq")]


def loss(gateway: SigningGateway, count: int, why: str = "outbox_full") -> bytes:
    """A notice that the next `count` records of the stream were given up; the stream goes on after them."""
    first, last = gateway.next_record, gateway.next_record + count - 1
    tail = hashlib.sha256(b"%d" % last).digest()
    notice = gateway.envelope(b"\xf6", [gateway.stream_id, first, last, gateway.previous], {3: 60, -65538: [tail, why]})
    gateway.next_record, gateway.previous = last + 1, tail
    gateway.next_seq += count
    return notice


def claims(message: bytes) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """The protected header and the payload of a signed message, unchecked, read with cbor2 alone."""
    protected, _, payload, _ = cbor2.loads(message).value
    return cbor2.loads(protected), cbor2.loads(payload)
