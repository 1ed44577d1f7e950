# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Is a file what the ROM loader of an ESP32 starts? Checked before anything is erased.

The format: header of 24 bytes (magic 0xE9, segments, chip id), segments of address and length, one byte that is 0xEF
exclusive-or all data of the segments at the end of a 16-byte line, and, where the header says so, the SHA-256 of all
before it (ESP-IDF, "Firmware Image Format"; esptool, "image-info").
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

from provisioning.bench.errors import NoImage

_HEADER: Final = struct.Struct("<BBBBIB3sHBHH4xB")
_SEGMENT: Final = struct.Struct("<II")
_MAGIC: Final = 0xE9
_CHECKSUM: Final = 0xEF
_MAX_SEGMENTS: Final = 16
_DIGEST_BYTES: Final = 32
_LINE_BYTES: Final = 16
CHIP_IDS: Final = {
    "esp32": 0,
    "esp32s2": 2,
    "esp32c3": 5,
    "esp32s3": 9,
    "esp32c2": 12,
    "esp32c6": 13,
    "esp32h2": 16,
    "esp32p4": 18,
}
_NAMES: Final = {number: name for name, number in CHIP_IDS.items()}


def check(data: bytes, offset: int, chip: str | None = None) -> int:
    """Check the first image of a file that is written at *offset*; return its length in bytes. Raises NoImage.

    A release of MicroPython is several images in one file; the first is what the ROM starts.
    """
    if not data or data[0] != _MAGIC:
        raise _refused(f"first byte {data[:1].hex() or 'none'}, not e9, at offset {offset:#x}")
    if len(data) < _HEADER.size:
        raise _refused(f"{len(data)} bytes, and the header alone has {_HEADER.size}")
    fields = _HEADER.unpack_from(data)
    segments, made_for, hashed = fields[1], fields[7], fields[-1]
    if not 1 <= segments <= _MAX_SEGMENTS:
        raise _refused(f"it says to have {segments} segments; 1 to {_MAX_SEGMENTS} are possible")
    if chip in CHIP_IDS and made_for != CHIP_IDS[chip]:
        raise _refused(f"it is for {_NAMES.get(made_for, f'chip {made_for}')}, not for {chip}")
    end, checksum = _segments(data, segments)
    at = end | (_LINE_BYTES - 1)  # the checksum ends the line
    if at >= len(data):
        raise _refused(f"it is cut short: {len(data)} bytes, its checksum stands at {at}")
    if data[at] != checksum:
        raise _refused(f"its checksum is {data[at]:#04x}, of its data {checksum:#04x}")
    whole = at + 1
    if not hashed:
        return whole
    if hashlib.sha256(data[:whole]).digest() != data[whole : whole + _DIGEST_BYTES]:
        raise _refused("its SHA-256 is not the one that stands at its end")
    return whole + _DIGEST_BYTES


def _segments(data: bytes, count: int) -> tuple[int, int]:
    """Where the segments end, and the checksum of their data."""
    at, checksum = _HEADER.size, _CHECKSUM
    for number in range(count):
        if at + _SEGMENT.size > len(data):
            raise _refused(f"it is cut short in the head of segment {number}")
        _, size = _SEGMENT.unpack_from(data, at)
        at += _SEGMENT.size
        if at + size > len(data):
            raise _refused(f"it is cut short: segment {number} ends at {at + size}, the file at {len(data)}")
        for byte in data[at : at + size]:
            checksum ^= byte
        at += size
    return at, checksum


def _refused(why: str) -> NoImage:
    return NoImage(
        "This is no image for an ESP32.",
        value=why,
        reason="The ROM loader would start nothing, or stop half-way.",
        next_step="take the .bin of the release, not the .app-bin nor the .elf",
    )
