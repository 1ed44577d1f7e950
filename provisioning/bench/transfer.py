# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How the bytes of a file are written into code that a board runs: as few as the board understands.

A line of 115 200 baud carries 11 KB a second, and each byte is one more for the board's lexer. So they are deflated
(RFC 1951) where MicroPython has the module, and stand in a bytes literal as they are where the way to its lexer is
clean; a board that gives something else back gets Base64, which passes everywhere.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import Final

WINDOW_BITS: Final = 10
"""1 KB of the board's heap while it inflates."""
_ESCAPED: Final = {
    **{byte: f"\\x{byte:02x}".encode() for byte in (0, 1, 2, 3, 4, 5, 0x11, 0x13)},
    ord("\r"): b"\\r",
    ord("\n"): b"\\n",
    ord("'"): b"\\'",
    ord("\\"): b"\\\\",
}
"""What the prompt, a line with XON/XOFF or the lexer takes for something else."""
_TABLE: Final = [_ESCAPED.get(byte, bytes([byte])) for byte in range(256)]
_ALL: Final = bytes(range(256))


@dataclass(frozen=True)
class Way:
    """What a board understands; Base64 without a module is what all do."""

    literal: bool = False
    """Any byte may stand in a bytes literal."""
    deflated: bool = False
    """It has the module `deflate` (MicroPython 1.21, where the port has it)."""

    def expression(self, data: bytes) -> bytes:
        """Code whose value on the board is *data*, or its Base64 as a str."""
        packed = _deflate(data) if self.deflated else data
        inside = packed if len(packed) < len(data) else data
        text = literal(inside) if self.literal else b"'" + base64.b64encode(inside) + b"'"
        return text if inside is data else b"_lz(" + text + b")"


PLAIN: Final = Way()


def literal(data: bytes) -> bytes:
    """*data* as a bytes literal of MicroPython: not ASCII, which CPython would ask for."""
    return b"b'" + b"".join([_TABLE[byte] for byte in data]) + b"'"


def question() -> bytes:
    """Code that prints a digit for each thing that the board understands: literals, then deflate."""
    return b"print(int(" + literal(_ALL) + b"==bytes(range(256))),int(bool(deflate)))"


def understood(printed: bytes) -> Way:
    """The way that the answer to the question allows; the plain one for an answer that is none."""
    words = printed.split()
    return Way(words[0] == b"1", words[1] == b"1") if len(words) == 2 else PLAIN


def _deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -WINDOW_BITS, 9)
    return packer.compress(data) + packer.flush()
