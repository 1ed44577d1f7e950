# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Signed receipts: a platform tells a gateway which records it holds durably, so that the gateway may let them go.

A receipt is a COSE_Sign1 (RFC 9052) of type `application/lykta-receipt+cbor` (header 16, RFC 9596). Its claims
(RFC 9597) say who gives it (iss), for which gateway (aud) and when (iat, Unix seconds); header x5t (RFC 9360) names the
certificate of the key. The payload is a map: 1 the stream's id (8 bytes), 2 the ranges held as [first, last], lowest
first, 3 the SHA-256 of the envelope that ends the first range, empty where a loss does. Every receipt says all
that is held: one that is lost or comes twice does no harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from consumer import cose, strict_cbor
from consumer.errors import Malformed, UntrustedCertificate

TYPE: Final = "application/lykta-receipt+cbor"
MAX_RANGES: Final = 64
MAX_BYTES: Final = 8192
_ISS, _AUD, _IAT = 1, 3, 6
_STREAM, _HELD, _DIGEST = 1, 2, 3
_MAX_RECORD: Final = (1 << 63) - 1
_MAX_NAME: Final = 64
_UNDERSTOOD: Final = frozenset({cose.ALG, cose.CWT_CLAIMS, cose.X5T, cose.TYP})

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a platform holds of one stream of one gateway. `held`: ranges of record numbers, inclusive, lowest first."""

    platform: str
    gateway: str
    stream_id: bytes
    held: tuple[tuple[int, int], ...]
    digest: bytes
    iat_s: int


class ReceiptSigner:
    """Signs with one key of a platform: Ed25519 or P-256."""

    def __init__(self, platform: str, key: PrivateKey, certificate: x509.Certificate) -> None:
        """Raises UntrustedCertificate when key and certificate do not belong together or are of another kind."""
        if not 0 < len(platform) <= _MAX_NAME:
            raise UntrustedCertificate(f"the name of a platform has 1 to {_MAX_NAME} characters, not {len(platform)}")
        if certificate.public_key() != key.public_key():
            raise UntrustedCertificate("the certificate is for another key than the one that is to sign receipts")
        if isinstance(key, EllipticCurvePrivateKey) and not isinstance(key.curve, SECP256R1):
            raise UntrustedCertificate(f"receipts are signed with Ed25519 or P-256, not with {key.curve.name}")
        self.platform = platform
        self._key = key
        self._fingerprint = certificate.fingerprint(SHA256())

    def sign(self, receipt: Receipt) -> bytes:
        """The message, tag included."""
        algorithm = cose.ED25519 if isinstance(self._key, Ed25519PrivateKey) else cose.ESP256
        protected = cbor2.dumps(
            {
                cose.ALG: algorithm,
                cose.CWT_CLAIMS: {_ISS: self.platform, _AUD: receipt.gateway, _IAT: receipt.iat_s},
                cose.TYP: TYPE,
                cose.X5T: [cose.SHA_256, self._fingerprint],
            },
            canonical=True,
        )
        held = [list(each) for each in receipt.held[:MAX_RANGES]]
        payload = cbor2.dumps({_STREAM: receipt.stream_id, _HELD: held, _DIGEST: receipt.digest}, canonical=True)
        to_be_signed = cbor2.dumps(["Signature1", protected, b"", payload])
        if isinstance(self._key, Ed25519PrivateKey):
            signature = self._key.sign(to_be_signed)
        else:
            r, s = decode_dss_signature(self._key.sign(to_be_signed, ECDSA(SHA256())))
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature]))


class ReceiptReader:
    """Accepts receipts that a pinned certificate signed, for one gateway."""

    def __init__(self, gateway: str, certificates: list[x509.Certificate]) -> None:
        """Raises UntrustedCertificate for a key that is neither Ed25519 nor P-256."""
        self._gateway = gateway
        self._certificates: dict[bytes, tuple[x509.Certificate, cose.PublicKey]] = {}
        for certificate in certificates:
            key = certificate.public_key()
            if not isinstance(key, Ed25519PublicKey) and not (
                isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
            ):
                raise UntrustedCertificate("the key of a platform is neither Ed25519 nor P-256")
            self._certificates[certificate.fingerprint(SHA256())] = certificate, key

    def read(self, message: bytes) -> Receipt:
        """Check one message. Raises a ConsumerError for whatever is wrong with it."""
        if len(message) > MAX_BYTES:
            raise Malformed(f"a receipt of {len(message)} bytes; at most {MAX_BYTES} are read")
        sign1 = cose.parse(message)
        cose.check_critical(sign1, _UNDERSTOOD)
        if sign1.protected.get(cose.TYP) != TYPE:
            raise Malformed(f"type {str(sign1.protected.get(cose.TYP))[:60]!r}; {TYPE} is expected")
        certificate, key = self._find(cose.fingerprint(sign1))
        cose.check_signature(sign1, key)
        platform, gateway, iat_s = _claims(sign1.protected)
        begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
        if not begins <= iat_s <= ends:
            raise UntrustedCertificate(f"the certificate of {platform} was not valid when it signed, at {iat_s}")
        if gateway != self._gateway:
            raise UntrustedCertificate(f"the receipt is for {gateway[:60]}, not for {self._gateway}")
        return _payload(sign1.payload, platform, gateway, iat_s)

    def _find(self, fingerprint: bytes) -> tuple[x509.Certificate, cose.PublicKey]:
        found = self._certificates.get(fingerprint)
        if found is None:
            raise UntrustedCertificate("the receipt is signed with a certificate that nobody pinned")
        return found


def _claims(protected: Mapping[int | str, Any]) -> tuple[str, str, int]:
    claims = protected.get(cose.CWT_CLAIMS)
    if not isinstance(claims, dict):
        raise Malformed("the CWT claims are missing (RFC 9597)")
    platform, gateway, iat_s = claims.get(_ISS), claims.get(_AUD), claims.get(_IAT)
    if not isinstance(platform, str) or not 0 < len(platform) <= _MAX_NAME or not isinstance(gateway, str):
        raise Malformed("a receipt names its platform (iss) and its gateway (aud)")
    if type(iat_s) is not int or iat_s < 0:
        raise Malformed("a receipt says when it was given (iat), in whole Unix seconds")
    return platform, gateway, iat_s


def _payload(payload: bytes, platform: str, gateway: str, iat_s: int) -> Receipt:
    content = strict_cbor.loads(payload)
    if not isinstance(content, dict) or set(content) != {_STREAM, _HELD, _DIGEST}:
        raise Malformed("the payload of a receipt is a map of the labels 1, 2 and 3")
    stream_id, held, digest = content[_STREAM], content[_HELD], content[_DIGEST]
    if not isinstance(stream_id, bytes) or len(stream_id) != 8:
        raise Malformed("the stream id of a receipt is not 8 bytes")
    if not isinstance(digest, bytes) or len(digest) not in (0, 32):
        raise Malformed("the digest of a receipt is neither empty nor 32 bytes")
    if not isinstance(held, list) or len(held) > MAX_RANGES:
        raise Malformed(f"a receipt holds at most {MAX_RANGES} ranges")
    floor = 0
    for each in held:
        if not isinstance(each, list) or len(each) != 2 or any(type(number) is not int for number in each):
            raise Malformed("a range of a receipt is [first, last]")
        if not floor < each[0] <= each[1] <= _MAX_RECORD:
            raise Malformed("the ranges of a receipt are not sorted and apart")
        floor = each[1]
    return Receipt(platform, gateway, stream_id, tuple((first, last) for first, last in held), digest, iat_s)
