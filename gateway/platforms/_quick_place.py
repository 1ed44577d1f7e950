# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Where an envelope stands, read from one that looks like the one before it: ``_beside.place`` says what is right.

Of the protected headers of one stream only the time, the record numbers and the hash before differ. The others are
compared with those of the last one that cbor2 read, byte by byte; whatever differs is left to cbor2. 4.8 us become 1.2.
"""

from __future__ import annotations

import struct

Place = tuple[str, str, int, int]
"""The gateway, the stream in hex, the first record and the last."""

_START = b"\xd2\x84\x58"
"""COSE_Sign1 (RFC 9052 section 4.2), and a protected header of 24 to 255 bytes."""
_HEADER_AT = 4
_TIME = 0x1A
_TIME_BYTES = 4
_SMALL, _ONE, _TWO, _FOUR = 24, 24, 25, 26
_PREVIOUS = (b"\x40", b"\x58\x20")
"""No digest, and one of 32 bytes."""
_DIGEST_BYTES = 32
_u16, _u32 = struct.Struct(">H").unpack_from, struct.Struct(">I").unpack_from


class Look:
    """What the protected headers of one stream have in common."""

    def __init__(self, head: bytes, middle: bytes, gateway: str, stream: str) -> None:
        """*head*: up to the time of issue; *middle*: from there to the record numbers."""
        self._head, self._middle, self._names = head, middle, (gateway, stream)
        self._middle_at = _HEADER_AT + len(head) + _TIME_BYTES
        self._numbers_at = self._middle_at + len(middle)

    def place(self, message: bytes) -> Place | None:
        """Return where an envelope stands; None when it looks different."""
        if not message.startswith(_START) or not message.startswith(self._head, _HEADER_AT):
            return None
        if not message.startswith(self._middle, self._middle_at):
            return None
        try:
            first, at = _number(message, self._numbers_at)
            last, at = _number(message, at)
            end = _HEADER_AT + message[3]
        except (IndexError, ValueError, struct.error):
            return None
        whole = (at + 1 == end and message.startswith(_PREVIOUS[0], at)) or (
            at + 2 + _DIGEST_BYTES == end and message.startswith(_PREVIOUS[1], at)
        )
        return (*self._names, first, last) if whole else None


def look_of(message: bytes, issued_at_s: int, stream: bytes, gateway: str) -> Look | None:
    """Return the look of an envelope with such a header; None when it is not of the usual form."""
    time = bytes((_TIME,)) + issued_at_s.to_bytes(_TIME_BYTES, "big") if 0x10000 <= issued_at_s < 1 << 32 else b""
    head, found, rest = message[_HEADER_AT:][: message[3]].partition(time) if time else (b"", b"", b"")
    middle, named, _ = rest.rpartition(stream)
    if not message.startswith(_START) or not found or not named:
        return None
    return Look(head + time[:1], middle + named, gateway, stream.hex())


def _number(message: bytes, at: int) -> tuple[int, int]:
    """Return a number that is not negative, and where it ends. Raises IndexError, ValueError, struct.error."""
    first = message[at]
    if first < _SMALL:
        return first, at + 1
    if first == _ONE:
        return message[at + 1], at + 2
    if first == _TWO:
        return _u16(message, at + 1)[0], at + 3
    if first == _FOUR:
        return _u32(message, at + 1)[0], at + 5
    raise ValueError
