# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What is held of one device: everything up to ``contiguous``, and some runs above it. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING, Final

import cbor2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_RUNS = 1024
"""Above that many separate runs a device's new gaps wait: a device that skips numbers does not get our memory."""
_NO_RUNS = cbor2.dumps([])
_CODE: Final = "Q"
"""Of arrays: eight bytes each. Numbers that the gateway gives to readings of others' devices have more than 32 bits."""
_NO_EDGES: Final = array(_CODE)
"""One for all that have no gap; nobody changes it."""
RECEIPT_SPAN = 256
"""How far above ``contiguous`` a receipt can speak: 32 bytes of bitmap."""


class Verdict(Enum):
    """What became of one sequence number."""

    NEW = "new"
    DUPLICATE = "duplicate"
    TOO_SPARSE = "too_sparse"


class Held:
    """The sequence numbers held of one device. Numbers start at 1."""

    __slots__ = ("_edges", "contiguous")

    def __init__(self, contiguous: int = 0, edges: array[int] = _NO_EDGES) -> None:
        self.contiguous = contiguous
        self._edges = edges
        """First and last of each run above ``contiguous + 1``, sorted, with a gap before each run. Sixteen bytes a run,
        where a list of lists takes 150: an overloaded gateway has gaps of every device until they are sent again."""

    def copy(self) -> Held:
        """Return one that can change without this one."""
        return Held(self.contiguous, self._edges[:] if self._edges else _NO_EDGES)

    def add_next(self, seq: int) -> bool:
        """Hold one more number where it is the one that comes next, as it nearly always is; else change nothing."""
        if self._edges or seq != self.contiguous + 1:
            return False
        self.contiguous = seq
        return True

    def add(self, seq: int) -> Verdict:
        """Hold one more number, below 2**64."""
        if seq <= self.contiguous:
            return Verdict.DUPLICATE
        if self.add_next(seq):
            return Verdict.NEW
        edges = self._edges
        at = bisect_right(edges, seq)  # odd: within a run
        before = edges[at - 1] if at else 0
        if at % 2 or before == seq:
            return Verdict.DUPLICATE
        joins_before = at > 0 and before == seq - 1
        joins_next = at < len(edges) and edges[at] == seq + 1
        if joins_before and joins_next:
            del edges[at - 1 : at + 1]
        elif joins_before:
            edges[at - 1] = seq
        elif joins_next:
            edges[at] = seq
        elif seq == self.contiguous + 1:
            self.contiguous = seq
        elif len(edges) >= 2 * MAX_RUNS:
            return Verdict.TOO_SPARSE
        elif edges:
            edges[at:at] = array(_CODE, (seq, seq))
        else:
            self._edges = array(_CODE, (seq, seq))
        self._absorb()
        return Verdict.NEW

    def move_base(self, oldest: int) -> int:
        """The device holds nothing below *oldest* any more; return how many numbers are gone for good."""
        base = oldest - 1
        if base <= self.contiguous:
            return 0
        runs = self.runs()
        held = sum(min(last, base) - first + 1 for first, last in runs if first <= base)
        gone = base - self.contiguous - held
        self._edges = _edges_of([max(first, oldest), last] for first, last in runs if last >= oldest)
        self.contiguous = base
        self._absorb()
        return gone

    def above(self, span: int = RECEIPT_SPAN) -> list[int]:
        """Return the numbers held above ``contiguous``, as far as a receipt reaches."""
        end = self.contiguous + span
        near = self._edges[: 2 * span]  # each run has a number of its own at least
        runs = (range(first, min(last, end) + 1) for first, last in _pairs(near) if first <= end)
        return list(chain.from_iterable(runs))

    def runs(self) -> list[list[int]]:
        """Return the runs above ``contiguous``, for people."""
        return _pairs(self._edges)

    def to_bytes(self) -> bytes:
        """Return the runs as CBOR, for the device's row."""
        data: bytes = cbor2.dumps(self.runs()) if self._edges else _NO_RUNS
        return data

    @classmethod
    def from_row(cls, contiguous: int, runs: bytes) -> Held:
        """Return what ``contiguous`` and ``to_bytes`` were stored as. Raises ValueError, TypeError for what was not."""
        try:
            return cls(contiguous, _edges_of(cbor2.loads(runs)))
        except OverflowError as error:
            raise ValueError(f"a sequence number is out of range: {error}") from error

    def _absorb(self) -> None:
        if self._edges and self._edges[0] == self.contiguous + 1:
            self.contiguous = self._edges[1]
            del self._edges[:2]


def _edges_of(runs: Iterable[Sequence[int]]) -> array[int]:
    return array(_CODE, [edge for first, last in runs for edge in (first, last)]) or _NO_EDGES


def _pairs(edges: array[int]) -> list[list[int]]:
    return [list(pair) for pair in zip(edges[::2], edges[1::2], strict=True)]
