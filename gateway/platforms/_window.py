# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which envelopes are on their way, and under which name their arrival will be told. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.outbox.stream import Row


class Window:
    """So many at a time."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._by_mid: dict[int, Row] = {}

    @property
    def in_flight(self) -> int:
        """How many are on their way."""
        return len(self._by_mid)

    @property
    def free(self) -> int:
        """How many more may be sent."""
        return max(0, self._size - len(self._by_mid))

    def restart(self, size: int) -> None:
        """A new connection: nothing is on its way."""
        self._size = size
        self._by_mid.clear()

    def sent(self, row: Row, mid: int) -> None:
        """An envelope left under a packet identifier."""
        self._by_mid[mid] = row

    def arrived(self, mid: int) -> Row | None:
        """The other side took one; None when it is none of ours."""
        return self._by_mid.pop(mid, None)
