# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""From a radar's speeds to vehicles: what comes without a break and in one direction is one vehicle."""

import math

from firmware.node.roles.passages import FASTEST_KMH, SLOWEST_KMH, A, B, Passage

_BREAK_MS = 500
_MIN_REPORTS = 3
_PERIOD_MS = 100  # from one report to the next
_MAX_REPORTS = 40  # kept for the median


class RadarTracker:
    """*zone_mm*: how much of the road the beam covers; *angle_deg* between beam and road makes speeds look lower."""

    def __init__(self, zone_mm: int, angle_deg: int) -> None:
        self._zone_mm = zone_mm
        self._scale = 1 / (10 * math.cos(math.radians(angle_deg)))  # from tenths
        self._speeds = []  # type: list[int]
        self._first_ms = 0
        self._last_ms = 0

    @property
    def occupied(self) -> bool:
        """Whether something is in the beam."""
        return bool(self._speeds)

    def report(self, now_ms: int, tenths_kmh: int) -> Passage | None:
        """Take one speed; return the vehicle before it, when this one is another's."""
        done = None
        if self._speeds and (now_ms - self._last_ms > _BREAK_MS or (tenths_kmh > 0) != (self._speeds[0] > 0)):
            done = self._finish()
        if tenths_kmh == 0:
            return done
        if not self._speeds:
            self._first_ms = now_ms
        if len(self._speeds) < _MAX_REPORTS:
            self._speeds.append(tenths_kmh)
        self._last_ms = now_ms
        return done

    def idle(self, now_ms: int) -> Passage | None:
        """Nothing came: return the vehicle that has left."""
        return self._finish() if self._speeds and now_ms - self._last_ms > _BREAK_MS else None

    def _finish(self) -> Passage | None:
        speeds, self._speeds = self._speeds, []
        if len(speeds) < _MIN_REPORTS:  # a bird, rain
            return None
        direction = A if speeds[0] > 0 else B
        speed_kmh = abs(sorted(speeds)[len(speeds) // 2]) * self._scale
        if not SLOWEST_KMH <= speed_kmh <= FASTEST_KMH:
            return None
        seen_ms = self._last_ms - self._first_ms + _PERIOD_MS
        length_m = speed_kmh / 3.6 * seen_ms / 1000 - self._zone_mm / 1000
        return Passage(direction, self._first_ms, seen_ms, speed_kmh, length_m)
