# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The envelope: a COSE_Sign1 whose protected header says who signed, when, and the place in the gateway's stream."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from consumer import cose
from consumer.errors import Malformed

STREAM: Final = -65537  # private-use label: [stream id, first record, last record, SHA-256 of the envelope before]
LOST: Final = -65538  # private-use label: [SHA-256 of the last envelope that was lost, why]
ENDED: Final = -65539  # private-use label: [id of a stream that ended, its last record known, saved, lost or null]
CBOR: Final = 60  # CoAP Content-Format application/cbor (RFC 8949, 9.4)
SENML_CBOR: Final = 112  # CoAP Content-Format application/senml+cbor (RFC 8428, 12.3)
SHA_256: Final = -16  # COSE algorithm of the certificate fingerprint (RFC 9054)
ISS: Final = 1
IAT: Final = 6

MAX_RECORDS: Final = 4096
MAX_RECORD: Final = (1 << 63) - 1
_MAX_IAT_S: Final = 253_402_300_799  # the last second of the year 9999
_DIGEST_BYTES: Final = 32
_STREAM_ID_BYTES: Final = 8
_GATEWAY_URN: Final = re.compile(r"urn:dev:mac:[0-9a-f]{16}")
_MAX_WHY_CHARS: Final = 100
_NOTHING: Final = b"\xf6"  # CBOR null: a notice has no payload
_UNDERSTOOD: Final = frozenset({cose.ALG, cose.CONTENT_TYPE, cose.CWT_CLAIMS, cose.X5T, STREAM, LOST, ENDED})


