# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Counters that never give a number twice, whatever the power does."""

import struct

from firmware.node.errors import StoreCorrupt
from firmware.node.store import Slots


class ReservedCounter:
    """Keeps a limit on flash, always ahead of the numbers given out, and goes on from there after a boot.

    Every write raises the limit by exactly one *block*. So, when a slot is damaged, the lost limit was at most one
    block above the one that is left, and counting goes on one block higher. With no valid slot left there is nothing to
    go on from: StoreCorrupt, never a fall back to the start.
    """

    def __init__(self, files, name: str, block: int, first: int = 0, used: bool = False) -> None:
        """*used*: other records say that this counter has counted before, so that it must be there."""
        self._slots = Slots(files, name)
        self._block = block
        fresh = self._slots.fresh and not used
        payload = self._slots.payload
        if payload is not None and len(payload) == 4:
            self._limit = struct.unpack("<I", payload)[0]
        elif payload is None and (fresh or self._slots.first_only):
            self._limit = first
        else:
            raise StoreCorrupt("%s: no valid record left; a guess could reuse a number" % name)
        self.value = self._limit + (block if self._slots.damaged else 0)  # the next number to be given
        if fresh:
            self._persist(first)

    def take(self) -> int:
        """Return the next number. That it will not be given again is on flash before this returns."""
        while self.value >= self._limit:
            self._persist(self._limit + self._block)
        self.value += 1
        return self.value - 1

    def resume(self, value: int) -> None:
        """Go on at *value*: the caller has proof that it and all above it were never given."""
        self.value = value

    def jump(self, value: int) -> None:
        """Go on at *value* or later; never back."""
        if value > self.value:
            self._persist(value)
            self._persist(value)  # both slots: the step was longer than a block
            self.value = value

    def _persist(self, limit: int) -> None:
        self._slots.write(struct.pack("<I", limit))
        self._limit = limit
