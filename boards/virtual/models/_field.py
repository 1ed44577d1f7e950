# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The earth's magnetic field at a place of the road, and how vehicles bend it."""

import math
import random

from boards.virtual.environment import Environment
from boards.virtual.models._road import road

_EARTH_NT = (15_000.0, 2_000.0, -48_000.0)
_IRON_NT = (5_000.0, 1_500.0, 9_000.0)  # a car above the sensor; longer ones have more
_REACH_M = 0.6  # beyond bumper and bumper
_DRIFT_NT_PER_K = 20.0


class Field:
    """*place_m* along the road."""

    def __init__(self, environment: Environment, place_m: float, noise_nt: float) -> None:
        self._environment, self._place_m, self._noise_nt = environment, place_m, noise_nt
        self._road = road(environment)
        self._rng = random.Random(f"{environment.scenario.seed}/field/{place_m}")

    def nt(self) -> tuple[float, float, float]:
        """x, y and z in nanotesla."""
        now_s = self._environment.elapsed_s()
        warm = self._environment.get("temperature_c") - 20.0
        x, y, z = (axis + _DRIFT_NT_PER_K * warm + self._rng.gauss(0.0, self._noise_nt) for axis in _EARTH_NT)
        for vehicle in self._road.around(now_s, now_s):
            front, rear = vehicle.over(self._place_m)
            middle, half = (front + rear) / 2, (rear - front) / 2 + _REACH_M / vehicle.speed_mps
            part = abs(now_s - middle) / half
            if part < 1.6:
                iron = min(1.5, vehicle.length_m / 4.5)
                strength = iron * math.exp(-(part**6) * math.log(4))
                ripple = 0.8 + 0.2 * math.cos(9.0 * part)
                x += _IRON_NT[0] * strength * ripple
                y += _IRON_NT[1] * strength
                z += _IRON_NT[2] * strength * ripple
        return x, y, z

    def state(self) -> dict[str, float]:
        """What drove past."""
        return self._road.state()
