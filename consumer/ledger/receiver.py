# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Receive for good: messages become rows, durable together; only then are they acknowledged and receipted.

The caller feeds messages and certificates as they come and calls `commit` when it wants them to be durable. What
`commit` did not return for, the caller must not acknowledge: it will come again, and do no harm.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from consumer.authenticate import Authenticator
from consumer.errors import ConsumerError, UnknownGateway
from consumer.ledger.store import Ledger
from consumer.receipts import MAX_RANGES, Receipt, ReceiptSigner
from consumer.report import EndedStream, VerifiedReading
from consumer.senml import Measurement

MAX_WAITING_BYTES: Final = 64 << 20


@dataclass
class Committed:
    """What became durable: new readings, each with the URN of its gateway."""

    readings: list[tuple[str, VerifiedReading]] = field(default_factory=list)
    duplicates: int = 0
    redelivered: int = 0
    problems: list[str] = field(default_factory=list)


class Receiver:
    """Joins the checks, the ledger and the receipts. `signer` None: no receipts are given."""

    receipt_every_s = 1.0

    def __init__(
        self,
        authenticator: Authenticator,
        ledger: Ledger,
        signer: ReceiptSigner | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._authenticator = authenticator
        self._ledger = ledger
        self._signer = signer
        self._now_s = now_s
        self._touched: set[int] = set()
        self._last_receipts_s = -math.inf
        self._messages: list[bytes] = []
        self._certificates: list[bytes] = []
        for pem in ledger.certificates():
            authenticator.add_certificate(pem)

    @property
    def platform(self) -> str:
        """The name in the receipts; empty when none are given."""
        return "" if self._signer is None else self._signer.platform

    @property
    def pending(self) -> int:
        """How many messages and certificates wait for `commit`."""
        return len(self._messages) + len(self._certificates)

    def message(self, data: bytes) -> None:
        """Take a message."""
        self._messages.append(data)

    def certificate(self, pem: bytes) -> None:
        """Take a certificate. An empty one is how a retained one is withdrawn, and no news."""
        if pem:
            self._certificates.append(pem)

    def commit(self) -> Committed:
        """Make what was taken durable. Raises LedgerError: then nothing of it is, and all is still pending."""
        done = Committed()
        touched: set[int] = set()
        with self._ledger.transaction():
            messages = [*self._take_certificates(done), *self._messages]
            for data in messages:
                self._store(data, done, touched)
        self._touched |= touched
        self.forget()
        return done

    def forget(self) -> None:
        """Drop what was taken and is not durable: its sender has no acknowledgement and sends it again."""
        self._messages, self._certificates = [], []

    def receipts(self) -> list[tuple[str, bytes, bytes]]:
        """(gateway URN, stream id, signed receipt) for what has become durable; at most once a second."""
        now_s = time.monotonic()
        if self._signer is None or not self._touched or now_s - self._last_receipts_s < self.receipt_every_s:
            return []
        given = [self._receipt(stream, self._signer) for stream in sorted(self._touched)]
        self._touched, self._last_receipts_s = set(), now_s
        return given

    def _take_certificates(self, done: Committed) -> Sequence[bytes]:
        """Add them; return the messages that waited for one."""
        added = False
        for pem in self._certificates:
            try:
                found = self._authenticator.add_certificate(pem)
            except ConsumerError as error:
                self._refuse(error, done)
                continue
            self._ledger.add_certificate(found.sha256, found.gateway, pem)
            added = True
        return self._ledger.take_waiting() if added else ()

    def _store(self, data: bytes, done: Committed, touched: set[int]) -> None:
        now_s = self._now_s()
        try:
            envelope, measured = self._authenticator.open(data)
            placed = self._ledger.store(envelope, measured, data, now_s)
        except UnknownGateway as error:
            if self._ledger.waiting()[1] + len(data) > MAX_WAITING_BYTES:
                self._refuse(error, done)
            else:
                self._ledger.wait(hashlib.sha256(data).digest(), data, now_s)
        except OSError:
            raise
        except ConsumerError as error:
            self._refuse(error, done)
        else:
            touched.add(placed.stream)
            done.redelivered += placed.redelivered
            done.duplicates += placed.duplicates
            new = (_reading(measured[index], envelope.first + index) for index in placed.readings)
            done.readings += [(envelope.gateway, reading) for reading in new]
            if envelope.loss is not None and not placed.redelivered:
                span = f"records {envelope.first} to {envelope.last}"
                done.problems.append(f"{envelope.gateway} gave up {span}: {envelope.loss.why}")
            if envelope.ended is not None and not placed.redelivered:
                done.problems.append(f"{envelope.gateway}: {EndedStream.of(envelope.ended).words()}")

    def _refuse(self, error: ConsumerError, done: Committed) -> None:
        self._ledger.refuse(type(error).__name__, str(error))
        done.problems.append(f"{type(error).__name__}: {error}")

    def _receipt(self, stream: int, signer: ReceiptSigner) -> tuple[str, bytes, bytes]:
        gateway, stream_id = self._ledger.stream_of(stream)
        held = tuple(self._ledger.held(stream, MAX_RANGES))
        digest = self._ledger.digest_at(stream, held[0][1]) if held else b""
        receipt = Receipt(signer.platform, gateway, stream_id, held, digest, int(self._now_s()))
        return gateway, stream_id, signer.sign(receipt)


def _reading(measured: Measurement, record: int) -> VerifiedReading:
    return VerifiedReading(
        dev_eui=measured.dev_eui,
        seq=measured.seq,
        time=measured.time,
        values=measured.values,
        record=record,
        units=measured.units,
        time_source=measured.time_source,
    )
