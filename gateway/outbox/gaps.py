# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which numbers of a device are missing: some bytes for each gap, in parts, so that a change costs one part. Pure.

The last part lies in the device's row, the others have rows of their own, written when they change. So the commonest
number, the one after the highest, writes no gap at all, and the next gap writes the last part. All of them in the
device's row, a thousand gaps made each reading cost 23 kB on disk and 0.6 ms.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Gap = tuple[int, int]
"""First and last of some numbers that are missing; the numbers beside them are held."""
PART_GAPS = 64
"""When the last part has so many, the next gap begins another. Parts that were split have twice as many at most."""
_MORE = bytes(range(0x80, 0x100))
"""Bytes of a number that another byte follows: LEB128, seven bits each, the lowest first."""


class Part(NamedTuple):
    """Some gaps that follow each other."""

    first: int
    """The first number of its first gap."""
    data: bytes
    """Of each gap two numbers: how many are held before it, less one (0 for the first), and how many miss, less one."""

    @property
    def size(self) -> int:
        """How many gaps it has."""
        return len(self.data.translate(None, _MORE)) // 2

    def gaps(self) -> list[Gap]:
        """Return them. Raises ValueError for what ``of`` did not make."""
        at, found = self.first, list[Gap]()
        numbers = iter(self.data if self.data.isascii() else _numbers(self.data))
        for before, more in zip(numbers, numbers, strict=True):
            first = at + before
            found.append((first, first + more))
            at = first + more + 2
        return found

    @classmethod
    def of(cls, gaps: Sequence[Gap]) -> Part:
        """Return a part with these, at least one."""
        at = gaps[0][0]
        numbers = list[int]()
        for first, last in gaps:
            numbers += (first - at, last - first)
            at = last + 2
        return cls(gaps[0][0], _encoded(numbers))


class Gaps:
    """All gaps of a device, at least one. Never changes: what would change it returns another."""

    __slots__ = ("_row", "count", "last", "parts")

    def __init__(self, parts: tuple[Part, ...], count: int, last: int) -> None:
        self.parts = parts
        self.count = count
        self.last = last
        """The highest number that is missing."""
        self._row = b""

    @property
    def first(self) -> int:
        """The lowest number that is missing."""
        return self.parts[0].first

    @property
    def stored(self) -> tuple[Part, ...]:
        """The parts that have rows of their own."""
        return self.parts[:-1]

    def __iter__(self) -> Iterator[Gap]:
        """Yield the gaps in order; no part is read before it is needed."""
        for part in self.parts:
            yield from part.gaps()

    @classmethod
    def of(cls, gaps: Iterable[Gap]) -> Gaps | None:
        """Return these, sorted and apart from each other; None where there is none."""
        found = list(gaps)
        if not found:
            return None
        parts = tuple(Part.of(found[at : at + PART_GAPS]) for at in range(0, len(found), PART_GAPS))
        return cls(parts, len(found), found[-1][1])

    def after(self, first: int, last: int) -> Gaps:
        """Return them with one more beyond all others."""
        *before, end = self.parts
        if end.size >= PART_GAPS:
            parts: tuple[Part, ...] = (*self.parts, Part.of([(first, last)]))
        else:
            parts = (*before, Part(end.first, end.data + _encoded([first - self.last - 2, last - first])))
        return Gaps(parts, self.count + 1, last)

    def without(self, number: int) -> Gaps | None:
        """Return them when *number* came: itself if it was not missing, None when nothing is missing any more."""
        at = bisect_right(self.parts, number, key=attrgetter("first")) - 1
        if at < 0:
            return self
        gaps = self.parts[at].gaps()
        index = bisect_right(gaps, number, key=itemgetter(0)) - 1
        first, last = gaps[index]
        if number > last:
            return self
        left = [(first, number - 1)] if first < number else []
        gaps[index : index + 1] = [*left, (number + 1, last)] if number < last else left
        return self._with(at, gaps)

    def above(self, number: int) -> Gaps | None:
        """Return what of them is above *number*; None when nothing is."""
        at = max(bisect_right(self.parts, number, key=attrgetter("first")) - 1, 0)
        gaps = [(max(first, number + 1), last) for first, last in self.parts[at].gaps() if last > number]
        before = sum(part.size for part in self.parts[:at])
        return Gaps(self.parts[at:], self.count - before, self.last)._with(0, gaps)

    def _with(self, at: int, gaps: list[Gap]) -> Gaps | None:
        """Return them with others in one part. Small parts join: one with a single gap takes as much memory as 64."""
        low, high, room = at, at + 1, PART_GAPS // 2
        count = self.count - self.parts[at].size + len(gaps)
        if low > 0 and self.parts[low - 1].size + len(gaps) <= room:
            low -= 1
            gaps = self.parts[low].gaps() + gaps
        if high < len(self.parts) and self.parts[high].size + len(gaps) <= room:
            gaps = gaps + self.parts[high].gaps()
            high += 1
        pieces = [gaps] if len(gaps) <= 2 * PART_GAPS else [gaps[:PART_GAPS], gaps[PART_GAPS:]]
        made = [Part.of(piece) for piece in pieces if piece]
        parts = (*self.parts[:low], *made, *self.parts[high:])
        if not parts:
            return None
        last = self.last if high < len(self.parts) else (gaps or parts[-1].gaps())[-1][1]
        return Gaps(parts, count, last)

    def to_row(self) -> bytes:
        """Return what the device's row says of them: how many parts lie elsewhere, their checksum, and the last part.

        A part that is lost, or comes from another time, must not look as if its numbers were held.
        """
        if not self._row:
            end = self.parts[-1]
            head = _encoded([len(self.parts) - 1, end.first])
            self._row = _checksum(self.stored) + head + end.data
        return self._row

    @classmethod
    def from_row(cls, data: bytes, stored: Sequence[tuple[int, bytes]]) -> Gaps:
        """Return what ``to_row`` and ``stored`` gave. Raises ValueError when that is not what is here."""
        count, at = _number(data, 4)
        first, at = _number(data, at)
        parts = (*(Part(first, bytes(part)) for first, part in stored), Part(first, data[at:]))
        gaps = parts[-1].gaps()
        if len(stored) != count or _checksum(parts[:-1]) != data[:4] or not gaps:
            raise ValueError(f"{len(stored)} of {count} parts of the gaps are there, or they are not what was written")
        return cls(parts, sum(part.size for part in parts), gaps[-1][1])


def _checksum(parts: Iterable[Part]) -> bytes:
    return zlib.crc32(b"".join(_encoded([first, len(data)]) + data for first, data in parts)).to_bytes(4, "big")


def _encoded(numbers: Sequence[int]) -> bytes:
    if max(numbers) < 0x80:
        return bytes(numbers)
    out = bytearray()
    for number in numbers:
        left = number
        while left >= 0x80:
            out.append(left & 0x7F | 0x80)
            left >>= 7
        out.append(left)
    return bytes(out)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins there, and where the next one does. Raises ValueError when it does not end."""
    found = shift = 0
    while at < len(data):
        found |= (data[at] & 0x7F) << shift
        if data[at] < 0x80:
            return found, at + 1
        at, shift = at + 1, shift + 7
    raise ValueError("a number does not end")


def _numbers(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        number, at = _number(data, at)
        yield number
