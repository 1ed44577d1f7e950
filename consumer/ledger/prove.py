# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Prove that a period is whole: every signed message in it is opened and checked again, from its bytes.

Nothing that the ledger says about a message is believed: signature, certificate, numbers and hashes are taken from the
message itself. What the tables add is only which messages there are, and when they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from consumer.authenticate import Authenticator
from consumer.envelope import Ended, Envelope
from consumer.errors import ConsumerError
from consumer.ledger.store import Ledger
from consumer.report import EndedStream, Json

_MAX_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Finding(Json):
    """One thing that is not as it should be. `kind`: gap, lost, forked, broken, duplicate, refused, late, clock,
    ended (a gateway said that its store was damaged; what did not come then is a gap).
    """

    kind: str
    gateway: str
    stream_id: str
    first: int
    last: int
    what: str


@dataclass(slots=True)
class StreamProof(Json):
    """One stream in the period: `envelopes` and `records` proven, from record `first` to `last`.

    `closed`: a later message, chained to the last one, shows that the period ends where it seems to end.
    """

    gateway: str
    stream_id: str
    first: int = 0
    last: int = 0
    envelopes: int = 0
    records: int = 0
    devices: int = 0
    closed: bool = False


@dataclass(slots=True)
class Proof(Json):
    """What can be proven of the period `from_s` to `to_s` (Unix seconds, by the time of signing)."""

    from_s: int
    to_s: int
    streams: list[StreamProof] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Every record of the period is here, authentic, once and unbroken.

        Late records, clocks, and streams that ended whole do not count.
        """
        harmless = {"late", "clock", "ended"}
        return any(stream.records for stream in self.streams) and not set(self.counts) - harmless

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it unless there are too many of its kind to show."""
        self.counts[finding.kind] = self.counts.get(finding.kind, 0) + 1
        if self.counts[finding.kind] <= _MAX_SHOWN:
            self.findings.append(finding)


@dataclass(slots=True)
class _Place:
    """The end of what was checked so far."""

    last: int
    digest: bytes
    iat_s: int
    serial: int


def prove(ledger: Ledger, authenticator: Authenticator, from_s: int, to_s: int) -> Proof:
    """Check everything that was signed from *from_s* up to and without *to_s* (Unix seconds). Raises LedgerError."""
    proof = Proof(from_s, to_s)
    for pem in ledger.certificates():
        try:
            authenticator.add_certificate(pem)
        except ConsumerError as error:
            proof.add(Finding("refused", "", "", 0, 0, f"a certificate: {error}"))
    query = "SELECT number, gateway, stream_id FROM stream ORDER BY gateway, number"
    streams = {
        (str(gateway), bytes(identity)): int(number) for number, gateway, identity in ledger.database.rows(query)
    }
    ends: list[tuple[str, Ended]] = []
    for (gateway, identity), number in streams.items():
        found = _Stream(ledger, authenticator, proof, number, StreamProof(gateway, identity.hex()))
        found.run()
        ends += [(gateway, ended) for ended in found.ends]
    for gateway, ended in ends:
        _end(ledger, proof, gateway, ended, streams.get((gateway, ended.stream_id)))
    return proof


def _end(ledger: Ledger, proof: Proof, gateway: str, ended: Ended, stream: int | None) -> None:
    """Say what is not here of the end of a stream that its gateway could not go on with."""
    identity = ended.stream_id.hex()
    if ended.lost is None:
        proof.add(Finding("gap", gateway, identity, ended.last, ended.last, "nobody knows how many records followed"))
    if stream is not None:
        highest = ledger.database.rows("SELECT COALESCE(MAX(last), 0) FROM span WHERE stream = ?", (stream,))[0][0]
        if highest < ended.last:
            what = "not here, and the stream has ended"
            proof.add(Finding("gap", gateway, identity, int(highest) + 1, ended.last, what))


