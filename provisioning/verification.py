# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What `lykta verify` does: feed an inbox from a broker or from files, show each reading, judge at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.x509 import Certificate

from consumer.authenticate import Authenticator
from consumer.certificates import load_authorities
from consumer.errors import ConsumerError
from consumer.inbox import Inbox, Outcome
from consumer.report import Report, Verified, VerifiedReading
from consumer.verify import Verifier
from provisioning import message_files
from provisioning.city import City
from provisioning.errors import PkiError
from provisioning.subscriber import Handlers


@dataclass(frozen=True)
class Judgement:
    """The result of a verification: what the verifier found and what never could be checked."""

    report: Report
    unchecked: int
    dropped: int

    @property
    def ok(self) -> bool:
        """Something came, nothing of it failed, is missing, forked or duplicated, and all could be checked."""
        return self.report.readings > 0 and self.report.clean and not self.unchecked and not self.dropped

    def to_dict(self) -> dict[str, Any]:
        """The judgement as JSON-able values."""
        return {"ok": self.ok, "unchecked": self.unchecked, "dropped": self.dropped, **self.report.to_dict()}

    def lines(self) -> list[str]:
        """The judgement for people."""
        report = self.report
        lines = [
            f"verified {report.readings} readings of {report.devices} devices from {report.gateways} gateways",
            f"missing {report.missing}, forked {report.forks}, duplicated {report.duplicates}, "
            f"refused {sum(report.refused.values())}, never checked {self.unchecked + self.dropped}; "
            f"delivered again {report.redelivered}, late {report.late}",
        ]
        if report.lost:
            lines.append(f"{report.lost} records were given up by their gateways, as signed notices say")
        if report.unknown_ends:
            lines.append(f"of {report.unknown_ends} streams that ended by damage nobody knows what was lost")
        if report.undecided:
            lines.append(f"{report.undecided} came again too late to be compared with what came before")
        lines += [f"refused {count} as {name}: {report.first_refusals[name]}" for name, count in report.refused.items()]
        for stream in report.streams:
            ranges = ", ".join(f"{first}-{last}" for first, last in stream.missing_ranges)
            missing = f", missing {stream.missing}: {ranges}" if stream.missing else ""
            ended = "" if stream.ended_at is None else f", ended at {stream.ended_at} by damage to its gateway's store"
            span = f"records {stream.first}-{stream.last}{ended}{missing}"
            lines.append(f"{stream.gateway} stream {stream.stream_id}: {span}")
        if not report.readings:
            lines.append("not one reading came: nothing is proven")
        lines.append("OK: every message is authentic and nothing is missing" if self.ok else "NOT OK")
        return lines


class Verification:
    """One run. `on_reading` gets (gateway URN, reading) for each new verified reading, `on_problem` a text."""

    def __init__(
        self,
        inbox: Inbox,
        on_reading: Callable[[str, VerifiedReading], None],
        on_problem: Callable[[str], None],
    ) -> None:
        self.inbox = inbox
        self.readings = 0
        self._on_reading = on_reading
        self._on_problem = on_problem

    def handlers(self, status: Callable[[str], None]) -> Handlers:
        """How a subscriber feeds this verification."""
        return Handlers(message=self.message, certificate=self.certificate, status=status)

    def message(self, data: bytes) -> None:
        """Take a message."""
        self._show(self.inbox.message(data))

    def certificate(self, pem: bytes) -> None:
        """Take a certificate. An empty one is how a retained one is withdrawn, and no news."""
        if pem:
            self._show(self.inbox.certificate(pem))

    def files(self, path: Path, enough: Callable[[], bool]) -> None:
        """Take certificates and messages from files until `enough` says so."""
        for pem in message_files.certificates(path):
            self.certificate(pem)
        for message in message_files.messages(path):
            if enough():
                return
            self.message(message)

    def judgement(self) -> Judgement:
        """What has been found so far."""
        return Judgement(self.inbox.verifier.report(), self.inbox.held, self.inbox.dropped)

    def _show(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, ConsumerError):
                self._on_problem(f"{type(outcome).__name__}: {outcome}")
            elif outcome.redelivered:
                continue
            else:
                self._show_verified(outcome)

    def _show_verified(self, verified: Verified) -> None:
        if verified.new_stream:
            self._on_problem(f"{verified.gateway}: stream {verified.stream_id} begins here at record {verified.first}")
        if verified.ended is not None:
            self._on_problem(f"{verified.gateway}: {verified.ended.words()}")
        for reading in verified.readings:
            self.readings += 1
            self._on_reading(verified.gateway, reading)


