# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A start on a disk that takes nothing: what is stored is delivered, nothing is acknowledged, until it takes writes.

Links stay closed: whoever hears nothing keeps what it has, and no counter can be used that could not be kept.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from gateway import watchdog
from gateway.errors import MountOutlived
from gateway.operate import mounts, notify
from gateway.operate.control import Control
from gateway.operate.logs import EventLog
from gateway.outbox.stored import takes_writes
from gateway.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from gateway.ends import Ends
    from gateway.operate.stages import Stages
    from gateway.operate.web.server import StatusPage

_LOOK_S = 2.0
_MOUNT_AGAIN_S = 600.0
"""How often a start is tried that may see another mount, where this one saw no change."""
_LAST_PUBACKS_S = 2.0
_FEED_S = 5
_LONGEST_OPEN_S = 600
"""All of a large outbox is read for damage."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class NotTaking:
    """Stands where the intake would: it takes nothing, and says why."""

    why: str
    state: str = "store_unavailable"


@dataclass(frozen=True, slots=True)
class Standby:
    """What goes on without a disk."""

    state_dir: Path
    ends: Ends
    stages: Stages
    page: StatusPage
    status: Callable[[], Awaitable[dict[str, Any]]]
    stop: asyncio.Event

    async def until_writable(self, why: str) -> bool:
        """Deliver what is stored until the disk takes writes; False when the end came first. Raises MountOutlived."""
        log = EventLog("daemon")
        log.error("store_read_only", why=why, effect="what is stored is delivered; nothing is acknowledged")
        control = Control(self.state_dir, {"status": self.status, "reload": _no_reload})
        try:
            await control.open()
        except OSError as error:
            log.warning("control_absent", why=error, effect="the status page and the journal say how it is")
        try:
            async with asyncio.TaskGroup() as group:
                writable = await self._serve(Supervisor(group))
        finally:
            with suppress(OSError):
                await control.close()
        if not writable and not self.stop.is_set():
            raise MountOutlived(
                f"This process was given a mount of {self.state_dir} that stays read-only, and the disk behind it does "
                f"not: it ends, so that systemd starts it with the mount as it is now. Should this come again every "
                f"ten minutes: findmnt -T {self.state_dir}"
            )
        if writable:
            log.info("store_writable", effect="the start goes on")
        return writable

    async def _serve(self, tasks: Supervisor) -> bool:
        self.ends.start_platforms(tasks)
        tasks.start("status page", self.page.run)
        tasks.start("watchdog", lambda: watchdog.watch(self.stages, lambda: None))
        notify.ready("the disk takes nothing: what is stored is delivered, nothing new is taken")
        mount = _Mount(self.state_dir)
        while not (writable := await asyncio.to_thread(takes_writes, self.state_dir)):
            if self.stop.is_set() or mount.outlived():
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), _LOOK_S)
        if not writable or self.stop.is_set():
            notify.stopping("delivering what is on its way")
            await self.ends.last_pubacks(_LAST_PUBACKS_S)
        await tasks.stop("status page", "watchdog", *self.ends.task_names()[1])
        for feed in self.ends.feeds.values():
            await feed.flush()  # in memory
        return writable and not self.stop.is_set()


class _Mount:
    """The mount of a folder, from this start on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._at_first = mounts.copied_read_only(folder)
        self._since_s = time.monotonic()

    def outlived(self) -> bool:
        """Tell whether another start may see a mount that takes writes, where somebody starts us again."""
        if not notify.started_by_systemd() or not mounts.copied_read_only(self._folder):
            return False
        return not self._at_first or time.monotonic() - self._since_s >= _MOUNT_AGAIN_S


async def fed(work: Awaitable[_Result]) -> _Result:
    """Wait for *work*, and feed the watchdog meanwhile, not for ever: systemd was told that the start is complete."""
    task = asyncio.ensure_future(work)
    for _ in range(_LONGEST_OPEN_S // _FEED_S):
        if (await asyncio.wait({task}, timeout=_FEED_S))[0]:
            break
        notify.fed()
    return await task


async def _no_reload() -> dict[str, Any]:
    return {"ok": False, "message": "the disk takes nothing; a reload is possible when the start is complete"}
