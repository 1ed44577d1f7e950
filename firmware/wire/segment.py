# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Frames in pieces that fit a GATT value: one header byte, then part of one frame.

Header: bit 7 the first piece of a frame, bit 6 the last, bits 5 to 0 a number that grows by one with every piece of its
direction and wraps. A receiver that misses a number drops the frame that it was in and goes on with the next first
piece. One piece that is first and last and carries nothing says "I am listening": see ``READY``.

What is lost is noticed, what is forged is not: that is the frame's own MIC's work.
"""

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = 0x80
LAST = 0x40
MAX_FRAME = 255  # bytes of a PHYPayload
READY = b""  # what a reassembler gives, and a segmenter takes, for "I am listening"

_NUMBERS = 0x3F
_HEADER = 1


class Segmenter:
    """Cuts frames for one direction of one connection."""

    def __init__(self) -> None:
        self._next = 0

    def reset(self) -> None:
        """A new connection: numbers begin again."""
        self._next = 0

    def split(self, frame: bytes, size: int) -> "Iterator[bytes]":
        """Give the pieces of *frame*, each of at most *size* bytes, header included. Raises ValueError.

        A piece counts as sent when it is given out: take them all, or ``reset`` and begin a new connection.
        """
        if size <= _HEADER:
            raise ValueError("segment: %d bytes hold no piece; at least %d" % (size, _HEADER + 1))
        if len(frame) > MAX_FRAME:
            raise ValueError("segment: a frame of %d bytes; at most %d" % (len(frame), MAX_FRAME))
        start = 0
        flags = FIRST
        while flags & LAST == 0:
            part = frame[start : start + size - _HEADER]
            start += len(part)
            if start >= len(frame):
                flags |= LAST
            number = self._next
            self._next = (number + 1) & _NUMBERS
            yield bytes([flags | number]) + part
            flags &= ~FIRST


class Reassembler:
    """Joins the pieces of one direction of one connection; holds at most *max_frame* bytes, whatever comes.

    Counts: ``lost`` breaks in the order (pieces missing, repeated, swapped, frames without an end), each of which cost
    a frame at most; ``oversized`` frames that grew beyond *max_frame*; ``malformed`` pieces, which say nothing.
    """

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self.lost = 0
        self.oversized = 0
        self.malformed = 0
        self._max_frame = max_frame
        self._held = None  # type: bytearray | None  # the frame that is growing
        self._next = None  # type: int | None  # the number to come; None at the start of a connection

    def reset(self) -> None:
        """A new connection: any number may come first."""
        if self._held is not None:
            self.lost += 1
        self._held = None
        self._next = None

    def growing(self) -> bool:
        """Tell whether a frame has begun and not ended."""
        return self._held is not None

    def feed(self, piece: bytes) -> "bytes | None":
        """Take one GATT value; return the frame that it completes, READY, or None."""
        if not piece or (len(piece) == _HEADER and piece[0] & (FIRST | LAST) != FIRST | LAST):
            self.malformed += 1
            return None
        flags, number = piece[0] & (FIRST | LAST), piece[0] & _NUMBERS
        expected, self._next = self._next, (number + 1) & _NUMBERS
        if flags & FIRST:
            if self._held is not None or (expected is not None and number != expected and len(piece) > _HEADER):
                self.lost += 1  # the rest of the one before, or all of one in between
            self._held = bytearray()
        elif self._held is None:  # of a frame that was given up already, or whose first piece is missing
            self.lost += number != expected
            return None
        elif number != expected:
            self.lost += 1
            self._held = None
            return None
        return self._grow(piece, flags)

    def _grow(self, piece: bytes, flags: int) -> "bytes | None":
        held = self._held
        if held is None:
            return None
        if len(held) + len(piece) - _HEADER > self._max_frame:
            self.oversized += 1
            self._held = None
            return None
        held.extend(piece[_HEADER:])
        if not flags & LAST:
            return None
        self._held = None
        return bytes(held)
