# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The downlink queue on disk, in the session file: what waited before a restart waits after it, as often tried.

What was on its way when the process ended waits again, so a device may get it twice, under another counter.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gateway.errors import QueueFull
from gateway.network.downlinks import Item
from gateway.network.duty import Priority

if TYPE_CHECKING:
    from gateway.clock import Clock
    from gateway.network.downlinks import DownlinkQueue
    from gateway.network.sessions import SessionStore


def keep(store: SessionStore, item: Item, clock: Clock) -> None:
    """Note an item that was queued. Raises StoreUnavailable; durable after the next commit."""
    expires_at = None
    if math.isfinite(item.expires_at_s):  # the disk knows wall time only
        expires_at = clock.wall_s() + item.expires_at_s - clock.monotonic_s()
    item.row = store.put_downlink(
        (item.dev_eui, item.fport, item.payload, item.confirmed, int(item.priority), expires_at, item.tries)
    )


def restore(store: SessionStore, queue: DownlinkQueue, clock: Clock) -> int:
    """Queue again what waited, in the order it came; return how many. What has expired meanwhile expires at once."""
    queued = 0
    for row, dev_eui, fport, payload, confirmed, priority, expires_at, tries in store.downlinks():
        left_s = math.inf if expires_at is None else expires_at - clock.wall_s()
        item = Item(
            dev_eui, fport, payload, bool(confirmed), Priority(priority), clock.monotonic_s() + left_s, tries, row=row
        )
        try:
            queue.put(item)
        except QueueFull:  # an earlier version allowed more
            store.drop_downlink(row)
        else:
            queued += 1
    store.commit()
    return queued
