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


class AgeClock:
    """Goes on where the file says it was, by the monotonic clock."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        self._clock = clock
        row = connection.execute("SELECT seconds FROM ran").fetchone()
        self._base_s = (row[0] if row else 0.0) - clock.monotonic_s()

    def now_s(self) -> float:
        """Return the seconds of use so far."""
        return self._base_s + self._clock.monotonic_s()

    def save(self, connection: sqlite3.Connection) -> None:
        """Write it down; part of the caller's transaction."""
        connection.execute("INSERT OR REPLACE INTO ran VALUES (1, ?)", (self.now_s(),))
