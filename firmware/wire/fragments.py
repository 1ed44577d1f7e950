# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Fragmented data block transport on FPort 201: LoRaWAN TS004-1.0.0, commands and forward error correction.

A block of M fragments of the same size is followed by coded ones, each the XOR of about half of the M: line N of a
parity matrix that both sides compute (section on the encoding, ``parity_line``). Integers are little-endian.
"""

import struct

from firmware.wire.errors import Malformed

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = 3  # its identifier (TS004 section 3.1)
VERSION = 1

VERSION_CID = 0
STATUS_CID = 1
SETUP_CID = 2
DELETE_CID = 3
DATA_CID = 8

MAX_FRAGMENTS = 0x3FFF
ENCODING_UNSUPPORTED = 1
NO_MEMORY = 2
INDEX_UNSUPPORTED = 4
WRONG_DESCRIPTOR = 8
NO_SESSION = 4

_DOWN = {VERSION_CID: 0, STATUS_CID: 1, SETUP_CID: 10, DELETE_CID: 1}
_UP = {VERSION_CID: 2, STATUS_CID: 4, SETUP_CID: 1, DELETE_CID: 1}


def parse(payload: bytes, up: bool) -> "Iterator[tuple[int, bytes]]":
    """Give each command and its parameters; a data fragment takes the rest of the payload. Raises Malformed."""
    at = 0
    sizes = _UP if up else _DOWN
    while at < len(payload):
        cid = payload[at]
        size = len(payload) - at - 1 if cid == DATA_CID and not up else sizes.get(cid, -1)
        body = payload[at + 1 : at + 1 + size]
        if size < 0 or len(body) != size or (cid == DATA_CID and size < 3):
            raise Malformed("fragments: command %d at byte %d of %d" % (cid, at, len(payload)))
        yield cid, body
        at += 1 + size


def version_req() -> bytes:
    """Ask for package and version."""
    return bytes([VERSION_CID])


def version_ans() -> bytes:
    """Tell package and version."""
    return bytes([VERSION_CID, PACKAGE, VERSION])


def setup_req(index: int, count: int, size: int, padding: int, descriptor: bytes, groups: int = 0) -> bytes:
    """Announce *count* fragments of *size* bytes, the last with *padding* bytes that do not count."""
    head = struct.pack("<BBHBBB", SETUP_CID, index << 4 | groups, count, size, 0, padding)
    return head + descriptor


def decode_setup(body: bytes) -> "tuple[int, int, int, int, int, bytes]":
    """Return index, count, size, encoding, padding and descriptor."""
    session, count, size, control, padding = struct.unpack("<BHBBB", body[:6])
    return session >> 4 & 3, count, size, control >> 3 & 7, padding, body[6:]


def setup_ans(index: int, problems: int) -> bytes:
    """Answer an announcement; *problems* is 0 or a sum of the bits above."""
    return bytes([SETUP_CID, index << 6 | problems])


def status_req(index: int, all_answer: bool = True) -> bytes:
    """Ask how far it is; without *all_answer* only who lacks something answers."""
    return bytes([STATUS_CID, index << 1 | all_answer])


def decode_status_req(body: bytes) -> "tuple[int, bool]":
    """Return index, and whether a device that has all answers too."""
    return body[0] >> 1 & 3, bool(body[0] & 1)


def status_ans(index: int, received: int, missing: int, no_memory: bool) -> bytes:
    """Tell how many fragments came, coded ones included, and how many are missing still."""
    return struct.pack("<BHBB", STATUS_CID, index << 14 | min(received, MAX_FRAGMENTS), min(missing, 255), no_memory)


def decode_status_ans(body: bytes) -> "tuple[int, int, int, bool]":
    """Return index, received, missing and whether the device's memory was too small."""
    word, missing, status = struct.unpack("<HBB", body)
    return word >> 14, word & MAX_FRAGMENTS, missing, bool(status & 1)


def delete_req(index: int) -> bytes:
    """End a session."""
    return bytes([DELETE_CID, index])


def delete_ans(index: int, unknown: bool) -> bytes:
    """Answer that."""
    return bytes([DELETE_CID, (NO_SESSION if unknown else 0) | index])


def data(index: int, number: int, fragment: bytes) -> bytes:
    """Return a fragment; numbers begin at 1, coded ones behind the last of the block."""
    return struct.pack("<BH", DATA_CID, index << 14 | number) + fragment


def decode_data(body: bytes) -> "tuple[int, int, bytes]":
    """Return index, number and fragment."""
    (word,) = struct.unpack("<H", body[:2])
    return word >> 14, word & MAX_FRAGMENTS, body[2:]


def parity_line(number: int, count: int) -> "list[int]":
    """Return which fragments, from 0, coded fragment *number* (from 1) of a block of *count* is the XOR of.

    Drawn by a 23-bit shift register until half of them are chosen; one that is drawn twice counts once.
    """
    line = bytearray((count + 7) // 8)
    # for a power of two the draw is taken modulo one more: else the register's period would show
    modulus = count + (count & (count - 1) == 0)
    x = 1 + 1001 * number
    for _ in range(count // 2):
        drawn = 1 << 16
        while drawn >= count:
            x = x >> 1 | ((x ^ x >> 5) & 1) << 22
            drawn = x % modulus
        line[drawn // 8] |= 1 << drawn % 8
    return [at for at in range(count) if line[at // 8] >> at % 8 & 1]


def xor(into: bytearray, fragment: bytes) -> None:
    """XOR a fragment into another."""
    for i in range(len(into)):
        into[i] ^= fragment[i]
