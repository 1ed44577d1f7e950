# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Puts a block together from fragments of which some are lost (TS004: ``wire.fragments``), in little memory.

What has come lies on flash: the block with zeros where a fragment is missing, the numbers of what is missing, and a
coded fragment for each, from which the others that were there are taken out. In memory are the missing numbers and
one row of bits for each: at most ``MAX_MISSING`` of them. When there are as many rows as gaps the gaps are filled, the
last one first. *store* has the methods of ``files.Files``; all of it is found again after a power cut.
"""

import struct

from firmware.node.errors import NodeError
from firmware.wire import fragments

MAX_MISSING = 64
_BLOCK = "fragments"
_GAPS = "fragments.gaps"
_ROWS = "fragments.rows"


class TooManyLost(NodeError):
    """More fragments are missing than this board has memory for."""


class Defragmenter:
    """One session: *count* fragments of *size* bytes each."""

    def __init__(self, store, count: int, size: int) -> None:
        self._store = store
        self._count = count
        self._size = size
        self.received = 0
        self._gaps = []  # type: list[int]  # fragments that are missing, rising
        self._rows = {}  # type: dict[int, tuple[int, int]]  # by leading gap: bits, place in the file of rows
        self._kept = 0  # rows in the file
        self.complete = False
        self._load()
        self.received = self._there() - len(self._gaps) + self._kept

    @property
    def missing(self) -> int:
        """How many fragments nobody can compute yet."""
        return 0 if self.complete else self._count - self._there() + len(self._gaps) - len(self._rows)

    def take(self, number: int, fragment: bytes) -> bool:
        """Take fragment *number*, from 1; tell whether the block is complete. Raises TooManyLost, OSError."""
        if self.complete or number < 1 or len(fragment) != self._size:
            return self.complete
        if number <= self._count:
            self._plain(number - 1, fragment)
        else:
            self._skip_to(self._count)
            self.received += 1
            self._coded(number - self._count, bytearray(fragment))
        if self._there() == self._count and len(self._rows) == len(self._gaps):
            self._solve()
        return self.complete

    def read(self, at: int, size: int) -> bytes:
        """Return bytes of the block."""
        return self._store.read_at(_BLOCK, at, size)

    def _there(self) -> int:
        try:
            return self._store.size(_BLOCK) // self._size
        except OSError:
            return 0

    def _load(self) -> None:
        there = self._there()
        raw = self._store.read(_GAPS) or b""
        for at in range(0, len(raw) - 1, 2):
            (gap,) = struct.unpack("<H", raw[at : at + 2])
            if gap < there and gap not in self._gaps:  # a gap is noted before it is made
                self._gaps.append(gap)
        if len(raw) != 2 * len(self._gaps):  # one that was noted and not made may yet come: as a gap it is forgotten
            self._store.write(_GAPS, b"".join([struct.pack("<H", gap) for gap in self._gaps]))
        if self._store.read_at(_ROWS, 0, 1) if self._has_rows() else b"":
            self._load_rows()
        if there == self._count and len(self._rows) == len(self._gaps):
            self._solve()

    def _has_rows(self) -> bool:
        try:
            return self._store.size(_ROWS) > 0
        except OSError:
            return False

    def _load_rows(self) -> None:
        width = self._width() + self._size
        for place in range(self._store.size(_ROWS) // width):
            bits = int.from_bytes(self._store.read_at(_ROWS, place * width, self._width()), "little")
            self._rows[_lowest(bits)] = (bits, place)
            self._kept = place + 1

    def _width(self) -> int:
        return (len(self._gaps) + 7) // 8

    def _plain(self, at: int, fragment: bytes) -> None:
        if at < self._there():  # again, or late: a coded one will do
            return
        self._skip_to(at)
        self._store.append(_BLOCK, fragment)
        self.received += 1

    def _skip_to(self, at: int) -> None:
        there = self._there()
        if len(self._gaps) + at - there > MAX_MISSING:
            raise TooManyLost("%d fragments are missing; %d can be" % (len(self._gaps) + at - there, MAX_MISSING))
        for gap in range(there, at):
            self._store.append(_GAPS, struct.pack("<H", gap))
            self._store.append(_BLOCK, bytes(self._size))
            self._gaps.append(gap)

    def _coded(self, number: int, data: bytearray) -> None:
        """Keep a coded fragment as a row whose lowest gap no other row begins with, if it tells something new."""
        bits = 0
        for at in fragments.parity_line(number, self._count):
            if at in self._gaps:
                bits |= 1 << self._gaps.index(at)
            else:
                fragments.xor(data, self.read(at * self._size, self._size))
        while bits and _lowest(bits) in self._rows:
            other, place = self._rows[_lowest(bits)]
            fragments.xor(data, self._row(place))
            bits ^= other
        if bits:
            self._store.append(_ROWS, bits.to_bytes(self._width(), "little") + data)
            self._rows[_lowest(bits)] = (bits, self._kept)
            self._kept += 1

    def _row(self, place: int) -> bytes:
        width = self._width()
        return self._store.read_at(_ROWS, place * (width + self._size) + width, self._size)

    def _solve(self) -> None:
        """Fill the gaps from the last to the first: a row speaks of its own gap and of later ones."""
        for at in range(len(self._gaps) - 1, -1, -1):
            bits, place = self._rows[at]
            data = bytearray(self._row(place))
            for later in range(at + 1, len(self._gaps)):
                if bits >> later & 1:
                    fragments.xor(data, self.read(self._gaps[later] * self._size, self._size))
            self._store.write_at(_BLOCK, self._gaps[at] * self._size, bytes(data))
        self.complete = True


def remove(store) -> None:
    """Remove all of a session from flash: no row is ever there without the gaps that it speaks of."""
    for name in (_ROWS, _GAPS, _BLOCK):
        store.remove(name)


def _lowest(bits: int) -> int:
    at = 0
    while not bits >> at & 1:
        at += 1
    return at
