# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Feeds the hardware watchdog only while every task keeps its promise to be back in time."""

import asyncio

from firmware.node.log import log

_CHECK_MS = 500


class Watchdog:
    """*wdt* is a machine.WDT, or None on a board without one. *monotonic_ms* is the clock's."""

    def __init__(self, wdt, monotonic_ms) -> None:
        self._wdt = wdt
        self._monotonic_ms = monotonic_ms
        self.check_ms = _CHECK_MS
        self._due = {}  # type: dict[str, int]

    def expect(self, task: str, within_ms: int) -> None:
        """Say that *task* is alive, and will be heard of again within so many milliseconds."""
        self._due[task] = self._monotonic_ms() + within_ms

    def overdue(self) -> str | None:
        """Return the name of a task that has not kept its promise, or None."""
        now = self._monotonic_ms()
        for task, due in self._due.items():
            if now > due:
                return task
        return None

    def feed(self) -> None:
        """Feed without a check, for the seconds outside the tasks."""
        if self._wdt is not None:
            self._wdt.feed()

    async def run(self) -> None:
        """Feed as long as nobody is overdue; then let the hardware reset the board."""
        while True:
            late = self.overdue()
            if late is None:
                self.feed()
            else:
                log("watchdog", "task %s does not come back; not fed" % late)
            await asyncio.sleep_ms(self.check_ms)
