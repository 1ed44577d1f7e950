# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Prove who measured what and that nothing is missing: signature, certificate, stream and device numbers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from cryptography import x509

from consumer import senml
from consumer.authenticate import Authenticator
from consumer.certificates import GatewayCertificate
from consumer.envelope import Ended, Envelope, Loss
from consumer.errors import ConsumerError, Forked, LimitReached, UnknownGateway
from consumer.intervals import IntervalSet
from consumer.report import EndedStream, Report, StreamReport, Verified, VerifiedReading
from consumer.stream import Link, StreamChain

MAX_STREAMS: Final = 10_000
MAX_DEVICES: Final = 200_000
MAX_SEQ_HOLES: Final = 256
_MAX_SHOWN_HOLES: Final = 20


class Verifier:
    """Checks messages of any number of gateways, in bounded memory. Not thread-safe.

    `from_start` expects every stream from record 1; otherwise the lowest record seen counts as the first.
    `accept_eddsa` also takes the deprecated algorithm -8 (RFC 9864).
    """

    def __init__(
        self,
        ca_certificates: Iterable[x509.Certificate],
        *,
        from_start: bool = False,
        accept_eddsa: bool = False,
        max_streams: int = MAX_STREAMS,
        max_devices: int = MAX_DEVICES,
    ) -> None:
        self._authenticator = Authenticator(ca_certificates, accept_eddsa=accept_eddsa)
        self._from_start = from_start
        self._max_streams = max_streams
        self._max_devices = max_devices
        self._streams: dict[tuple[str, bytes], StreamChain] = {}
        self._devices: OrderedDict[str, IntervalSet] = OrderedDict()
        self._ended: dict[tuple[str, bytes], EndedStream] = {}
        self._unknown: set[tuple[str, bytes]] = set()  # streams that began after one that nobody knows
        self._readings = 0
        self._duplicates = 0
        self._undecided = 0
        self._refused: dict[str, int] = {}
        self._first_refusals: dict[str, str] = {}

    def add_certificate(self, pem: bytes) -> GatewayCertificate:
        """Add the certificate of a gateway. Raises Malformed, UntrustedCertificate or LimitReached."""
        try:
            return self._authenticator.add_certificate(pem)
        except ConsumerError as error:
            self._count_refusal(error)
            raise

    def check(self, message: bytes) -> Verified:
        """Check one message. Raises a ConsumerError for whatever is wrong with it.

        UnknownGateway means that the certificate has not been added: add it and check the message again. Every
        other error is counted in the report.
        """
        try:
            return self._check(message)
        except UnknownGateway:
            raise
        except ConsumerError as error:
            self._count_refusal(error)
            raise

    def report(self) -> Report:
        """What has been found so far."""
        streams = [_stream_report(*key, chain, self._ended.get(key)) for key, chain in self._streams.items()]
        return Report(
            gateways=len({stream.gateway for stream in streams}),
            devices=len(self._devices),
            readings=self._readings,
            duplicates=self._duplicates,
            missing=sum(stream.missing for stream in streams),
            lost=sum(stream.lost for stream in streams),
            forks=sum(stream.forks for stream in streams),
            redelivered=sum(stream.redelivered for stream in streams),
            late=sum(stream.late for stream in streams),
            undecided=self._undecided + sum(stream.undecided for stream in streams),
            refused=dict(self._refused),
            first_refusals=dict(self._first_refusals),
            streams=streams,
            ended=len(self._ended) + len(self._unknown),
            unknown_ends=sum(each.lost is None for each in self._ended.values()) + len(self._unknown),
        )

    def _check(self, message: bytes) -> Verified:
        received, measured = self._authenticator.open(message)
        if received.loss is not None:
            return self._lost(received, received.loss)
        redelivered, new_stream = self._place(received)
        return Verified(
            gateway=received.gateway,
            stream_id=received.stream_id.hex(),
            first=received.first,
            last=received.last,
            iat_s=received.iat_s,
            readings=[
                self._reading(measurement, record, redelivered)
                for record, measurement in enumerate(measured, received.first)
            ],
            redelivered=redelivered,
            new_stream=new_stream,
            ended=None if received.ended is None else self._end(received, received.ended),
        )

    def _end(self, received: Envelope, ended: Ended) -> EndedStream:
        """Remember what was said of a stream that ended; what it did not bring is missing."""
        found = EndedStream.of(ended)
        key = (received.gateway, ended.stream_id)
        if not ended.stream_id:
            self._unknown.add((received.gateway, received.stream_id))
        elif key in self._ended or len(self._ended) < self._max_streams:
            self._ended[key] = found
        if ended.stream_id and self._from_start and key not in self._streams:
            self._streams[key] = StreamChain(from_start=True)
        return found

    def _lost(self, received: Envelope, loss: Loss) -> Verified:
        chain, new_stream = self._chain(received)
        known = chain.place_loss(Link(received.first, received.last, received.previous, loss.tail))
        return Verified(
            gateway=received.gateway,
            stream_id=received.stream_id.hex(),
            first=received.first,
            last=received.last,
            iat_s=received.iat_s,
            readings=[],
            redelivered=known,
            new_stream=new_stream,
            lost_because=loss.why,
        )

    def _place(self, received: Envelope) -> tuple[bool, bool]:
        chain, new_stream = self._chain(received)
        link = Link(received.first, received.last, received.previous, received.digest)
        return chain.place(link), new_stream

    def _chain(self, received: Envelope) -> tuple[StreamChain, bool]:
        key = (received.gateway, received.stream_id)
        chain = self._streams.get(key)
        new_stream = chain is None
        if chain is None:
            if len(self._streams) >= self._max_streams:
                raise LimitReached(f"more than {self._max_streams} streams")
            chain = self._streams[key] = StreamChain(from_start=self._from_start)
        return chain, new_stream

    def _reading(self, measurement: senml.Measurement, record: int, redelivered: bool) -> VerifiedReading:
        duplicate = False if redelivered else self._count_reading(measurement.dev_eui, measurement.seq)
        return VerifiedReading(
            dev_eui=measurement.dev_eui,
            seq=measurement.seq,
            time=measurement.time,
            values=measurement.values,
            record=record,
            units=measurement.units,
            time_source=measurement.time_source,
            duplicate=duplicate,
        )

    def _count_reading(self, dev_eui: str, seq: int) -> bool:
        self._readings += 1
        seen = self._devices.get(dev_eui)
        if seen is None:
            seen = self._devices[dev_eui] = IntervalSet(MAX_SEQ_HOLES)
            if len(self._devices) > self._max_devices:
                self._devices.popitem(last=False)  # the device that has been silent for longest
        self._devices.move_to_end(dev_eui)
        if seen.floor is not None and seq <= seen.floor:
            self._undecided += 1
            return False
        duplicate = seq in seen
        self._duplicates += duplicate
        seen.add(seq, seq)
        return duplicate

    def _count_refusal(self, error: ConsumerError) -> None:
        if isinstance(error, Forked):
            return  # counted by its stream
        name = type(error).__name__
        self._refused[name] = self._refused.get(name, 0) + 1
        self._first_refusals.setdefault(name, str(error))


def _stream_report(gateway: str, stream_id: bytes, chain: StreamChain, ended: EndedStream | None) -> StreamReport:
    records = chain.told
    last = records.highest if records else 0
    tail = [] if ended is None or ended.last <= last else [(last + 1, ended.last)]
    return StreamReport(
        gateway=gateway,
        stream_id=stream_id.hex(),
        first=chain.first,
        last=last,
        envelopes=chain.envelopes,
        records=chain.accepted,
        missing=records.missing() + sum(end - begin + 1 for begin, end in tail),
        missing_ranges=[*records.holes(_MAX_SHOWN_HOLES), *tail][:_MAX_SHOWN_HOLES],
        lost=chain.lost,
        redelivered=chain.redelivered,
        late=chain.late,
        undecided=chain.undecided,
        forks=chain.forks,
        ended_at=None if ended is None else ended.last,
    )
