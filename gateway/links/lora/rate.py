# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Token buckets, one per source, in a table that does not grow with the number of sources."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable


class RateLimit:
    """Lets *per_s* events a second through per source, and *burst* at once.

    The source that was silent longest is forgotten first, and starts again with a full bucket. So this holds back a
    broken or greedy sender; a flood under forged addresses is bounded by what the server reads per turn.
    """

    def __init__(self, per_s: float, burst: int, max_sources: int = 1024) -> None:
        self._per_s = per_s
        self._burst = burst
        self._max_sources = max_sources
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """How many sources are remembered."""
        return len(self._buckets)

    def has(self, source: Hashable, count: int, now_s: float) -> bool:
        """Tell whether there are so many tokens of *source*; none is taken."""
        tokens, last_s = self._buckets.get(source, (float(self._burst), now_s))
        return min(self._burst, tokens + (now_s - last_s) * self._per_s) >= count

    def take(self, source: Hashable, count: int, now_s: float) -> None:
        """Take tokens of *source* that there are."""
        if self.allow(source, now_s):
            tokens, last_s = self._buckets[source]
            self._buckets[source] = (tokens - (count - 1), last_s)

    def allow(self, source: Hashable, now_s: float) -> bool:
        """Take one token of *source*, if there is one."""
        tokens, last_s = self._buckets.get(source, (float(self._burst), now_s))
        tokens = min(self._burst, tokens + (now_s - last_s) * self._per_s)
        allowed = tokens >= 1
        self._buckets[source] = (tokens - 1 if allowed else tokens, now_s)
        self._buckets.move_to_end(source)
        if len(self._buckets) > self._max_sources:
            self._buckets.popitem(last=False)
        return allowed
