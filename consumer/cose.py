# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""COSE_Sign1 messages (RFC 9052): parse them and check their signature. It knows no certificates and no claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from consumer import strict_cbor
from consumer.errors import Malformed, NotAuthentic, UnsupportedAlgorithm

# Header labels (RFC 9052 table 3, RFC 9597, RFC 9596, RFC 9360)
ALG: Final = 1
CRIT: Final = 2
CONTENT_TYPE: Final = 3
CWT_CLAIMS: Final = 15
TYP: Final = 16  # no signed message of one type can pass for another
X5T: Final = 34
SHA_256: Final = -16

# Algorithms (RFC 9053; RFC 9864 makes -19 and -9 take the place of -8 and -7)
ED25519: Final = -19
ESP256: Final = -9
EDDSA: Final = -8
ALLOWED: Final = frozenset({ED25519, ESP256})

_TAG_SIGN1: Final = 0xD2  # tag 18 in its shortest form
_P256_BYTES: Final = 32

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class Sign1:
    """A parsed COSE_Sign1. `protected_bytes` are as they are signed: empty also where h'A0' was sent."""

    protected: Mapping[int | str, Any]
    protected_bytes: bytes
    unprotected: Mapping[int | str, Any]
    payload: bytes
    signature: bytes

    def to_be_signed(self, external_aad: bytes = b"") -> bytes:
        """The Sig_structure that the signature covers (RFC 9052, 4.4)."""
        return cbor2.dumps(["Signature1", self.protected_bytes, external_aad, self.payload])


def parse(message: bytes) -> Sign1:
    """Parse a tagged COSE_Sign1 with its payload inside. Raises Malformed. Nothing is authentic yet."""
    if message[:1] != bytes([_TAG_SIGN1]):
        raise Malformed("not a COSE_Sign1 message: it does not begin with tag 18")
    parts = strict_cbor.loads(message[1:])
    if not isinstance(parts, list) or len(parts) != 4:
        raise Malformed("a COSE_Sign1 message is an array of four")
    protected_bytes, unprotected, payload, signature = parts
    if not isinstance(protected_bytes, bytes) or not isinstance(unprotected, dict):
        raise Malformed("the COSE headers are not a byte string and a map")
    if not isinstance(payload, bytes) or not isinstance(signature, bytes):
        raise Malformed("the COSE payload and signature are not byte strings; a detached payload is not accepted")
    protected = strict_cbor.loads(protected_bytes) if protected_bytes else {}
    if not isinstance(protected, dict):
        raise Malformed("the protected COSE header is not a map")
    both = protected.keys() & unprotected.keys()
    if both:
        raise Malformed(f"COSE header label {sorted(both, key=str)[0]!r} stands in both headers (RFC 9052, 3)")
    # An empty map is signed as a byte string of length zero, however it was sent (RFC 9052, 3 and 4.4).
    return Sign1(protected, protected_bytes if protected else b"", unprotected, payload, signature)


def fingerprint(sign1: Sign1) -> bytes:
    """SHA-256 of the signer's certificate, from the protected header x5t (RFC 9360); raises Malformed."""
    x5t = sign1.protected.get(X5T)
    if not isinstance(x5t, list) or len(x5t) != 2 or x5t[0] != SHA_256 or not isinstance(x5t[1], bytes):
        raise Malformed("the certificate fingerprint x5t is not [-16, SHA-256] (RFC 9360)")
    return x5t[1]


def check_critical(sign1: Sign1, understood: frozenset[int]) -> None:
    """Refuse headers that must be understood and are not (RFC 9052, 3.1: crit). Raises Malformed."""
    if CRIT in sign1.unprotected:
        raise Malformed("the crit header must be protected")
    if CRIT not in sign1.protected:
        return
    labels = sign1.protected[CRIT]
    if not isinstance(labels, list) or not labels:
        raise Malformed("the crit header is not a list of labels")
    for label in labels:
        # type(): True is equal to 1 in Python and must not pass for label 1
        if type(label) is not int or label not in understood:
            raise Malformed(f"header {label!r} is marked critical and is not understood")
        if label not in sign1.protected:
            raise Malformed(f"header {label} is marked critical and is not in the protected header")


def check_signature(
    sign1: Sign1, key: PublicKey, *, allowed: frozenset[int] = ALLOWED, external_aad: bytes = b""
) -> None:
    """Check the signature with `key`. Raises UnsupportedAlgorithm or NotAuthentic."""
    algorithm = sign1.protected.get(ALG)
    if type(algorithm) is not int or algorithm not in allowed:
        raise UnsupportedAlgorithm(
            f"signature algorithm {algorithm!r} in the protected header; allowed: {sorted(allowed)}"
        )
    message = sign1.to_be_signed(external_aad)
    try:
        if algorithm in (ED25519, EDDSA) and isinstance(key, Ed25519PublicKey):
            key.verify(sign1.signature, message)
        elif algorithm == ESP256 and isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
            key.verify(_to_der(sign1.signature), message, ECDSA(SHA256()))
        else:
            raise UnsupportedAlgorithm(f"algorithm {algorithm} does not fit the key of this gateway")
    except InvalidSignature as error:
        raise NotAuthentic("the signature does not belong to this message and this key") from error


def _to_der(signature: bytes) -> bytes:
    if len(signature) != 2 * _P256_BYTES:
        raise NotAuthentic(f"an ESP256 signature is {2 * _P256_BYTES} bytes, this one {len(signature)}")
    r = int.from_bytes(signature[:_P256_BYTES], "big")
    s = int.from_bytes(signature[_P256_BYTES:], "big")
    return encode_dss_signature(r, s)