@dataclass(frozen=True, slots=True)
class Loss:
    """The message is a notice: the gateway gave up its records. `tail` is the SHA-256 of the last lost envelope."""

    tail: bytes
    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The message is a notice: another stream of the gateway ended, because its store was damaged.

    `stream_id` is empty when the gateway does not know which, `last` the highest record that it knows of it. `saved`
    records were rescued and still come; `lost` ones were not, None when nobody knows how many.
    """

    stream_id: bytes
    last: int
    saved: int
    lost: int | None


@dataclass(frozen=True, slots=True)
class Envelope:
    """The headers of an envelope, by what they mean. Not authentic until the signature was checked.

    `iat_s` is Unix time; records `first` to `last` are numbered from 1 in the stream; `previous` is the
    SHA-256 of the whole message before, empty for the first.
    """

    sign1: cose.Sign1
    gateway: str
    iat_s: int
    certificate_sha256: bytes
    stream_id: bytes
    first: int
    last: int
    previous: bytes
    digest: bytes
    loss: Loss | None
    ended: Ended | None = None

    @property
    def notice(self) -> bool:
        """Whether the message has no readings."""
        return self.loss is not None or self.ended is not None


def parse(message: bytes) -> Envelope:
    """Read the headers of a message. Raises Malformed."""
    sign1 = cose.parse(message)
    cose.check_critical(sign1, _UNDERSTOOD)
    stray = sorted(label for label in sign1.unprotected if label in _UNDERSTOOD)
    if stray:
        raise Malformed(f"header {stray[0]} must be protected by the signature")
    loss = _loss(sign1)
    ended = _ended(sign1)
    if loss is not None and ended is not None:
        raise Malformed("one notice is both of a loss and of the end of a stream")
    expected = SENML_CBOR if loss is None and ended is None else CBOR
    if sign1.protected.get(cose.CONTENT_TYPE) != expected:
        raise Malformed(f"content type {sign1.protected.get(cose.CONTENT_TYPE)!r}; {expected} is expected")
    gateway, iat_s = _claims(sign1.protected)
    stream_id, first, last, previous = _position(sign1.protected, notice=loss is not None)
    return Envelope(
        sign1=sign1,
        gateway=gateway,
        iat_s=iat_s,
        certificate_sha256=_fingerprint(sign1.protected),
        stream_id=stream_id,
        first=first,
        last=last,
        previous=previous,
        digest=hashlib.sha256(message).digest(),
        loss=loss,
        ended=_placed(ended, stream_id, first, last),
    )


def _loss(sign1: cose.Sign1) -> Loss | None:
    if LOST not in sign1.protected:
        return None
    lost = sign1.protected[LOST]
    if not isinstance(lost, list) or len(lost) != 2:
        raise Malformed("the notice of a loss is not [SHA-256, why]")
    tail, why = lost
    if not isinstance(tail, bytes) or len(tail) != _DIGEST_BYTES:
        raise Malformed("the hash in the notice of a loss is not 32 bytes")
    if not isinstance(why, str) or len(why) > _MAX_WHY_CHARS:
        raise Malformed(f"the reason of a loss is not a text of at most {_MAX_WHY_CHARS} characters")
    if sign1.payload != _NOTHING:
        raise Malformed("a notice of a loss carries a payload")
    return Loss(tail, why)


def _ended(sign1: cose.Sign1) -> Ended | None:
    if ENDED not in sign1.protected:
        return None
    said = sign1.protected[ENDED]
    if not isinstance(said, list) or len(said) != 4:
        raise Malformed("the notice that a stream ended is not [stream id, last record, saved, lost]")
    stream_id, last, saved, lost = said
    if not isinstance(stream_id, bytes) or len(stream_id) not in (0, _STREAM_ID_BYTES):
        raise Malformed(f"the id of a stream that ended is neither empty nor {_STREAM_ID_BYTES} bytes")
    if not _is_int(last, 0, MAX_RECORD if stream_id else 0):
        raise Malformed("the last record of a stream that ended is no record number")
    if not _is_int(saved, 0, MAX_RECORD) or not (lost is None or _is_int(lost, 0, MAX_RECORD)):
        raise Malformed("the notice that a stream ended does not count what was saved and lost")
    if sign1.payload != _NOTHING:
        raise Malformed("the notice that a stream ended carries a payload")
    return Ended(stream_id, last, saved, lost)


def _placed(ended: Ended | None, stream_id: bytes, first: int, last: int) -> Ended | None:
    """A notice that another stream ended is one record of its own."""
    if ended is not None and (first != last or stream_id == ended.stream_id):
        raise Malformed("the notice that a stream ended is not one record of another stream")
    return ended


def _claims(protected: Mapping[int | str, Any]) -> tuple[str, int]:
    claims = protected.get(cose.CWT_CLAIMS)
    if not isinstance(claims, dict):
        raise Malformed("the CWT claims are missing (RFC 9597)")
    issuer, issued_at_s = claims.get(ISS), claims.get(IAT)
    if not isinstance(issuer, str) or not _GATEWAY_URN.fullmatch(issuer):
        raise Malformed(f"issuer {str(issuer)[:60]!r} is not urn:dev:mac: and 16 hexadecimal digits")
    if not _is_int(issued_at_s, 0, _MAX_IAT_S):
        raise Malformed(f"issued-at {str(issued_at_s)[:40]} is not a Unix time in whole seconds")
    return issuer, issued_at_s


def _fingerprint(protected: Mapping[int | str, Any]) -> bytes:
    x5t = protected.get(cose.X5T)
    if not isinstance(x5t, list) or len(x5t) != 2 or not _is_int(x5t[0], SHA_256, SHA_256):
        raise Malformed("the certificate fingerprint x5t is not [-16, SHA-256] (RFC 9360)")
    if not isinstance(x5t[1], bytes) or len(x5t[1]) != _DIGEST_BYTES:
        raise Malformed("the certificate fingerprint is not 32 bytes")
    return x5t[1]


def _position(protected: Mapping[int | str, Any], *, notice: bool) -> tuple[bytes, int, int, bytes]:
    position = protected.get(STREAM)
    if not isinstance(position, list) or len(position) != 4:
        raise Malformed("the place in the stream is missing")
    stream_id, first, last, previous = position
    if not isinstance(stream_id, bytes) or len(stream_id) != _STREAM_ID_BYTES:
        raise Malformed(f"the stream id is not {_STREAM_ID_BYTES} bytes")
    highest = MAX_RECORD if notice or type(first) is not int else min(first + MAX_RECORDS - 1, MAX_RECORD)
    if not _is_int(first, 1, MAX_RECORD) or not _is_int(last, first, highest):
        raise Malformed("the record numbers do not run from first to last")
    unknown = notice and previous == b""  # the envelope before the loss was deleted long ago
    if not isinstance(previous, bytes) or not (unknown or len(previous) == (0 if first == 1 else _DIGEST_BYTES)):
        raise Malformed("the hash of the envelope before is not 32 bytes, or none for record 1")
    return stream_id, first, last, previous


def _is_int(value: object, low: int, high: int) -> TypeGuard[int]:
    return type(value) is int and low <= value <= high  # type(): a truth value is no number here
