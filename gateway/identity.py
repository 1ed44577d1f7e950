# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The gateway's own key and certificate, and a check that they belong together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from gateway.errors import CannotSign, IdentityError
from gateway.records.envelope import ED25519, ESP256, Signer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_P256_BYTES = 32


@dataclass(frozen=True)
class Identity:
    """Who this gateway is: what it signs with, and the certificate that proves it (PEM)."""

    eui: str
    signer: Signer
    certificate_pem: bytes
    not_before: datetime
    not_after: datetime

    def signing_time_s(self, wall_s: float) -> int:
        """Return the Unix time that an envelope sealed now carries. Raises CannotSign.

        A clock that stands before the certificate's first moment was not set yet, or was set back: it is then at least
        that moment. A clock beyond its last moment may be wrong too, but nobody could tell from here.
        """
        if wall_s > self._valid_s[1]:
            raise CannotSign(
                f"The gateway's certificate is valid until {self.not_after.isoformat()}, which is over by this "
                f"machine's clock. Consumers would refuse what it signs. Correct the clock, or enrol the gateway again."
            )
        return max(int(wall_s), int(self._valid_s[0]))

    @cached_property
    def _valid_s(self) -> tuple[float, float]:
        return self.not_before.timestamp(), self.not_after.timestamp()


def load(eui: str, key_pem: bytes, certificate_pem: bytes) -> Identity:
    """Return the identity. Raises IdentityError when key, certificate and EUI do not belong together."""
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except (ValueError, TypeError) as error:
        raise IdentityError(f"The gateway's key or certificate is not readable PEM: {error}") from error
    public = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if certificate.public_key().public_bytes(*public) != key.public_key().public_bytes(*public):
        raise IdentityError(
            "The gateway's key and certificate do not belong together: nobody could verify what it signs. "
            "Use the pair that `lykta gateway enroll` wrote."
        )
    urn = f"urn:dev:mac:{eui}"
    names = _uris(certificate)
    if urn not in names:
        raise IdentityError(
            f"The certificate is for {', '.join(names) or 'nobody'}, but gateway.eui says {urn}. "
            f"Correct gateway.eui, or enrol this gateway."
        )
    algorithm, sign = _signing(key)
    return Identity(
        eui,
        Signer(urn, algorithm, certificate.fingerprint(hashes.SHA256()), sign),
        certificate_pem,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def _signing(key: object) -> tuple[int, Callable[[bytes], bytes]]:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return ED25519, key.sign
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        curve_key = key

        def sign(data: bytes) -> bytes:
            # COSE carries r and s side by side, not DER (RFC 9053 section 2.1)
            r, s = utils.decode_dss_signature(curve_key.sign(data, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(_P256_BYTES, "big") + s.to_bytes(_P256_BYTES, "big")

        return ESP256, sign
    raise IdentityError(f"The gateway's key is a {type(key).__name__}; Ed25519 and P-256 can sign envelopes.")
