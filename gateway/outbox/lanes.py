# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which envelopes one platform still waits for: spans of ids, the last of them open-ended. Pure.

An envelope is in a span, and waits, or in none, and was taken: there is no third state. The last span is the live lane.
The spans before it are what an outage left behind, the catch-up lane, oldest first.
"""

from __future__ import annotations

import cbor2

END = 2**63 - 1
"""The open end of the last span: the highest id that SQLite can give."""
MAX_SPANS = 64
"""Above that many the live lane is not cut again: a line that breaks all the time does not get our memory."""


class Lanes:
    """The spans ``(after, upto]`` that wait, sorted and disjoint."""

    def __init__(self, spans: list[list[int]] | None = None) -> None:
        self._spans = spans if spans else [[0, END]]

    @property
    def through(self) -> int:
        """The id up to which the platform has everything."""
        return self._spans[0][0]

    @property
    def live_after(self) -> int:
        """The id after which the live lane goes on."""
        return self._spans[-1][0]

    def behind(self) -> list[tuple[int, int]]:
        """Return the spans of the catch-up lane."""
        return [(after, upto) for after, upto in self._spans[:-1]]

    def waits(self, row: int) -> bool:
        """Tell whether an envelope still waits."""
        return self.span_of(row) is not None

    def cut(self, last: int) -> bool:
        """Everything up to *last* is late from now on; live is what comes after. True when that leaves a new span."""
        live = self._spans[-1]
        if last <= live[0] or len(self._spans) >= MAX_SPANS:
            return False
        self._spans[-1:] = [[live[0], last], [last, END]]
        return True

    def reopen(self, after: int, upto: int) -> bool:
        """What lies in ``(after, upto]`` was taken and waits again. False when there are spans enough already."""
        if len(self._spans) >= MAX_SPANS or upto > self.live_after or any(self.waits(row) for row in (after + 1, upto)):
            return False
        self._spans = sorted([*self._spans, [after, upto]])
        return True

    def taken(self, row: int) -> None:
        """The platform has *row* and, of the same span, everything before it."""
        for index, (after, upto) in enumerate(self._spans):
            if after < row <= upto:
                if row == upto:
                    del self._spans[index]
                else:
                    self._spans[index][0] = row
                return

    def span_of(self, row: int) -> int | None:
        """Return the upper end of the span in which *row* waits; None when it was taken."""
        return next((upto for after, upto in self._spans if after < row <= upto), None)

    def finished(self, upto: int) -> None:
        """Nothing is left in the late span that ends at *upto*."""
        self._spans[:-1] = [span for span in self._spans[:-1] if span[1] != upto]

    def edges(self) -> set[int]:
        """Return the ids at which a span ends or begins: what is merged into one must not reach over them."""
        return {edge for span in self._spans for edge in span}

    def spans(self) -> list[tuple[int, int]]:
        """Return all spans that wait."""
        return [(after, upto) for after, upto in self._spans]

    def to_bytes(self) -> bytes:
        """Return the spans as CBOR, for the platform's row."""
        data: bytes = cbor2.dumps(self._spans)
        return data

    @classmethod
    def from_bytes(cls, data: bytes) -> Lanes:
        """Return what ``to_bytes`` gave. Raises ValueError for anything else."""
        try:
            spans = [[int(after), int(upto)] for after, upto in cbor2.loads(data)]
        except (cbor2.CBORDecodeError, TypeError, ValueError) as error:
            raise ValueError(f"not the spans of a platform: {error}") from error
        flat = [edge for span in spans for edge in span]
        if not spans or flat != sorted(flat) or flat[0] < 0 or spans[-1][1] != END:
            raise ValueError(f"not the spans of a platform: {spans}")
        return cls(spans)
