# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The bytes of the reading queue: COBS-framed records, each with its CRC-32. Pure; provisioning reads the same bytes.

A torn or rotten record costs itself, never its neighbours.
"""

import binascii
import struct

from firmware.wire import cobs
from firmware.wire.errors import Malformed

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIME_NONE = 0
TIME_UNIX = 1  # t is seconds since 1970
TIME_UPTIME = 2  # t is seconds since the boot whose id the record carries

_HEAD = "<IIBI"  # seq, boot id, kind of time, t
_HEAD_LEN = 13
_MAX_ENCODED = 512
_STATE = "<II"  # everything up to this number is done with; readings dropped for want of room


class Record:
    """One reading as it lies on flash. *body* is its CBOR map as it was when it was made."""

    def __init__(self, seq: int, boot: int, time_kind: int, t: int, body: bytes) -> None:
        self.seq = seq
        self.boot = boot
        self.time_kind = time_kind
        self.t = t
        self.body = body


def pack(seq: int, boot: int, time_kind: int, t: int, body: bytes) -> bytes:
    """Return one record, ready to be appended to a segment."""
    record = struct.pack(_HEAD, seq, boot, time_kind, t) + body
    return cobs.frame(record + struct.pack("<I", binascii.crc32(record)))


def records(read: "Callable[[int], bytes]") -> "Iterator[tuple[Record, int]]":
    """Yield each whole record of a segment with the place where it ends.

    *read(offset)* gives some bytes from there on, and none at the end: a board never has to find room for a whole
    segment at once.
    """
    offset = 0
    pending = b""
    chunk = read(0)
    while chunk:
        pending += chunk
        offset += len(chunk)
        begun = offset - len(pending)
        start = 0
        end = pending.find(b"\x00")
        while end >= 0:
            record = _parse(pending[start:end]) if end > start else None
            start = end + 1
            if record is not None:
                yield record, begun + start
            end = pending.find(b"\x00", start)
        pending = pending[start:] if len(pending) - start <= _MAX_ENCODED else b""  # no record is that long
        chunk = read(offset)


def _parse(encoded: bytes) -> Record | None:
    try:
        data = cobs.decode(encoded)
    except Malformed:
        return None
    if len(data) < _HEAD_LEN + 4 or struct.unpack("<I", data[-4:])[0] != binascii.crc32(data[:-4]):
        return None
    seq, boot, time_kind, t = struct.unpack(_HEAD, data[:_HEAD_LEN])
    return Record(seq, boot, time_kind, t, data[_HEAD_LEN:-4])


def pack_state(base: int, dropped: int) -> bytes:
    """Return the payload of the queue's own slot record."""
    return struct.pack(_STATE, base, dropped)


def unpack_state(payload: bytes) -> tuple[int, int]:
    """Return ``(base, dropped)``: everything up to *base* is done with, *dropped* readings found no room."""
    base, dropped = struct.unpack(_STATE, payload)
    return base, dropped
