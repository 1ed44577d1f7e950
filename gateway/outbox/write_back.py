# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the outbox's log holds is written back into its file beside the commits, not within one of them.

SQLite does it within the commit that fills its log: under load one commit a second then waits for thousands of pages
and two more fsyncs, and all that comes meanwhile waits with it. Here a connection of its own does it in a thread of its
own, before the log is that full; a commit writes back only what little came since. Nothing depends on it: what is not
written back is in the log, which is on disk, and a log that grows all the same the commits write back as ever.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from gateway.operate.logs import EventLog, Seldom

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.outbox.store import Outbox

LOG_PAGES = 3500
"""From so many on the commits do it: 14 of the 16 MiB that are kept for the log."""
_ROWS = 1500
"""Written since the last time; a row is a tenth of a page to two, as devices are few or many."""
_PAUSE_S = 0.05
"""At least between two times, whatever comes."""


class WriteBack:
    """One outbox file. ``look`` and ``run`` belong to the event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._due = asyncio.Event()
        self._done_rows = 0
        self._log, self._seldom = EventLog("outbox"), Seldom()

    def look(self, outbox: Outbox) -> None:
        """After a commit: there may be enough for another time."""
        if outbox.rows_written - self._done_rows >= _ROWS:
            self._done_rows = outbox.rows_written
            self._due.set()

    async def run(self) -> None:
        """Write back when it is due, until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await asyncio.to_thread(write_back, self._path)
            except sqlite3.Error as error:  # the commits meet it too, and know what it means
                if self._seldom.allow("failed") is not None:
                    self._log.warning("not_written_back", why=error, effect="the log grows, and the commits do it")
            await asyncio.sleep(_PAUSE_S)


def write_back(path: Path) -> None:
    """Write back what is in the log now, without keeping anybody from writing or reading. Raises sqlite3.Error."""
    with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
