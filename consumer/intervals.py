# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A set of whole numbers kept as intervals, in bounded memory: what has been seen of a numbered series."""

from __future__ import annotations

import itertools
from bisect import bisect_right


class IntervalSet:
    """Numbers seen. At most `limit` intervals are kept; then the lowest is given up.

    `start` is the first number that should exist; without it, the lowest one seen counts as the first.
    Up to `floor` it is no longer known which numbers were seen, only how many were not.
    """

    def __init__(self, limit: int = 1024, start: int | None = None) -> None:
        if limit < 1:
            raise ValueError(f"an IntervalSet keeps at least 1 interval, not {limit}")
        self._limit = limit
        self._start = start
        self._starts: list[int] = []
        self._ends: list[int] = []  # inclusive; both are sorted, with a hole between neighbours
        self._forgotten_missing = 0
        self.floor: int | None = None

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __contains__(self, number: int) -> bool:
        index = bisect_right(self._starts, number) - 1
        return index >= 0 and number <= self._ends[index]

    @property
    def lowest(self) -> int:
        """The lowest number kept. IndexError when empty."""
        return self._starts[0]

    @property
    def highest(self) -> int:
        """The highest number seen. IndexError when empty."""
        return self._ends[-1]

    def overlaps(self, first: int, last: int) -> bool:
        """Whether any number from `first` to `last` was seen, as far as it is still known."""
        index = bisect_right(self._starts, last) - 1
        return index >= 0 and self._ends[index] >= first

    def count(self, first: int, last: int) -> int:
        """How many numbers from `first` to `last` were seen, as far as it is still known."""
        low = max(bisect_right(self._starts, first) - 1, 0)
        high = bisect_right(self._starts, last)
        kept = zip(self._starts[low:high], self._ends[low:high], strict=True)
        return sum(max(0, min(end, last) - max(start, first) + 1) for start, end in kept)

    def add(self, first: int, last: int) -> None:
        """Add all numbers from `first` to `last`; those up to `floor` stay undecided."""
        if self.floor is not None:
            first = max(first, self.floor + 1)
        if first > last:
            return
        low = bisect_right(self._starts, first) - 1
        if low < 0 or self._ends[low] < first - 1:
            low += 1
        high = bisect_right(self._starts, last + 1)
        if low < high:
            first, last = min(first, self._starts[low]), max(last, self._ends[high - 1])
        self._starts[low:high] = [first]
        self._ends[low:high] = [last]
        if len(self._starts) > self._limit:
            self._forget_lowest()

    def holes(self, at_most: int | None = None) -> list[tuple[int, int]]:
        """The ranges not seen, lowest first, as far as they are still known."""
        leading = self._leading_hole()
        inner = ((end + 1, after - 1) for end, after in zip(self._ends, self._starts[1:], strict=False))
        return list(itertools.islice(itertools.chain(leading, inner), at_most))

    def missing(self) -> int:
        """How many numbers were not seen below the highest one."""
        return self._forgotten_missing + sum(last - first + 1 for first, last in self.holes())

    def _leading_hole(self) -> list[tuple[int, int]]:
        if not self._starts:
            return []
        expected = self._start if self.floor is None else self.floor + 1
        if expected is None or expected >= self._starts[0]:
            return []
        return [(expected, self._starts[0] - 1)]

    def _forget_lowest(self) -> None:
        self._forgotten_missing += sum(last - first + 1 for first, last in self._leading_hole())
        self.floor = self._ends[0]
        del self._starts[0], self._ends[0]
