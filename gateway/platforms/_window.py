# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which envelopes are on their way, and up to where everything has arrived. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.outbox.store import Row


class Window:
    """Sends in order, hears of arrivals in any order, and moves ``through`` only over what has all arrived."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.through = 0
        self._readings = 0
        self._order: deque[tuple[int, int]] = deque()  # (row, readings)
        self._by_mid: dict[int, int] = {}
        self._arrived: set[int] = set()

    @property
    def in_flight(self) -> int:
        """How many are on their way."""
        return len(self._by_mid)

    @property
    def free(self) -> int:
        """How many more may be sent."""
        return max(0, self._size - len(self._order))

    def restart(self, through: int, size: int) -> None:
        """A new connection: nothing is on its way, and sending starts after *through*."""
        self._size = size
        self._by_mid.clear()
        self._order.clear()
        self.through = through
        self._arrived = {row for row in self._arrived if row > through}

    def send(self, row: Row, mid: int | None) -> None:
        """An envelope left under a packet identifier; None when it had arrived on an earlier connection."""
        self._order.append((row.row, row.readings))
        if mid is not None:
            self._by_mid[mid] = row.row
        self._advance()

    def has(self, row: Row) -> bool:
        """Tell whether an envelope arrived on an earlier connection already."""
        return row.row in self._arrived

    def arrived(self, mid: int) -> bool:
        """The other side took one; False when it is none of ours."""
        row = self._by_mid.pop(mid, None)
        if row is None:
            return False
        self._arrived.add(row)
        self._advance()
        return True

    def progress(self) -> tuple[int, int] | None:
        """Return ``through`` and the readings that it moved over since the last call; None when it did not move."""
        if not self._readings:
            return None
        readings, self._readings = self._readings, 0
        return self.through, readings

    def _advance(self) -> None:
        while self._order and self._order[0][0] in self._arrived:
            self.through, readings = self._order.popleft()
            self._arrived.discard(self.through)
            self._readings += readings
