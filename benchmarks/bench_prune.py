# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How long readings wait for the disk while the outbox deletes what nobody needs any more: in one go, and as it does.

A hundred batches a second of 125 readings, as ``bench_commits`` has them, beside a stock of 16,000 envelopes that may
go; one thread for both, as in the gateway. Prints what half, 90 and 99 of a hundred commits took meanwhile, and the
longest. LYKTA_BENCH_ROUNDS.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.bench_commits import _Envelopes, batch, percentiles_ms  # noqa: E402
from gateway.clock import SystemClock  # noqa: E402
from gateway.outbox import pruning, retention  # noqa: E402
from gateway.outbox.feed import Call  # noqa: E402
from gateway.outbox.lanes import END, Lanes  # noqa: E402
from gateway.outbox.store import Limits, Outbox  # noqa: E402
from gateway.sqlite_files import durable  # noqa: E402

ROUNDS = int(os.environ.get("LYKTA_BENCH_ROUNDS", "3"))
_STOCK, _EVERY_S, _ROWS = 2000, 0.01, 500
"""Batches in stock, eight envelopes each; between two batches; envelopes at a time in one go."""
Way = Callable[[Call, int], Awaitable[object]]  # type: ignore[type-arg]


class _Later(SystemClock):
    """Goes on a week later when it is told to."""

    ahead_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_s


async def in_one_go(call: Call, through: int) -> None:  # type: ignore[type-arg]
    """Delete without a rest, with a wait for the disk after each step."""

    def step(outbox: Outbox) -> int:
        with durable(outbox._db):
            return retention.prune(outbox._db, through, _ROWS)

    while await call(step):
        pass


async def a_little(call: Call, _through: int) -> None:  # type: ignore[type-arg]
    """Delete as the gateway does."""
    await pruning.prune(call, SystemClock())


async def nothing(_call: Call, _through: int) -> None:  # type: ignore[type-arg]
    """What the commits take by themselves."""
    await asyncio.sleep(3.0)


async def waits_s(outbox: Outbox, way: Way, through: int) -> list[float]:
    """Return how long each commit took, its turn included, while the stock is deleted."""
    with ThreadPoolExecutor(1) as writer:
        loop, found = asyncio.get_running_loop(), list[float]()

        async def call(function: Callable[[Outbox], object]) -> object:
            return await loop.run_in_executor(writer, function, outbox)

        work = asyncio.ensure_future(way(call, through))
        begin_s, number = time.perf_counter(), _STOCK
        while not work.done():
            arrivals, asked_s = batch(number * 125), time.perf_counter()
            await loop.run_in_executor(writer, outbox.accept, arrivals)
            found.append(time.perf_counter() - asked_s)
            number += 1
            await asyncio.sleep(max(0.0, begin_s + (number - _STOCK) * _EVERY_S - time.perf_counter()))
        await work
    return found


def turn(path: Path, way: Way) -> list[float]:
    """Fill an outbox, let all of it be published long ago, and delete it."""
    clock = _Later()
    with closing(Outbox(path, _Envelopes(), ("city",), Limits(), clock)) as outbox:
        outbox._db.execute("PRAGMA synchronous = OFF")
        for number in range(_STOCK):
            outbox.accept(batch(number * 125))
        outbox._db.execute("PRAGMA synchronous = FULL")
        outbox.published("city", Lanes([[outbox.last(), END]]), 1)
        clock.ahead_s = 7 * 86400.0
        return asyncio.run(waits_s(outbox, way, outbox.last()))


def main() -> None:
    """Take turns and print."""
    ways: dict[str, Way] = {"nothing": nothing, "in one go": in_one_go, "a little at a time": a_little}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory(prefix="prune-") as folder:
                found[name] += turn(Path(folder) / "outbox.db", way)
    for name, seconds in found.items():
        print(f"{name:20} {len(seconds)} commits: p50, p90, p99 {percentiles_ms(seconds)} ms, longest", end=" ")
        print(f"{1000 * max(seconds):.0f} ms")


if __name__ == "__main__":
    main()
