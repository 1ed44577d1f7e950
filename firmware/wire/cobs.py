# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Consistent Overhead Byte Stuffing: frames without zeros, delimited by zeros, for serial lines.

Source: Cheshire and Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on Networking 7(2), 1999.
A receiver that starts in the middle of a frame, or hears noise, is in step again after the next zero.
"""

from firmware.wire.errors import Malformed

_DELIMITER = b"\x00"


def encode(data: bytes) -> bytes:
    """Return *data* without zero bytes; at most one byte longer per 254, and at least one byte."""
    out = bytearray(b"\x00")
    code_at = 0
    code = 1
    for byte in data:
        if code == 0xFF:
            out[code_at] = code
            code_at = len(out)
            out.append(0)
            code = 1
        if byte:
            out.append(byte)
            code += 1
        else:
            out[code_at] = code
            code_at = len(out)
            out.append(0)
            code = 1
    out[code_at] = code
    return bytes(out)


def decode(data: bytes) -> bytes:
    """Return what ``encode`` was given. Raises Malformed when a block is cut short or holds a zero."""
    if not data:
        raise Malformed("COBS: no bytes between two delimiters")
    out = bytearray()
    pos = 0
    while pos < len(data):
        code = data[pos]
        block = data[pos + 1 : pos + code]
        if code == 0 or len(block) != code - 1 or 0 in block:
            raise Malformed("COBS: block at byte %d is cut short or holds a zero" % pos)
        out.extend(block)
        pos += code
        if code != 0xFF and pos < len(data):
            out.append(0)
    return bytes(out)


def frame(data: bytes) -> bytes:
    """Return *data* ready for the line. The leading zero ends whatever noise or text came before."""
    return _DELIMITER + encode(data) + _DELIMITER
