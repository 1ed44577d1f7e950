# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How a platform reads the outbox: in order, from where it stopped, asleep while there is nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from gateway.outbox.store import Outbox, Row

_Result = TypeVar("_Result")
Call = Callable[[Callable[["Outbox"], _Result]], Awaitable[_Result]]
"""Runs something with the outbox in the thread that owns it."""


class Feed:
    """One platform's place in the outbox. Used from the event loop only."""

    def __init__(self, platform: str, call: Call) -> None:  # type: ignore[type-arg]
        self._platform = platform
        self._call = call
        self._news = asyncio.Event()
        self._through = 0
        self._readings = 0
        self._noted = False
        self.idle = False
        """Everything was read."""

    def wake(self) -> None:
        """There may be new envelopes."""
        self.idle = False
        self._news.set()

    async def through(self) -> int:
        """Return the id up to which the platform has everything."""
        await self.flush()
        through: int = await self._call(lambda outbox: outbox.through(self._platform))
        return through

    async def read(self, after: int, limit: int) -> list[Row]:
        """Return the next envelopes after id *after*; wait until there is one."""
        while True:
            self._news.clear()
            rows: list[Row] = await self._call(lambda outbox: outbox.read(after, limit))
            if rows:
                return rows
            self.idle = not self._news.is_set()
            await self._news.wait()

    def note(self, through: int, readings: int) -> None:
        """The platform took everything up to id *through*, *readings* more than at the last note."""
        self._through = through
        self._readings += readings
        self._noted = True

    async def flush(self) -> None:
        """Put what was noted on disk. Losing a note costs a repeated publication, never a reading."""
        if not self._noted:
            return
        through, readings = self._through, self._readings
        self._readings, self._noted = 0, False
        try:
            await self._call(lambda outbox: outbox.published(self._platform, through, readings))
        except OSError:
            self._readings += readings
            self._noted = True
            raise
