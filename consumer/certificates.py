# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The certificates of gateways: issued by the city's authority, for one gateway, valid when it signed (RFC 5280)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from consumer.cose import PublicKey
from consumer.errors import LimitReached, Malformed, UntrustedCertificate

MAX_PEM_BYTES: Final = 16_384
MAX_GATEWAYS: Final = 10_000
_GATEWAY_URN: Final = re.compile(r"urn:dev:mac:[0-9a-f]{16}")
_HANDLED: Final = (x509.BasicConstraints, x509.KeyUsage, x509.SubjectAlternativeName, x509.ExtendedKeyUsage)
# What the certificate parser raises on hostile bytes; two of these are not ValueErrors.
_PARSE_ERRORS: Final = (
    ValueError,
    TypeError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)


@dataclass(frozen=True, slots=True)
class GatewayCertificate:
    """A certificate that the city's authority issued for a gateway. Its validity depends on the time asked for."""

    gateway: str
    sha256: bytes
    public_key: PublicKey
    not_before: datetime
    not_after: datetime

    def check_valid_at(self, time_s: int) -> None:
        """Raise UntrustedCertificate when the certificate was not valid at this Unix time."""
        moment = datetime.fromtimestamp(time_s, UTC)
        if not self.not_before <= moment <= self.not_after:
            raise UntrustedCertificate(
                f"the certificate of {self.gateway} is valid from {self.not_before.isoformat()} to "
                f"{self.not_after.isoformat()}, but the message was signed at {moment.isoformat()}"
            )


class TrustStore:
    """The certificates of the gateways that the given authorities issued, found by fingerprint."""

    def __init__(self, ca_certificates: Iterable[x509.Certificate], *, max_gateways: int = MAX_GATEWAYS) -> None:
        self._authorities = tuple(ca_certificates)
        self._certificates: dict[bytes, GatewayCertificate] = {}
        self._max_gateways = max_gateways
        if not self._authorities:
            raise UntrustedCertificate("no certificate authority is given: nothing could ever be trusted")
        for authority in self._authorities:
            _check_authority(authority)

    def __len__(self) -> int:
        return len(self._certificates)

    def add(self, pem: bytes) -> GatewayCertificate:
        """Add a gateway certificate from PEM. Raises Malformed, UntrustedCertificate or LimitReached."""
        if len(pem) > MAX_PEM_BYTES:
            raise Malformed(f"a certificate of {len(pem)} bytes; at most {MAX_PEM_BYTES} are read")
        try:
            certificate = x509.load_pem_x509_certificate(pem)
            found = self._inspect(certificate)
        except _PARSE_ERRORS as error:
            if isinstance(error, UntrustedCertificate):
                raise
            raise Malformed(f"not a certificate that can be read: {error}") from error
        if found.sha256 not in self._certificates and len(self._certificates) >= self._max_gateways:
            raise LimitReached(f"more than {self._max_gateways} gateway certificates")
        self._certificates[found.sha256] = found
        return found

    def find(self, sha256: bytes) -> GatewayCertificate | None:
        """The certificate with this fingerprint over its DER, None when it was not added."""
        return self._certificates.get(sha256)

    def _inspect(self, certificate: x509.Certificate) -> GatewayCertificate:
        authority = self._issuer(certificate)
        _check_gateway_extensions(certificate)
        key = certificate.public_key()
        if not isinstance(key, Ed25519PublicKey) and not (
            isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
        ):
            raise UntrustedCertificate("the key of this certificate is neither Ed25519 nor P-256")
        return GatewayCertificate(
            gateway=_gateway_urn(certificate),
            sha256=certificate.fingerprint(SHA256()),
            public_key=key,
            # What a gateway signed is no longer trusted than the authority itself.
            not_before=max(certificate.not_valid_before_utc, authority.not_valid_before_utc),
            not_after=min(certificate.not_valid_after_utc, authority.not_valid_after_utc),
        )

    def _issuer(self, certificate: x509.Certificate) -> x509.Certificate:
        for authority in self._authorities:
            try:
                certificate.verify_directly_issued_by(authority)
            except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
                continue
            return authority
        raise UntrustedCertificate("the certificate was not issued by an authority of this city")


def load_authorities(pem: bytes) -> list[x509.Certificate]:
    """Read the city's CA certificates from PEM, one or several. Raises Malformed."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except _PARSE_ERRORS as error:
        raise Malformed(f"not a PEM file of certificates: {error}") from error


def _check_authority(authority: x509.Certificate) -> None:
    try:
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = authority.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as error:
        raise UntrustedCertificate(f"not the certificate of an authority: {error}") from error
    if not constraints.ca or not usage.key_cert_sign:
        raise UntrustedCertificate("not the certificate of an authority: it may not sign certificates")


def _check_gateway_extensions(certificate: x509.Certificate) -> None:
    for extension in certificate.extensions:
        if extension.critical and not isinstance(extension.value, _HANDLED):
            raise UntrustedCertificate(f"critical extension {extension.oid.dotted_string} is not understood")
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as error:
        raise UntrustedCertificate(f"not the certificate of a gateway: {error}") from error
    if constraints.ca or not usage.digital_signature:
        raise UntrustedCertificate("not the certificate of a gateway: it may not sign messages")


def _gateway_urn(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as error:
        raise UntrustedCertificate("the certificate names no gateway") from error
    urns = [uri for uri in names.get_values_for_type(x509.UniformResourceIdentifier) if uri.startswith("urn:dev:")]
    if len(urns) != 1 or not _GATEWAY_URN.fullmatch(urns[0]):
        raise UntrustedCertificate("the certificate does not name exactly one urn:dev:mac:")
    return urns[0]
