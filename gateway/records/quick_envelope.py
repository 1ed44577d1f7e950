# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Envelopes of readings built from prepared pieces: ``envelope.seal`` says what is right, cbor2 builds it there.

All of the protected header that one signer never changes is encoded once. 14 us become 2.4 beside the signature itself
(benchmarks/bench_steps.py says it for this machine), which is felt where each reading has a signature of its own.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

import cbor2

from gateway.records import envelope

if TYPE_CHECKING:
    from gateway.records.envelope import Position, Signer

_BYTES, _TIME = 0x40, 0x1A
_ONE_BYTE = 24
_TO_SIGN = b"\x84\x6aSignature1"
_MESSAGE = b"\xd2\x84"
"""COSE_Sign1, tag 18 (RFC 9052 section 4.2)."""
_NO_HEADER = b"\xa0"
_SIGNATURE = b"\x58\x40"
_SIGNATURE_BYTES, _STREAM_ID_BYTES, _DIGEST_BYTES = 64, 8, 32
_pack_u8, _pack_u16, _pack_u32 = struct.Struct(">BB").pack, struct.Struct(">BH").pack, struct.Struct(">BI").pack


def seal(payload: bytes, position: Position, issued_at_s: int, signer: Signer) -> bytes:
    """As ``envelope.seal``."""
    head, more = _fixed(signer.issuer, signer.algorithm, signer.certificate_sha256)
    previous = position.previous
    if len(position.stream_id) != _STREAM_ID_BYTES or not 0x10000 <= issued_at_s < 1 << 32:
        return envelope.seal(payload, position, issued_at_s, signer)
    protected = b"".join((
        head, _pack_u32(_TIME, issued_at_s), more, position.stream_id,
        _number(position.first), _number(position.last), _number(len(previous), _BYTES), previous,
    ))  # fmt: skip
    # The same pieces are signed and sent: protected header, and payload.
    header = _number(len(protected), _BYTES) + protected
    body = _number(len(payload), _BYTES) + payload
    signature = signer.sign(_TO_SIGN + header + b"\x40" + body)
    if len(signature) != _SIGNATURE_BYTES:
        return envelope.seal(payload, position, issued_at_s, signer)
    return b"".join((_MESSAGE, header, _NO_HEADER, body, _SIGNATURE, signature))


@lru_cache(maxsize=16)
def _fixed(issuer: str, algorithm: int, certificate_sha256: bytes) -> tuple[bytes, bytes]:
    """Return the protected header up to the time of issue, and from there to the stream's name."""
    signer = envelope.Signer(issuer, algorithm, certificate_sha256, bytes)
    time_s = 0x7FFFFFFF
    protected: bytes = cbor2.dumps(
        envelope.headers(envelope.Position(bytes(_STREAM_ID_BYTES), 0, 0, b""), time_s, signer)
    )
    head, _, rest = protected.partition(_pack_u32(_TIME, time_s))
    return head, rest[: -_STREAM_ID_BYTES - len(b"\x00\x00\x40")]


def _number(value: int, major: int = 0) -> bytes:
    """Return a number, or how long bytes are (RFC 8949 section 3)."""
    if value < _ONE_BYTE:
        return bytes((major | value,))
    if value < 0x100:
        return _pack_u8(major | 24, value)
    if value < 0x10000:
        return _pack_u16(major | 25, value)
    if value < 0x100000000:
        return _pack_u32(major | 26, value)
    return struct.pack(">BQ", major | 27, value)
