# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What is held of one device: everything up to ``contiguous``, and some runs above it. Pure."""

from __future__ import annotations

from bisect import bisect_right
from enum import Enum
from itertools import chain

import cbor2

MAX_RUNS = 1024
"""Above that many separate runs a device's new gaps wait: a device that skips numbers does not get our memory."""
_NO_RUNS = cbor2.dumps([])
RECEIPT_SPAN = 256
"""How far above ``contiguous`` a receipt can speak: 32 bytes of bitmap."""


class Verdict(Enum):
    """What became of one sequence number."""

    NEW = "new"
    DUPLICATE = "duplicate"
    TOO_SPARSE = "too_sparse"


class Held:
    """The sequence numbers held of one device. Numbers start at 1."""

    __slots__ = ("_runs", "contiguous")

    def __init__(self, contiguous: int = 0, runs: list[list[int]] | None = None) -> None:
        self.contiguous = contiguous
        self._runs = runs if runs is not None else []
        """Sorted ``[first, last]`` above ``contiguous + 1``, with a gap before each."""

    def copy(self) -> Held:
        """Return one that can change without this one."""
        return Held(self.contiguous, [list(run) for run in self._runs] if self._runs else None)

    def add_next(self, seq: int) -> bool:
        """Hold one more number where it is the one that comes next, as it nearly always is; else change nothing."""
        if self._runs or seq != self.contiguous + 1:
            return False
        self.contiguous = seq
        return True

    def add(self, seq: int) -> Verdict:
        """Hold one more number."""
        if seq <= self.contiguous:
            return Verdict.DUPLICATE
        if self.add_next(seq):
            return Verdict.NEW
        after = bisect_right(self._runs, seq, key=lambda run: run[0])
        before = self._runs[after - 1] if after else None
        if before is not None and seq <= before[1]:
            return Verdict.DUPLICATE
        joins_before = before is not None and before[1] == seq - 1
        joins_next = after < len(self._runs) and self._runs[after][0] == seq + 1
        if not joins_before and not joins_next and seq != self.contiguous + 1 and len(self._runs) >= MAX_RUNS:
            return Verdict.TOO_SPARSE
        first = before[0] if joins_before and before is not None else seq
        last = self._runs[after][1] if joins_next else seq
        self._runs[after - joins_before : after + joins_next] = [[first, last]]
        self._absorb()
        return Verdict.NEW

    def move_base(self, oldest: int) -> int:
        """The device holds nothing below *oldest* any more; return how many numbers are gone for good."""
        base = oldest - 1
        if base <= self.contiguous:
            return 0
        held = sum(min(last, base) - first + 1 for first, last in self._runs if first <= base)
        gone = base - self.contiguous - held
        self._runs = [[max(first, oldest), last] for first, last in self._runs if last >= oldest]
        self.contiguous = base
        self._absorb()
        return gone

    def above(self, span: int = RECEIPT_SPAN) -> list[int]:
        """Return the numbers held above ``contiguous``, as far as a receipt reaches."""
        end = self.contiguous + span
        runs = (range(first, min(last, end) + 1) for first, last in self._runs if first <= end)
        return list(chain.from_iterable(runs))

    def runs(self) -> list[list[int]]:
        """Return the runs above ``contiguous``, for people."""
        return [list(run) for run in self._runs]

    def to_bytes(self) -> bytes:
        """Return the runs as CBOR, for the device's row."""
        data: bytes = cbor2.dumps(self._runs) if self._runs else _NO_RUNS
        return data

    @classmethod
    def from_row(cls, contiguous: int, runs: bytes) -> Held:
        """Return what ``contiguous`` and ``to_bytes`` were stored as."""
        return cls(contiguous, cbor2.loads(runs))

    def _absorb(self) -> None:
        if self._runs and self._runs[0][0] == self.contiguous + 1:
            self.contiguous = self._runs.pop(0)[1]
