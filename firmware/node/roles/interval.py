# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What an interval says of traffic: counts, speeds, occupancy, headway. Single vehicles end here."""

from array import array

from firmware.node.roles.passages import HEAVY, TWO_WHEEL, Passage

_BINS = 251  # of 1 km/h each


class Interval:
    """Counts until ``close``, which returns the fields of a reading and begins anew."""

    def __init__(self) -> None:
        self._speeds = array("H", [0] * _BINS)
        self._last_at = [None, None]  # type: list[int | None]
        self._clear()

    def _clear(self) -> None:
        self.counts = [0, 0]
        self._heavy = [0, 0]
        self._two_wheel = [0, 0]
        self._fast = 0
        self._timed = 0  # vehicles with a speed
        self._sum_kmh = 0.0
        self._occupied_ms = 0
        self._headways_ms = 0
        self._headways = 0
        for i in range(_BINS):
            self._speeds[i] = 0

    def add(self, passage: Passage, cls: int, limit_kmh: int) -> None:
        """Count one vehicle."""
        way = passage.direction
        self.counts[way] = min(65535, self.counts[way] + 1)
        if cls == HEAVY:
            self._heavy[way] += 1
        elif cls == TWO_WHEEL:
            self._two_wheel[way] += 1
        self._occupied_ms += passage.occupied_ms
        last = self._last_at[way]
        if last is not None and passage.at_ms > last:
            self._headways_ms += passage.at_ms - last
            self._headways += 1
        self._last_at[way] = passage.at_ms
        speed = passage.speed_kmh
        if speed is not None:
            self._timed += 1
            self._sum_kmh += speed
            self._speeds[min(_BINS - 1, int(speed))] += 1
            if speed > limit_kmh:
                self._fast += 1

    def close(self, length_ms: int, suppress_below: int) -> dict:
        """Return the fields of the interval that lasted *length_ms*, and begin the next one.

        Of a count from 1 to *suppress_below* - 1 nothing is told; of so few vehicles with a speed, no speed either.
        """
        values = {"interval_s": (length_ms + 500) // 1000}  # type: dict[str, float]
        left_out = False
        counts = (("count_a", "count_b"), self.counts), (("heavy_a", "heavy_b"), self._heavy)
        for names, numbers in counts + ((("two_wheel_a", "two_wheel_b"), self._two_wheel),):
            for way in (0, 1):
                if 0 < numbers[way] < suppress_below:
                    left_out = True
                else:
                    values[names[way]] = numbers[way]
        if self._timed and self._timed >= suppress_below:
            values["speed_mean_kmh"] = self._sum_kmh / self._timed
            values["speed_p85_kmh"] = self.percentile(85)
            values["above_limit_pct"] = 100 * self._fast / self._timed
        if self._headways and self._headways >= suppress_below:
            values["headway_s"] = min(3600.0, self._headways_ms / self._headways / 1000)
        if length_ms > 0 and not left_out:
            values["occupancy_pct"] = min(100.0, 100 * self._occupied_ms / length_ms)
        left_out = left_out or 0 < self._timed < suppress_below
        if left_out:
            values["suppressed"] = True
        self._clear()
        return values

    def percentile(self, percent: int) -> float:
        """Return the speed that so many percent do not exceed, in km/h; within a bin speeds are spread evenly."""
        wanted = self._timed * percent / 100
        below = 0
        for i in range(_BINS):
            count = self._speeds[i]
            if count and below + count >= wanted:
                return i + (wanted - below) / count
            below += count
        return 0.0
