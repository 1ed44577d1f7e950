# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The process of the front: all its ports, its lock, its counters, its metrics, and systemd's watchdog."""

from __future__ import annotations

import asyncio
import signal
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from gateway import division, watchdog, workers
from gateway.clock import SystemClock
from gateway.errors import NotDivided
from gateway.front import metrics, reload
from gateway.front.line import Line, serve
from gateway.front.scan import Router
from gateway.operate import notify
from gateway.operate.control import Control
from gateway.operate.counters import Counters
from gateway.operate.lock import only_one
from gateway.operate.logs import EventLog
from gateway.operate.stages import Stages
from gateway.supervisor import Supervisor

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.config import Loaded


class Front:
    """One front. ``run`` returns after ``stop``. Raises NotDivided where there is nothing to stand before."""

    def __init__(self, loaded: Loaded) -> None:
        section = loaded.config.workers
        if section.count == 1:
            raise NotDivided("[workers] count is 1: one process needs no front; run it alone: lykta-gateway run")
        division.place(loaded.state_root, section.count, 1)
        self._loaded = loaded
        self._clock = SystemClock()
        self._counters = Counters()
        self._stages = Stages(self._clock)
        self._log = EventLog("front")
        self._stop = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._reloads: set[asyncio.Task[Any]] = set()
        self._page = metrics.Page(loaded.config.operate.listen, self.status)
        router = Router(section.count, division.routes(loaded.state_root))
        links = loaded.links
        self._lines = [
            Line(link, self._workers(number, len(links)), router, self._clock, self._counters)  # type: ignore[arg-type]
            for number, link in enumerate(links)
        ]

    def _workers(self, link: int, links: int) -> list[tuple[str, int]]:
        section = self._loaded.config.workers
        return [workers.address(section, worker, link, links) for worker in range(1, section.count + 1)]

    @property
    def folder(self) -> Path:
        """Where its lock, its counters and its control socket are."""
        return self._loaded.state_root / division.FRONT

    async def reload(self) -> dict[str, Any]:
        """Read the configuration again; say what became of it. What is refused changes nothing."""
        async with self._reloading:
            self._loaded, outcome = await reload.reload(self._loaded, self._lines, self._counters, self._log)
        return outcome

    def _reload_soon(self) -> None:
        task = asyncio.get_running_loop().create_task(self.reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    def stop(self) -> None:
        """Ask for an orderly end."""
        self._stop.set()

    def status(self) -> dict[str, Any]:
        """Return everything that can be said about it."""
        links = [line.status() for line in self._lines]
        away = [each["worker"] for line in links for each in line["workers"] if each["away"]]
        counters = self._counters.snapshot().get("front", {})
        ready = all(line["open"] for line in links) and not away
        return {"front": True, "links": links, "counters": counters, "ready": ready, "page": self._page.status()}

    async def run(self) -> None:
        """Run until ``stop``, SIGTERM or SIGINT. Raises AlreadyRunning, OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        loop = asyncio.get_running_loop()
        with only_one(self.folder), closing(self._page):
            self._page.open()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop)
            loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
            control = Control(self.folder, {"status": self._answer, "reload": self.reload})
            await control.open()
            try:
                await self._serve()
            finally:
                await control.close()
            self._counters.save(self.folder)
        self._log.info("stopped")

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = Supervisor(group)
            names = [f"line {line.name}" for line in self._lines]
            for name, line in zip(names, self._lines, strict=True):
                self._stages.add(name, line.longest_turn_s)
                line.watch(partial(self._stages.beat, name))
                tasks.start(name, lambda line=line: serve(line, self._log))  # type: ignore[misc]
            tasks.start("housekeeping", self._housekeep)
            tasks.start("watchdog", lambda: watchdog.watch(self._stages, lambda: None))
            notify.ready(f"{len(self._lines)} links, {self._loaded.config.workers.count} workers")
            self._log.info("ready", workers=self._loaded.config.workers.count, links=len(self._lines))
            await self._stop.wait()
            notify.stopping("closing the ports")
            await tasks.stop(*names, "housekeeping", "watchdog")

    async def _housekeep(self) -> None:
        while True:
            await asyncio.sleep(metrics.AGAIN_S)
            self._page.open()
            self._counters.save(self.folder)

    async def _answer(self) -> dict[str, Any]:
        return self.status()
