# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What is held of one device: everything up to ``highest`` but for some gaps. Pure."""

from __future__ import annotations

from enum import Enum
from itertools import chain, takewhile
from typing import TYPE_CHECKING

import cbor2

from gateway.outbox.gaps import Gaps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.outbox.gaps import Gap, Part

MAX_GAPS = 1024
"""Above that many a device's new gaps wait: a device that skips numbers does not get our memory."""
NO_GAPS = cbor2.dumps([])
_GAPS = b"\x01"
"""Begins what a row says of gaps. Up to version 5 a row had the runs above ``contiguous``, a CBOR array of pairs."""
RECEIPT_SPAN = 256
"""How far above ``contiguous`` a receipt can speak: 32 bytes of bitmap."""


class Verdict(Enum):
    """What became of one sequence number."""

    NEW = "new"
    DUPLICATE = "duplicate"
    TOO_SPARSE = "too_sparse"


class Held:
    """The sequence numbers held of one device. Numbers start at 1 and have less than 64 bits."""

    __slots__ = ("contiguous", "gaps", "highest")

    def __init__(self, contiguous: int = 0, highest: int = 0, gaps: Gaps | None = None) -> None:
        self.contiguous = contiguous
        """Everything up to it is held."""
        self.highest = highest or contiguous
        self.gaps = gaps
        """Which numbers between the two are not. Others' devices are numbered here, with more than 32 bits."""

    def copy(self) -> Held:
        """Return one that can change without this one."""
        return Held(self.contiguous, self.highest, self.gaps)

    def add_next(self, seq: int) -> bool:
        """Hold one more number where it is the one after the highest, as it nearly always is; else change nothing."""
        if seq != self.highest + 1:
            return False
        self.highest = seq
        if self.gaps is None:
            self.contiguous = seq
        return True

    def add(self, seq: int) -> Verdict:
        """Hold one more number."""
        if seq <= self.contiguous:
            return Verdict.DUPLICATE
        if self.add_next(seq):
            return Verdict.NEW
        gaps = self.gaps
        if seq > self.highest:
            gap = self.highest + 1, seq - 1
            left = Gaps.of([gap]) if gaps is None else gaps.after(*gap)
        else:
            left = gaps and gaps.without(seq)
            if left is gaps:
                return Verdict.DUPLICATE
        if left is not None and left.count > MAX_GAPS:
            return Verdict.TOO_SPARSE
        self.highest = max(self.highest, seq)
        self._lacks(left)
        return Verdict.NEW

    def move_base(self, oldest: int) -> int:
        """The device holds nothing below *oldest* any more; return how many numbers are gone for good."""
        base = oldest - 1
        if base <= self.contiguous:
            return 0
        gone = max(base - self.highest, 0)
        self.highest = max(self.highest, base)
        if self.gaps is not None:
            near = takewhile(lambda gap: gap[0] <= base, self.gaps)
            gone += sum(min(last, base) - first + 1 for first, last in near)
            self._lacks(self.gaps.above(base))
        else:
            self._lacks(None)
        return gone

    def above(self, span: int = RECEIPT_SPAN) -> list[int]:
        """Return the numbers held above ``contiguous``, as far as a receipt reaches."""
        end = self.contiguous + span
        near = takewhile(lambda run: run[0] <= end, self._runs())
        return list(chain.from_iterable(range(first, min(last, end) + 1) for first, last in near))

    def runs(self) -> list[list[int]]:
        """Return the first and last number of each run above ``contiguous``, for people."""
        return [list(run) for run in self._runs()]

    def parts(self) -> tuple[Part, ...]:
        """Return the parts of the gaps that the device's row does not have."""
        return self.gaps.stored if self.gaps is not None else ()

    def to_bytes(self) -> bytes:
        """Return what the device's row says beside ``contiguous``."""
        if self.gaps is None:
            return NO_GAPS
        ahead = self.highest - self.contiguous
        return _GAPS + ahead.to_bytes(8, "big") + self.gaps.to_row()

    @classmethod
    def from_row(cls, contiguous: int, data: bytes, parts: Sequence[tuple[int, bytes]] = ()) -> Held:
        """Return what ``contiguous``, ``to_bytes`` and ``parts`` were stored as.

        Raises ValueError, TypeError, cbor2.CBORDecodeError for what was not.
        """
        if data == NO_GAPS:
            return cls(contiguous)
        if data[:1] == _GAPS:
            found = cls(contiguous, contiguous + int.from_bytes(data[1:9], "big"), Gaps.from_row(data[9:], parts))
        else:
            found = _of_runs(contiguous, cbor2.loads(data))
        if found.gaps is not None and not contiguous + 1 == found.gaps.first <= found.gaps.last < found.highest:
            raise ValueError(f"the gaps are not between {contiguous} and {found.highest}")
        return found

    def _lacks(self, gaps: Gaps | None) -> None:
        self.gaps = gaps
        self.contiguous = self.highest if gaps is None else gaps.first - 1

    def _runs(self) -> Iterator[Gap]:
        """Yield what is held between the gaps, and after them."""
        if self.gaps is None:
            return
        first = 0
        for begin, end in self.gaps:
            if first:
                yield first, begin - 1
            first = end + 1
        yield first, self.highest


def _of_runs(contiguous: int, runs: Sequence[Sequence[int]]) -> Held:
    """Return what a row of version 5 says."""
    gaps, highest = list[tuple[int, int]](), contiguous
    for first, last in runs:
        if not highest + 1 < first <= last:
            raise ValueError(f"the run {first} to {last} does not follow {highest}")
        gaps.append((highest + 1, first - 1))
        highest = last
    return Held(contiguous, highest, Gaps.of(gaps))
