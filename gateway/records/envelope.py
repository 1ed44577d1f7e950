# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A signed envelope: COSE_Sign1 (RFC 9052 section 4.2) over a SenML pack, with its place in the gateway's stream."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cbor2

from gateway.quick_record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ED25519 = -19
"""COSE algorithm, RFC 9864 section 2.2."""
ESP256 = -9
"""COSE algorithm: ECDSA on P-256 with SHA-256, RFC 9864 section 2.1."""

# Header labels: RFC 9052 section 3.1; 15 of RFC 9597; 34 of RFC 9360
_ALG, _CONTENT_TYPE, _CWT_CLAIMS, _X5T = 1, 3, 15, 34
_STREAM = -65537
"""Private use (RFC 9052 section 11.1): [stream id, first record, last record, SHA-256 of the envelope before]."""
_LOST = -65538
"""Private use: the envelope is a notice of a loss, [SHA-256 of the last envelope that was lost, why]."""
_ENDED = -65539
"""Private use: a notice that another stream ended, [its id, its last record known, records saved, records lost]."""
_SENML_CBOR = 112
"""CoAP Content-Format of application/senml+cbor, RFC 8428 section 12.3."""
_CBOR = 60
"""CoAP Content-Format of application/cbor, RFC 8949 section 9.4."""
_SHA256 = -16
"""COSE algorithm of a thumbprint, RFC 9054."""
_ISS, _IAT = 1, 6
"""CWT claims, RFC 8392 section 4."""
_SIGN1_TAG = 18


@record
class Position:
    """The place of an envelope in its stream. Records are numbered from 1 and have no gaps."""

    stream_id: bytes
    """8 bytes, new whenever a gateway starts with an empty outbox."""
    first: int
    last: int
    previous: bytes
    """SHA-256 of the whole envelope before; empty for the first."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What is known of a stream that ended because its store was damaged."""

    stream_id: bytes
    """8 bytes; empty: nobody knows."""
    last: int
    """The highest record number that is known of it; 0: none is."""
    saved: int
    """Records that were rescued from the damaged store, of any stream, and go on to the platforms."""
    lost: int | None
    """Records of it that were not, and that not every platform had taken; None: nobody knows how many."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs. *sign* returns 64 bytes; the private key itself stays where it is."""

    issuer: str
    """URN of the gateway, ``urn:dev:mac:<EUI>``."""
    algorithm: int
    certificate_sha256: bytes
    sign: Callable[[bytes], bytes]


def seal(payload: bytes, position: Position, issued_at_s: int, signer: Signer) -> bytes:
    """Return the COSE_Sign1 message, tag included. The same input gives the same protected header."""
    protected = cbor2.dumps(headers(position, issued_at_s, signer))
    return _sign1(protected, payload, signer)


def seal_loss(position: Position, tail: bytes, why: str, issued_at_s: int, signer: Signer) -> bytes:
    """Return a signed notice that the records of *position* were lost on purpose, in place of their envelopes.

    *tail* is the digest of the last of them: the chain can be followed over the gap.
    *position.previous* is empty when it is not known any more.
    """
    protected = {**headers(position, issued_at_s, signer, _CBOR), _LOST: [tail, why]}
    return _sign1(cbor2.dumps(protected), cbor2.dumps(None), signer)


def seal_end(position: Position, ended: Ended, issued_at_s: int, signer: Signer) -> bytes:
    """Return a signed notice that another stream ended, as the one record of *position*: it has no readings."""
    said = [ended.stream_id, ended.last, ended.saved, ended.lost]
    protected = {**headers(position, issued_at_s, signer, _CBOR), _ENDED: said}
    return _sign1(cbor2.dumps(protected), cbor2.dumps(None), signer)


def seal_other(more: Mapping[int, object], payload: bytes, signer: Signer) -> bytes:
    """Return a message that is no part of the stream, with the headers *more* beside algorithm and certificate."""
    own: dict[int, object] = {_ALG: signer.algorithm, _X5T: [_SHA256, signer.certificate_sha256]}
    return _sign1(cbor2.dumps(own | dict(more), canonical=True), payload, signer)


def headers(position: Position, issued_at_s: int, signer: Signer, content_type: int = _SENML_CBOR) -> dict[int, object]:
    """Return the protected header, its labels in the order of deterministic encoding."""
    return {
        _ALG: signer.algorithm,
        _CONTENT_TYPE: content_type,
        _CWT_CLAIMS: {_ISS: signer.issuer, _IAT: issued_at_s},
        _X5T: [_SHA256, signer.certificate_sha256],
        _STREAM: [position.stream_id, position.first, position.last, position.previous],
    }


def _sign1(protected: bytes, payload: bytes, signer: Signer) -> bytes:
    signature = signer.sign(cbor2.dumps(["Signature1", protected, b"", payload]))
    message: bytes = cbor2.dumps(cbor2.CBORTag(_SIGN1_TAG, [protected, {}, payload, signature]))
    return message


def digest(message: bytes) -> bytes:
    """Return what the next envelope says about this one: SHA-256 of the whole message."""
    return hashlib.sha256(message).digest()
