# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The course that every contestant runs: so many readings, as fast as they come out at the far end.

The generator keeps a number of readings on their way, enough that the contestant is never idle and few enough that
nothing overflows, and waits when they are out. So the rate is what the contestant sustains without losing anything;
what is lost all the same is counted. The contestant has the first core, everything else the second.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, Self

from benchmarks.load.rig import cpu_s, pin, rss_mb
from benchmarks.peers.plain_mqtt import FarEnd

DEVICES = 20
_BURST = 64
_SILENCE_S = 6.0
"""When nothing has come out for so long, nothing more will."""

Reading = tuple[int, int]
"""The device's place in the list of devices, from 0, and the reading's number, from 1."""


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


class Contestant(Protocol):
    """One gateway, installed, which a ``with`` statement starts and ends."""

    name: str
    keeps: str
    """What it has on disk before it answers, in words."""
    window: int
    """Readings on their way at a time."""
    pid: int
    far_end: FarEnd

    def offer(self, first: int, last: int) -> None:
        """Send readings *first* to *last* (not included), by index; that of index n is reading_of(n)."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def came(self, message: bytes) -> list[Reading]:
        """Return the readings in a message at the far end."""


def reading_of(index: int) -> Reading:
    """Devices take turns."""
    return index % DEVICES, index // DEVICES + 1


def values_of(seq: int) -> dict[str, bool | int | float]:
    """What each reading says, whoever carries it."""
    return {"lamp_on": True, "power_w": 41.5, "dim_pct": 80, "energy_wh": 1000 + seq}


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started meanwhile runs there with all its threads."""
    pin(0, core)
    try:
        yield
    finally:
        pin(0, 1)


def run(contestant: Contestant, warm_up: int, count: int) -> Outcome:
    """Offer *warm_up* readings, then *count*; return what became of the latter."""
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