def authorities(city: City | None, ca: Path | None) -> list[Certificate]:
    """The authorities in the file `ca`, else that of the city. Raises PkiError."""
    if ca is not None:
        try:
            pem = ca.read_bytes()
        except OSError as error:
            raise PkiError(f"The CA certificate cannot be read: {error.strerror}.", value=ca) from error
    elif city is not None:
        pem = city.ca_pem()
    else:
        raise PkiError(
            "No certificate authority to trust.",
            reason="A signature proves something only together with the city's certificate.",
            next_step="name it with --ca FILE, or run this in the city's directory (-C DIR)",
        )
    try:
        return load_authorities(pem)
    except ConsumerError as error:
        raise _unusable(error, ca) from error


def gateway_certificates(city: City | None, ca: Path | None) -> list[bytes]:
    """The certificates that the city's register knows, as PEM; none where another authority is named."""
    if city is None or ca is not None:
        return []
    with city.registry() as registry:
        return [gateway.certificate_pem.encode() for gateway in registry.gateways()]


def build_verifier(city: City | None, ca: Path | None, *, from_start: bool, accept_eddsa: bool) -> Verifier:
    """A verifier that trusts the authority in `ca`, else that of the city, and knows the city's gateways."""
    trusted = authorities(city, ca)
    try:
        verifier = Verifier(trusted, from_start=from_start, accept_eddsa=accept_eddsa)
    except ConsumerError as error:
        raise _unusable(error, ca) from error
    for pem in gateway_certificates(city, ca):
        verifier.add_certificate(pem)
    return verifier


def build_authenticator(city: City | None, ca: Path | None, *, accept_eddsa: bool = False) -> Authenticator:
    """The same trust for checks that need no memory. Raises PkiError."""
    try:
        return Authenticator(authorities(city, ca), accept_eddsa=accept_eddsa)
    except ConsumerError as error:
        raise _unusable(error, ca) from error


def _unusable(error: ConsumerError, ca: Path | None) -> PkiError:
    return PkiError(f"The CA certificate cannot be used: {error}", value=ca or "the city's")


def reading_line(gateway: str, reading: VerifiedReading) -> str:
    """One reading as a line for people."""
    values = " ".join(_shown(name, value, reading.units) for name, value in reading.values.items())
    mark = " DUPLICATE" if reading.duplicate else ""
    moment = datetime.fromtimestamp(reading.time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    source = "" if reading.time_source == "device" else f" (time by {reading.time_source})"
    return (
        f"{moment}{source} {reading.dev_eui} seq {reading.seq} {values} "
        f"[{gateway.removeprefix('urn:dev:mac:')} record {reading.record}]{mark}"
    )


def reading_json(gateway: str, reading: VerifiedReading) -> str:
    """One reading as a line of JSON."""
    return json.dumps({"gateway": gateway, **reading.to_dict()}, ensure_ascii=False, separators=(",", ":"))


def deadline(seconds: float | None) -> Callable[[], bool]:
    """A question that is answered with true from `seconds` from now on; never where there is no limit."""
    if seconds is None:
        return lambda: False
    end_s = time.monotonic() + seconds
    return lambda: time.monotonic() >= end_s


def _shown(name: str, value: object, units: dict[str, str]) -> str:
    if isinstance(value, bool):
        return f"{name}={'on' if value else 'off'}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    unit = units.get(name, "")
    return f"{name}={text}" if unit in ("", "/") else f"{name}={text} {unit}"  # "/" is a plain ratio
