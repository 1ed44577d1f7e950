# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""When traffic does not flow: slow, or standing on the detector, for a while."""

_WINDOW_MS = 60000
_RAISE_WINDOWS = 2
_CLEAR_WINDOWS = 3
_MIN_VEHICLES = 3


class Congestion:
    """Looks at windows of a minute. A street without vehicles flows."""

    def __init__(self) -> None:
        self._begun = None  # type: int | None
        self._vehicles = 0
        self._sum_kmh = 0.0
        self._occupied_ms = 0
        self._last_ms = 0
        self._streak = 0
        self.congested = False

    def vehicle(self, speed_kmh: float | None) -> None:
        """One passed."""
        if speed_kmh is not None:
            self._vehicles += 1
            self._sum_kmh += speed_kmh

    def look(self, now_ms: int, occupied: bool, slow_kmh: int, occupancy_pct: int) -> bool:
        """Take a look at the detector; return whether traffic is congested."""
        if self._begun is None:
            self._begun = self._last_ms = now_ms
        if occupied:
            self._occupied_ms += now_ms - self._last_ms
        self._last_ms = now_ms
        length = now_ms - self._begun
        if length >= _WINDOW_MS:
            if self._vehicles >= _MIN_VEHICLES:
                self._decide(self._sum_kmh <= slow_kmh * self._vehicles)
            else:  # nobody gets through, or nobody is there
                self._decide(100 * self._occupied_ms >= occupancy_pct * length)
            self._begun = now_ms
            self._vehicles = self._occupied_ms = 0
            self._sum_kmh = 0.0
        return self.congested

    def _decide(self, present: bool) -> None:
        if present == self.congested:
            self._streak = 0
            return
        self._streak += 1
        if self._streak >= (_RAISE_WINDOWS if present else _CLEAR_WINDOWS):
            self.congested = present
            self._streak = 0
