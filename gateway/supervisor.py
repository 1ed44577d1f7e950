# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Tasks that should never end: started again when they do, and stopped by name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.errors import GatewayError, StoreCorrupt
from gateway.operate.logs import EventLog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_RESTART_S = 1.0
_CANCEL_AGAIN_S = 0.5


class Supervisor:
    """Keeps named tasks running in one task group, whose end is theirs."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._running: dict[str, asyncio.Task[None]] = {}
        self._log = EventLog("daemon")

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Keep *run* running under a name that is free."""
        self._running[name] = self._tasks.create_task(self._kept(name, run))

    def runs(self, name: str) -> bool:
        """Tell whether the task of a name is there and has not ended."""
        task = self._running.get(name)
        return task is not None and not task.done()

    async def stop(self, *names: str) -> None:
        """Cancel these tasks and wait for their ends."""
        stopped = [task for name in names if (task := self._running.pop(name, None)) is not None]
        while stopped:  # wait_for of Python 3.11 loses a cancellation that comes with what it waits for: so again
            for task in stopped:
                task.cancel()
            stopped = list((await asyncio.wait(stopped, timeout=_CANCEL_AGAIN_S))[1])

    async def _kept(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await run()
            except GatewayError as error:
                _end_if_damaged(error)
                self._log.warning("task_restarts", task=name, why=error)
            except Exception as error:  # noqa: BLE001 - top of a task, logged with its traceback
                _end_if_damaged(error)
                self._log.exception("task_restarts", task=name)
            await asyncio.sleep(_RESTART_S)


def _end_if_damaged(error: Exception) -> None:
    """Raise StoreCorrupt where it is that, or holds one: the process ends, and the next start sets the file aside."""
    if isinstance(error, StoreCorrupt):
        raise error
    if isinstance(error, ExceptionGroup):  # a task that has tasks of its own
        for each in error.exceptions:
            _end_if_damaged(each)