class _Stream:
    """The proof of one stream."""

    def __init__(
        self, ledger: Ledger, authenticator: Authenticator, proof: Proof, number: int, found: StreamProof
    ) -> None:
        self._ledger = ledger
        self._authenticator = authenticator
        self._proof = proof
        self._number = number
        self._found = found
        self._devices: set[str] = set()
        self._place: _Place | None = None
        self.ends: list[Ended] = []
        """What was said in it of other streams."""

    def run(self) -> None:
        bounds = self._bounds()
        if bounds is None:
            return
        for serial, message in self._messages(*bounds):
            self._check(serial, message, bounds)
        self._close(bounds)
        self._evidence(bounds)
        self._found.devices = len(self._devices)
        self._proof.streams.append(self._found)

    def _bounds(self) -> tuple[int, int] | None:
        """The record numbers of the period. A clock that was set back does not take records out of it."""
        query = "SELECT MIN(first), MAX(last) FROM envelope WHERE stream = ? AND iat >= ? AND iat < ?"
        first, last = self._ledger.database.rows(query, (self._number, self._proof.from_s, self._proof.to_s))[0]
        return None if first is None else (int(first), int(last))

    def _messages(self, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        """The message before the period (to see the seam), then those of the period in their order."""
        before = "SELECT serial, message FROM envelope WHERE stream = ? AND last = ?"
        for serial, data in self._ledger.database.rows(before, (self._number, first - 1)):
            yield int(serial), bytes(data)
        at = first
        page = (
            "SELECT serial, message, last FROM envelope WHERE stream = ? AND first >= ? AND first <= ? "
            "ORDER BY first LIMIT 500"
        )
        while rows := self._ledger.database.rows(page, (self._number, at, last)):
            yield from ((int(serial), bytes(data)) for serial, data, _ in rows)
            at = int(rows[-1][2]) + 1

    def _check(self, serial: int, message: bytes, bounds: tuple[int, int]) -> None:
        try:
            envelope, measured = self._authenticator.open(message)
        except ConsumerError as error:
            self._report("refused", 0, 0, f"a stored message is not authentic: {error}")
            return
        if (envelope.gateway, envelope.stream_id.hex()) != (self._found.gateway, self._found.stream_id):
            self._report("refused", envelope.first, envelope.last, "a stored message belongs to another stream")
            return
        self._follow(envelope, bounds[0])
        if self._place is not None:
            self._order(envelope, serial, self._place)
        self._place = _Place(envelope.last, envelope.digest, envelope.iat_s, serial)
        if envelope.first < bounds[0]:
            return  # the neighbour
        self._found.first = self._found.first or envelope.first
        self._found.last = envelope.last
        self._found.envelopes += 1
        self._found.records += len(measured)
        self._devices.update(each.dev_eui for each in measured)
        if envelope.ended is not None:
            self.ends.append(envelope.ended)
            self._report("ended", envelope.first, envelope.last, EndedStream.of(envelope.ended).words())

    def _follow(self, envelope: Envelope, begin: int) -> None:
        expected = begin if self._place is None else self._place.last + 1
        if envelope.first > expected:
            self._gap(expected, envelope.first - 1)
        elif self._place is None:
            if envelope.first > 1 and envelope.first == begin:
                self._seam(envelope)
        elif envelope.previous != self._place.digest:
            self._report("broken", envelope.first, envelope.last, "does not hold the hash of the message before it")

    def _seam(self, envelope: Envelope) -> None:
        """Nothing is here of what came right before the period: was it given up, aloud?"""
        told = self._told(envelope.first - 1, envelope.first - 1)
        what = "the record before the period is not here: nobody can tell whether the period begins earlier"
        if not told:
            self._report("gap", envelope.first - 1, envelope.first - 1, what)

    def _order(self, envelope: Envelope, serial: int, before: _Place) -> None:
        if serial < before.serial:
            self._report("late", before.last, before.last, "came after records with higher numbers")
        if envelope.iat_s < before.iat_s:
            back_s = before.iat_s - envelope.iat_s
            self._report("clock", envelope.first, envelope.last, f"signed {back_s} s before the record before it")

    def _gap(self, first: int, last: int) -> None:
        at = first
        for lost_first, lost_last, why in self._told(first, last):
            if lost_first > at:
                self._report("gap", at, lost_first - 1, "not here")
            begin, end = max(lost_first, at), min(lost_last, last)
            if begin <= end:
                self._report("lost", begin, end, f"given up by the gateway: {why}")
            at = max(at, lost_last + 1)
        if at <= last:
            self._report("gap", at, last, "not here")

    def _told(self, first: int, last: int) -> list[tuple[int, int, str]]:
        query = "SELECT message FROM loss WHERE stream = ? AND first <= ? AND last >= ? ORDER BY first"
        found = []
        for (message,) in self._ledger.database.rows(query, (self._number, last, first)):
            try:
                envelope, _ = self._authenticator.open(bytes(message))
            except ConsumerError as error:
                self._report("refused", first, last, f"a stored notice is not authentic: {error}")
                continue
            if envelope.loss is not None:
                found.append((envelope.first, envelope.last, envelope.loss.why))
        return found

    def _close(self, bounds: tuple[int, int]) -> None:
        query = "SELECT message FROM envelope WHERE stream = ? AND first = ?"
        for (message,) in self._ledger.database.rows(query, (self._number, bounds[1] + 1)):
            try:
                envelope, _ = self._authenticator.open(bytes(message))
            except ConsumerError:
                continue
            self._found.closed = self._place is not None and envelope.previous == self._place.digest

    def _evidence(self, bounds: tuple[int, int]) -> None:
        first, last = bounds
        query = "SELECT first, last, why FROM fork WHERE stream = ? AND first <= ? AND last >= ?"
        for fork_first, fork_last, why in self._ledger.database.rows(query, (self._number, last, first)):
            self._report("forked", int(fork_first), int(fork_last), str(why))
        query = "SELECT record, dev_eui, seq FROM duplicate WHERE stream = ? AND record >= ? AND record <= ?"
        for record, dev_eui, seq in self._ledger.database.rows(query, (self._number, first, last)):
            self._report(
                "duplicate", int(record), int(record), f"reading {seq} of {dev_eui} came in another record too"
            )

    def _report(self, kind: str, first: int, last: int, what: str) -> None:
        self._proof.add(Finding(kind, self._found.gateway, self._found.stream_id, first, last, what))


def lines(proof: Proof) -> Iterable[str]:
    """The proof for people."""
    for stream in proof.streams:
        end = "closed by what follows" if stream.closed else "open: nothing has come yet that would close it"
        yield (
            f"{stream.gateway} stream {stream.stream_id}: records {stream.first}-{stream.last}, "
            f"{stream.records} proven in {stream.envelopes} messages of {stream.devices} devices; its end is {end}"
        )
    for finding in proof.findings:
        span = f"{finding.first}" if finding.first == finding.last else f"{finding.first}-{finding.last}"
        yield f"{finding.kind}: {finding.gateway} stream {finding.stream_id} record {span}: {finding.what}"
    for kind, count in sorted(proof.counts.items()):
        if count > _MAX_SHOWN:
            yield f"{kind}: {count} in all, the first {_MAX_SHOWN} are shown"
    if not proof.streams:
        yield "nothing was signed in this period, or nothing of it is here: nothing is proven"
    yield "WHOLE: every record of the period is here, signed and unbroken" if proof.whole else "NOT WHOLE"
