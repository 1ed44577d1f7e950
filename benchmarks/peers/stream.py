# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The second course: a steady stream, as devices send it, that does not wait for anybody.

A city's sensors do not know how busy a gateway is. So readings are offered at a rate, spread over time, and what has
not come out a second after the last of them counts as lost, whether it was dropped or waits in a queue that grows. The
rate goes up by quarters until more than a twentieth is lost, then halves the distance twice. Counted is what came out
at the best rate that was kept up. (The first course favours whoever works best in bursts.)
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.load.rig import cpu_s
from benchmarks.peers.contestant import Contestant, reading_of

MOST_LOST_PCT = 5.0
SECONDS = 3.0
_STEP = 1.25
_HALVINGS = 2
_LEAST_PER_S = 200.0
_GRACE_S = 1.0
_STEP_S = 0.002
_QUIET_S, _PATIENCE_S = 1.0, 60.0


@dataclass(frozen=True)
class Rung:
    """One rate."""

    offered_per_s: float
    out_per_s: float
    """Of what was offered: how much a second came out in time."""
    lost_pct: float
    cpu_us: float
    """User and system time of the contestant's process for each reading that came out."""

    @property
    def kept_up(self) -> bool:
        """Whether little enough was lost."""
        return self.lost_pct <= MOST_LOST_PCT


class Stream:
    """One contestant, which has had readings up to an index already."""

    def __init__(self, contestant: Contestant, offered: int) -> None:
        self._contestant, self._next = contestant, offered

    def highest(self, first_per_s: float) -> list[Rung]:
        """Return all rates that were tried, from *first_per_s* on. Raises RuntimeError: hardly any was kept up with."""
        tried = [self._rung(first_per_s)]
        while not tried[-1].kept_up:  # a computer that has much else to do
            if tried[-1].offered_per_s < _LEAST_PER_S:
                raise RuntimeError(
                    f"{self._contestant.name} does not even keep up with {tried[-1].offered_per_s:.0f}/s"
                )
            tried.append(self._rung(tried[-1].offered_per_s / 2))
        while tried[-1].kept_up:
            tried.append(self._rung(tried[-1].offered_per_s * _STEP))
        low, high = tried[-2].offered_per_s, tried[-1].offered_per_s
        for _ in range(_HALVINGS):
            tried.append(self._rung((low + high) / 2))
            low, high = (tried[-1].offered_per_s, high) if tried[-1].kept_up else (low, tried[-1].offered_per_s)
        return tried

    def _rung(self, rate_per_s: float) -> Rung:
        contestant, far_end = self._contestant, self._contestant.far_end
        first, count = self._next, round(rate_per_s * SECONDS)
        self._next += count
        contestant.prepare(self._next)
        start, cpu_before_s = len(far_end.messages), cpu_s(contestant.pid)
        took_s = self._offer(first, count, rate_per_s)
        time.sleep(_GRACE_S)
        until_s = time.perf_counter()
        self._drain()
        wanted = {reading_of(index) for index in range(first, first + count)}
        came, in_time = set[tuple[int, int]](), set[tuple[int, int]]()
        for at_s, message in far_end.messages[start:]:
            readings = wanted.intersection(contestant.came(message))
            came |= readings
            if at_s <= until_s:
                in_time |= readings
        used_us = (cpu_s(contestant.pid) - cpu_before_s) * 1e6 / max(1, len(came))
        lost_pct = 100 * (1 - len(in_time) / count)
        return Rung(round(count / took_s), round(len(in_time) / took_s), round(lost_pct, 2), round(used_us, 1))

    def _offer(self, first: int, count: int, rate_per_s: float) -> float:
        """Keep to a rate; return the seconds it took."""
        began_s, sent = time.perf_counter(), 0
        while sent < count:
            due = min(count, int((time.perf_counter() - began_s) * rate_per_s) + 1)
            self._contestant.offer(first + sent, first + due)
            sent = due
            time.sleep(_STEP_S)
        return time.perf_counter() - began_s

    def _drain(self) -> None:
        """Wait until nothing comes any more, so that the next rate begins with empty queues."""
        far_end, deadline_s = self._contestant.far_end, time.perf_counter() + _PATIENCE_S
        before = -1
        while before != far_end.arrived and time.perf_counter() < deadline_s:
            before = far_end.arrived
            time.sleep(_QUIET_S)


def best(tried: list[Rung]) -> Rung:
    """Return the highest rate that was kept up."""
    return max((rung for rung in tried if rung.kept_up), key=lambda rung: rung.out_per_s)
