# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Wall clock and monotonic clock, injected everywhere so that tests can make them jump."""

from __future__ import annotations

import time
from typing import Protocol

MIN_PLAUSIBLE_S = 1767225600
"""2026-01-01T00:00:00Z: a wall clock before this was never set (no battery, no NTP yet)."""


class Clock(Protocol):
    """Two clocks: ``wall_s`` may jump, ``monotonic_s`` never goes back."""

    def wall_s(self) -> float:
        """Seconds of UTC since 1970, as far as the machine knows."""

    def monotonic_s(self) -> float:
        """Seconds since some moment; for intervals."""


class SystemClock:
    """The clocks of this machine."""

    def wall_s(self) -> float:
        """Seconds of UTC since 1970."""
        return time.time()

    def monotonic_s(self) -> float:
        """Seconds since boot."""
        return time.monotonic()


class StepDetector:
    """Notices that the wall clock was set, by comparing it with the monotonic one."""

    def __init__(self, clock: Clock, threshold_s: float = 2.0) -> None:
        self._clock = clock
        self._threshold_s = threshold_s
        self._offset_s = clock.wall_s() - clock.monotonic_s()

    def step_s(self) -> float | None:
        """Return by how much the wall clock was set since the last call; None when it was not."""
        offset_s = self._clock.wall_s() - self._clock.monotonic_s()
        step_s = offset_s - self._offset_s
        self._offset_s = offset_s  # slow drift is NTP at work, not a step
        return step_s if abs(step_s) >= self._threshold_s else None


def plausible(wall_s: float) -> bool:
    """Tell whether a wall clock was ever set."""
    return wall_s >= MIN_PLAUSIBLE_S
