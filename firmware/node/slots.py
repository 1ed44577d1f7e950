# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One record in a slot: magic, generation, length, payload, CRC-32. Pure; provisioning writes the same bytes.

Two slots, ``<name>.a`` and ``<name>.b``, are written in turn. Whatever a power cut leaves of one, the other is whole.
"""

import binascii
import struct

MAX_PAYLOAD = 4096
MAX_GENERATION = 0xFFFFFFFF

_MAGIC = b"Lyk1"
_HEAD = "<4sIH"
_HEAD_LEN = 10
_CRC_LEN = 4


def pack(generation: int, payload: bytes) -> bytes:
    """Return the slot's bytes. *generation* counts the writes of both slots together, from 1. Raises ValueError."""
    if not 0 <= generation <= MAX_GENERATION:
        raise ValueError("slot: generation %d does not fit 32 bits" % generation)
    if len(payload) > MAX_PAYLOAD:
        raise ValueError("slot: payload of %d bytes; at most %d" % (len(payload), MAX_PAYLOAD))
    record = struct.pack(_HEAD, _MAGIC, generation, len(payload)) + payload
    return record + struct.pack("<I", binascii.crc32(record))


def unpack(data: bytes) -> tuple[int, bytes] | None:
    """Return ``(generation, payload)``, or None for anything that is not exactly one undamaged record."""
    if len(data) < _HEAD_LEN + _CRC_LEN:
        return None
    magic, generation, length = struct.unpack(_HEAD, data[:_HEAD_LEN])
    if magic != _MAGIC or len(data) != _HEAD_LEN + length + _CRC_LEN:
        return None
    if struct.unpack("<I", data[-_CRC_LEN:])[0] != binascii.crc32(data[:-_CRC_LEN]):
        return None
    return generation, bytes(data[_HEAD_LEN:-_CRC_LEN])
