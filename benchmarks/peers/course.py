# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The first course that every contestant runs: so many readings, as fast as they come out at the far end.

The generator keeps a number of readings on their way, enough that the contestant is never idle and few enough that
nothing overflows, and waits when they are out. So the rate is what the contestant sustains without losing anything;
what is lost all the same is counted. The contestant has the first core, everything else the second.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.load.rig import cpu_s, rss_mb
from benchmarks.peers.contestant import Contestant, Reading, reading_of

_BURST = 64
_SILENCE_S = 6.0
"""When nothing has come out for so long, nothing more will."""


@dataclass(frozen=True)
class Outcome:
    """One run of one contestant."""

    rate_per_s: float
    """Readings that came out a second, between the first tenth and the last: without beginning and end."""
    offered: int
    lost: int
    twice: int
    cpu_us: float
    """User and system time of the contestant's process for each reading that came out."""
    rss_mb: float


def run(contestant: Contestant, warm_up: int, count: int) -> Outcome:
    """Offer *warm_up* readings, then *count*; return what became of the latter."""
    contestant.prepare(warm_up + count)
    _push(contestant, 0, warm_up)
    far_end, cpu_before_s = contestant.far_end, cpu_s(contestant.pid)
    start = len(far_end.messages)
    _push(contestant, warm_up, warm_up + count)
    cpu_after_s, memory_mb = cpu_s(contestant.pid), rss_mb(contestant.pid)
    wanted = {reading_of(index) for index in range(warm_up, warm_up + count)}
    times: list[float] = []
    seen: set[Reading] = set()
    twice = 0
    for at_s, message in far_end.messages[start:]:
        for reading in contestant.came(message):
            if reading in seen:
                twice += 1
            elif reading in wanted:
                seen.add(reading)
                times.append(at_s)
    if len(times) < 100:
        raise RuntimeError(f"{contestant.name}: {len(times)} of {count} readings came out")
    tenth, last = times[len(times) // 10], times[len(times) * 9 // 10]
    rate = (len(times) * 9 // 10 - len(times) // 10) / (last - tenth)
    cpu_us = (cpu_after_s - cpu_before_s) * 1e6 / len(times)
    return Outcome(round(rate), count, count - len(seen), twice, round(cpu_us, 1), round(memory_mb, 1))


def _push(contestant: Contestant, first: int, last: int) -> None:
    """Keep the window full until all have come, or nothing comes any more."""
    far_end = contestant.far_end
    before, sent = far_end.arrived, first
    progress, since_s = 0, time.perf_counter()
    while (arrived := far_end.arrived - before) < last - first:
        now_s = time.perf_counter()
        if arrived > progress:
            progress, since_s = arrived, now_s
        elif now_s - since_s > _SILENCE_S:
            return
        room = min(contestant.window - (sent - first - arrived), last - sent, _BURST)
        if room > 0:
            contestant.offer(sent, sent + room)
            sent += room
        else:
            time.sleep(0.0005)
