# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What nobody needs any more goes a little at a time, and most of the time stays with the readings.

At 10,000 readings a second a minute leaves 37,500 envelopes to delete. In one go, 500 rows at a time with a wait for
the disk after each, half of the commits took 17 ms instead of 3, and one of a hundred 180 instead of 17; like this they
take 4 and 22 (benchmarks/bench_prune.py says it for this machine).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.clock import Clock
    from gateway.outbox.feed import Call
    from gateway.outbox.store import Outbox

_REST = 4
"""After each step nothing is pruned for so many times as long as it took: a fifth of the writer's time at most."""


async def prune(call: Call, clock: Clock, rest: Callable[[float], Awaitable[None]] = asyncio.sleep) -> int:  # type: ignore[type-arg]
    """Prune until nothing is left that may go; return how many envelopes went. Raises StoreUnavailable, StoreCorrupt.

    *call* runs something with the outbox in the thread that owns it; *rest* waits for some seconds.
    """

    def step(outbox: Outbox) -> tuple[int, float]:
        begin_s = clock.monotonic_s()  # here: what it waited for its turn is not its own time
        return outbox.prune(), clock.monotonic_s() - begin_s

    total = 0
    while True:
        pruned, took_s = await call(step)
        if not pruned:
            return total
        total += pruned
        await rest(_REST * took_s)
