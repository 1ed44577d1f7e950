# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Between the links and the pipeline: copies of a frame become one, and frames wait for the batch before theirs.

A link calls it with one frame, or with ``many`` of one moment. One that can leave frames where they are, in the
kernel's buffer, asks ``full`` first: what cannot be stored yet need not be read yet. What comes when even the last
place is taken is dropped and counted; the device has no receipt for it, and sends it again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from gateway.network.dedup import Deduplicator, Verdict, Window
from gateway.operate.logs import EventLog, Seldom

if TYPE_CHECKING:
    from gateway.clock import Clock
    from gateway.links import Uplink
    from gateway.operate.counters import Counters

_PLACES = 4096


class Inbox:
    """Used from the event loop only."""

    def __init__(self, dedup_s: float, clock: Clock, counters: Counters) -> None:
        self.maxsize = _PLACES
        self._clock, self._counters = clock, counters
        self._window = Window(Deduplicator(dedup_s), self._put, clock)
        self._waiting: deque[Uplink] = deque()
        self._since_s = 0.0
        """When the first of them came to wait, here or in the kernel."""
        self._waited_s = 0.0
        """How long those that are put now may have waited there."""
        self._news = asyncio.Event()
        self._probed = self._closed = False
        self._log, self._seldom = EventLog("daemon"), Seldom()

    def __call__(self, uplink: Uplink) -> None:
        """Take one frame. Never blocks."""
        self._counters.add("frames", "heard")
        if self._closed:
            return
        if not uplink.heard_at_s:  # a link that takes many at once has looked at the clock for all of them
            uplink = uplink.at(self._clock.monotonic_s())
        if uplink.radio is None:
            self._put([uplink])
            return
        verdict = self._window.put(uplink)
        if verdict is not Verdict.FIRST:
            self._counters.add("frames", f"heard_{verdict.value}")

    def many(self, uplinks: list[Uplink], waited_s: float = 0.0) -> None:
        """Take frames from radio that came together; they carry the moment. *waited_s*: in the kernel, at most."""
        self._counters.add("frames", "heard", len(uplinks))
        if self._closed or not uplinks:
            return
        self._waited_s = waited_s
        for verdict, count in self._window.put_all(uplinks).items():
            self._counters.add("frames", f"heard_{verdict.value}", count)
        self._waited_s = 0.0

    @property
    def full(self) -> bool:
        """Whether what comes now had better wait elsewhere."""
        return len(self._waiting) >= self.maxsize // 2

    def qsize(self) -> int:
        """How many frames wait."""
        return len(self._waiting)

    def reconfigure(self, dedup_s: float) -> None:
        """Wait another time for copies from now on."""
        self._window.reconfigure(Deduplicator(dedup_s))

    def probe(self) -> None:
        """Let the next batch begin, though it be empty: it shows that the pipeline works."""
        self._probed = True
        self._news.set()

    def close(self) -> None:
        """What waits for copies waits no more, and what comes from now on is dropped: it is sent again."""
        self._window.flush()
        self._closed = True
        self._news.set()

    async def gather(self, wait_s: float, most: int) -> tuple[list[Uplink], bool]:
        """Return some frames, none for a probe, and whether they are the last.

        The first of them waits for *wait_s* that others come; the time that the batch before took counts.
        """
        while not (self._waiting or self._probed or self._closed):
            self._news.clear()
            await self._news.wait()
        self._probed = False
        left_s = wait_s - (self._clock.monotonic_s() - self._since_s)
        if self._waiting and len(self._waiting) < most and left_s > 0 and not self._closed:
            await asyncio.sleep(min(left_s, wait_s))
        waiting = self._waiting
        batch = [waiting.popleft() for _ in range(min(most, len(waiting)))]
        self._since_s = self._clock.monotonic_s()
        return batch, self._closed and not waiting

    def _put(self, uplinks: list[Uplink]) -> None:
        waiting = self._waiting
        room = self.maxsize - len(waiting)
        if room < len(uplinks):
            self._counters.add("frames", "dropped_queue_full", len(uplinks) - room)
            if self._seldom.allow("queue") is not None:
                self._log.warning("queue_full", frames=self.maxsize)
            uplinks = uplinks[:room]
        if not uplinks:
            return
        if not waiting:
            self._since_s = self._clock.monotonic_s() - self._waited_s
            self._news.set()
        waiting.extend(uplinks)
