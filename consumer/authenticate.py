# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Who signed a message, and what it says: the checks that need no memory of other messages."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509

from consumer import cose, envelope, senml
from consumer.certificates import GatewayCertificate, TrustStore
from consumer.envelope import Envelope
from consumer.errors import Malformed, UnknownGateway, UntrustedCertificate
from consumer.senml import Measurement


class Authenticator:
    """Trusts the given authorities. `accept_eddsa` also takes the deprecated algorithm -8 (RFC 9864)."""

    def __init__(self, ca_certificates: Iterable[x509.Certificate], *, accept_eddsa: bool = False) -> None:
        self._trust = TrustStore(ca_certificates)
        self._algorithms = cose.ALLOWED | ({cose.EDDSA} if accept_eddsa else frozenset())

    def add_certificate(self, pem: bytes) -> GatewayCertificate:
        """Add the certificate of a gateway. Raises Malformed, UntrustedCertificate or LimitReached."""
        return self._trust.add(pem)

    def open(self, message: bytes) -> tuple[Envelope, list[Measurement]]:
        """Check one message; its envelope, and its readings unless it is a notice. Raises ConsumerError.

        UnknownGateway means that the certificate has not been added.
        """
        received = envelope.parse(message)
        certificate = self._trust.find(received.certificate_sha256)
        if certificate is None:
            raise UnknownGateway(f"no certificate of {received.gateway} with this fingerprint is known")
        if certificate.gateway != received.gateway:
            raise UntrustedCertificate(f"the certificate is for {certificate.gateway}, not for {received.gateway}")
        certificate.check_valid_at(received.iat_s)
        cose.check_signature(received.sign1, certificate.public_key, allowed=self._algorithms)
        if received.notice:
            return received, []
        measured = senml.decode(received.sign1.payload)
        if len(measured) != received.last - received.first + 1:
            raise Malformed(f"{len(measured)} readings as records {received.first} to {received.last}")
        return received, measured
