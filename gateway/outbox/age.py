# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How old a row is, told by a clock that nobody sets: the seconds that this outbox was in use, ever.

The wall clock of a box without a battery starts anywhere and jumps when NTP answers; expiry by it would throw away what
is an hour old, or keep what is a year old. Time with the power off does not count here: a row never expires early.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from gateway.clock import Clock


_EVERY_S = 1.0
"""So often it is written down, at most: a page of the file that each commit would write else."""


class AgeClock:
    """Goes on where the file says it was, by the monotonic clock: up to a second earlier after a crash."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        self._clock = clock
        row = connection.execute("SELECT seconds FROM ran").fetchone()
        self._saved_s: float = row[0] if row else float("-inf")
        self._base_s = (row[0] if row else 0.0) - clock.monotonic_s()

    def now_s(self) -> float:
        """Return the seconds of use so far."""
        return self._base_s + self._clock.monotonic_s()

    def save(self, connection: sqlite3.Connection) -> float:
        """Write it down when that is a second ago; part of the caller's transaction. What it returns is ``saved``."""
        now_s = self.now_s()
        if now_s - self._saved_s < _EVERY_S:
            return self._saved_s
        connection.execute("INSERT OR REPLACE INTO ran VALUES (1, ?)", (now_s,))
        return now_s

    def saved(self, at_s: float) -> None:
        """The transaction was committed."""
        self._saved_s = at_s
