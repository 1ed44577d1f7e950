# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Downlinks under way, on the event loop: each planned frame in a task of its own; the queue is looked at in time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from gateway.operate.logs import EventLog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from gateway.clock import Clock
    from gateway.network.downlinks import Fate, Item
    from gateway.network.scheduler import Planned
    from gateway.network.server import NetworkServer
    from gateway.network.transmitter import Transmitter
    from gateway.operate.counters import Counters

    HearFates = Callable[[Sequence[tuple[Item, Fate]]], Awaitable[None]]

_LAST_S = 1.0
_LOOK_AGAIN_S = 1.0


class InWriter(Protocol):
    """Runs a function in the thread that owns the databases."""

    async def __call__(self, function: Callable[[], None]) -> None:
        """Return when it is done."""


class Sender:
    """Gives planned frames to the transmitter, and what became of them to the queue they came from."""

    def __init__(
        self, transmitter: Transmitter, in_writer: InWriter, counters: Counters, hear_fates: HearFates | None = None
    ) -> None:
        self._transmitter = transmitter
        self._hear_fates = hear_fates
        self._in_writer = in_writer
        self._counters = counters
        self._log = EventLog("sender")
        self._under_way: set[asyncio.Task[None]] = set()
        self._queued = asyncio.Event()

    def start(self, planned: Planned, server: NetworkServer, now_s: Callable[[], float]) -> None:
        """Send in a task of its own: a gateway may take seconds to say that it will."""
        task = asyncio.get_running_loop().create_task(self._transmit(planned, server, now_s))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def put(self, item: Item, server: NetworkServer, clock: Clock) -> None:
        """Queue a payload for a device; it is on disk when this returns. Raises QueueFull, StoreUnavailable."""
        await self._in_writer(lambda: server.enqueue(item, clock))
        self._queued.set()

    def wake(self) -> None:
        """There may be something new in the queue."""
        self._queued.set()

    async def run(
        self, server: NetworkServer, at_once: Callable[[float], Sequence[Planned]], now_s: Callable[[], float]
    ) -> None:
        """Devices that always listen get theirs when it comes; look again each second while something waits."""
        while True:
            await self._report(server)
            if not server.queue:
                await self._queued.wait()
            self._queued.clear()
            planned: list[Planned] = []
            await self._in_writer(lambda found=planned: found.extend(at_once(now_s())))  # type: ignore[misc]
            for each in planned:
                self.start(each, server, now_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._queued.wait(), server.pace.wait_s(now_s(), _LOOK_AGAIN_S))

    async def finish(self) -> None:
        """Wait, not for long, for what gateways have still to answer."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=_LAST_S)
            for task in late:
                task.cancel()

    async def _report(self, server: NetworkServer) -> None:
        fates = server.fates()
        for item, fate in fates:
            self._counters.add("downlinks", f"queue_{fate}")
            tell = self._log.debug if item.row is None else self._log.info  # blocks of an update are many
            tell("downlink", dev_eui=item.dev_eui, fport=item.fport, fate=fate)
        if fates and self._hear_fates is not None:
            await self._hear_fates(fates)

    async def _transmit(self, planned: Planned, server: NetworkServer, now_s: Callable[[], float]) -> None:
        sent = False
        try:
            sent = await self._transmitter.transmit(planned)
        except Exception:  # noqa: BLE001 - top of a task, logged with its traceback
            self._counters.add("frames", "abandoned_downlinks")
            self._log.exception("downlink_abandoned", dev_eui=planned.dev_eui)
        if planned.item is not None:
            await self._in_writer(lambda: server.settle(planned, now_s(), sent=sent))
            self._queued.set()
