# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What happens in and to a waste bin: people fill it by day, a lorry empties it, it burns, it is knocked over.

All of it is a function of the scenario's time and seed; each chip that looks into the bin makes one of these, and all
see the same. Values that can be held by hand: content_mm, bin_temperature_c, bin_tilt_deg, battery_v, and the faults
ranger_fault and tof_dirt, 0 to 1.
"""

import math

from boards.virtual.environment import Environment
from boards.virtual.scenario import DAY_S, Scenario

HEIGHT_MM = 1200.0
OFFSET_MM = 50.0
COLLECTION_EVERY_D = 3
COLLECTION_H = 7.0
_PER_DAY_MM = 260.0  # of content, on an ordinary day
_STEP_S = 900.0
_FULLEST_MM = 1190.0
_FIRE_K = 280.0  # what a fire adds at the sensor, some minutes on
_BATTERY_V = 3.62
_COLD_V_PER_K = 0.002


class Bin:
    """Publishes the values into *environment*."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._scenario = environment.scenario
        self._sums: dict[int, float] = {}
        environment.publish("content_mm", self._content_mm)
        environment.publish("bin_temperature_c", self._temperature_c)
        environment.publish("bin_tilt_deg", self._tilt_deg)
        environment.publish("battery_v", self._battery_v)
        environment.publish("lid_openings", self._openings)
        environment.publish("ranger_fault", lambda: self._event("ranger_fault"))
        environment.publish("tof_dirt", lambda: self._event("tof_dirt"))

    def distance_mm(self) -> float:
        """From the sensor to the content; when the bin lies, to whatever is there."""
        if self._environment.get("bin_tilt_deg") > 40:
            return 3000.0
        return HEIGHT_MM + OFFSET_MM - self._environment.get("content_mm")

    def _time_s(self) -> float:
        return self._environment.scenario_time_s()

    def _event(self, what: str) -> float:
        return min(1.0, self._scenario.event(what, self._time_s()))

    def _content_mm(self) -> float:
        time_s = self._time_s()
        begun = last_collection_s(time_s)
        level = self._thrown_in_mm(begun, time_s)
        return min(_FULLEST_MM, level)

    def _thrown_in_mm(self, from_s: float, until_s: float) -> float:
        first, last = int(from_s // _STEP_S), int(until_s // _STEP_S)
        total = sum(self._step_mm(step) for step in range(first, last))
        return total + self._step_mm(last) * (until_s / _STEP_S - last)

    def _step_mm(self, step: int) -> float:
        if step not in self._sums:
            self._sums[step] = rate_mm_h(self._scenario, (step + 0.5) * _STEP_S) * _STEP_S / 3600.0
        return self._sums[step]

    def _openings(self) -> float:
        """How often the lid was opened since the scenario's midnight: once for 4 mm of content."""
        return float(int(self._thrown_in_mm(0.0, self._time_s()) / 4.0))

    def _temperature_c(self) -> float:
        ambient = self._environment.get("temperature_c")
        return ambient + _FIRE_K * self._event("fire")

    def _tilt_deg(self) -> float:
        return 88.0 * self._event("fallen") + 1.5

    def _battery_v(self) -> float:
        cold = max(0.0, 20.0 - self._environment.get("bin_temperature_c"))
        return _BATTERY_V - _COLD_V_PER_K * cold - 0.8 * self._event("battery_empty")


def rate_mm_h(scenario: Scenario, time_s: float) -> float:
    """How fast it fills: nothing in the small hours, most in the afternoon, more at a festival."""
    hour = time_s % DAY_S / 3600.0
    day = max(0.0, math.sin((hour - 6.0) / 17.0 * math.pi)) if 6.0 <= hour <= 23.0 else 0.02
    mood = 0.6 + 0.8 * scenario.smooth("waste", time_s, 5400.0)
    festival = 1.0 + 7.0 * scenario.event("festival", time_s)
    return _PER_DAY_MM / 10.9 * day * mood * festival


def last_collection_s(time_s: float) -> float:
    """When the lorry came last; before its first visit the bin has been filling since midnight."""
    visits = (time_s - COLLECTION_H * 3600.0 - DAY_S) // (COLLECTION_EVERY_D * DAY_S)
    return 0.0 if visits < 0 else visits * COLLECTION_EVERY_D * DAY_S + COLLECTION_H * 3600.0 + DAY_S
