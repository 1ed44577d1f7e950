# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A road with two directions: who drives past, when, how fast and how long. One for all detectors of a board.

Vehicles come in real time, as many as the hour of the scenario, its events (busy, jam) and the value traffic_flow ask
for: 1 is the scenario's own, 0 lets nobody in. The same seed gives the same vehicles. By hand besides: sent_a and
sent_b, how many are sent past in all, whatever the flow; all_drive_kmh, which everybody drives then.
"""

import math
import random
from dataclasses import dataclass
from functools import partial

from boards.virtual.environment import Environment
from boards.virtual.scenario import DAY_S

_PER_HOUR = 500.0  # both directions, at the busiest hour of an ordinary day
_SLOT_S = 1.0
_KEEP_S = 60.0
_GAP_S = 1.3  # behind the one before, whatever its direction: the detectors see one lane
_PIECE_M = 12.0  # of the road, that each has for itself
_LIMIT_KMH = 50.0
_SENT = {"sent_a": 1, "sent_b": -1}


@dataclass(frozen=True)
class Vehicle:
    """Its front is at the middle of the road's piece at *at_s* after the start; direction a is +1."""

    at_s: float
    way: int
    speed_mps: float
    length_m: float

    def over(self, place_m: float) -> tuple[float, float]:
        """When its front and its rear pass a place, in seconds after the start; place_m grows towards +1."""
        front = self.at_s + self.way * place_m / self.speed_mps
        return front, front + self.length_m / self.speed_mps

    @property
    def cls(self) -> str:
        """What it is."""
        if self.length_m < 2.6:
            return "two_wheel"
        return "heavy" if self.length_m >= 6.5 else "car"


class Road:
    """Makes vehicles as time goes by."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._scenario = environment.scenario
        self._made_s = 0.0
        self._free_s = 0.0
        self._vehicles: list[Vehicle] = []
        self.counts: dict[str, int] = dict.fromkeys(("a", "b", "two_wheel", "car", "heavy"), 0)
        self._sent = dict.fromkeys(_SENT, 0)
        for name, value in (("traffic_flow", 1.0), ("all_drive_kmh", 0.0), *((name, 0.0) for name in _SENT)):
            environment.publish(name, partial(float, value))

    def around(self, from_s: float, until_s: float) -> list[Vehicle]:
        """The vehicles that are near in a span of time, in seconds after the start."""
        while self._made_s < until_s + 2 * _SLOT_S:
            self._make(self._made_s)
            self._made_s += _SLOT_S
        self._vehicles = [each for each in self._vehicles if each.at_s > until_s - _KEEP_S]
        return [each for each in self._vehicles if from_s - 20.0 <= each.at_s <= until_s + 2.0]

    def state(self) -> dict[str, float]:
        """How many of each there were so far, those included that are about to come."""
        return {f"road_{name}": count for name, count in self.counts.items()}

    def _make(self, slot_s: float) -> None:
        rng = random.Random(f"{self._scenario.seed}/road/{round(slot_s / _SLOT_S)}")
        time_s = self._scenario.start_s + slot_s * self._scenario.speed
        flow = self._environment.get("traffic_flow") * (1 + 3 * self._scenario.event("busy", time_s))
        chance = _PER_HOUR / 3600.0 * day_shape(time_s) * flow * _SLOT_S
        at_s = max(slot_s + rng.random() * _SLOT_S, self._free_s)
        wanted = {name: round(self._environment.get(name)) for name in _SENT}
        for name in _SENT:
            if wanted[name] < self._sent[name]:  # let go: it begins anew
                self._sent[name] = 0
        sent = next((name for name in _SENT if self._sent[name] < wanted[name]), None)
        if (rng.random() >= chance and sent is None) or at_s > slot_s + 2 * _SLOT_S:
            return
        jam = self._scenario.event("jam", time_s)
        speed = rng.gauss(0.95 * _LIMIT_KMH, 6.0) * (1 - 0.85 * jam) / 3.6
        speed = self._environment.get("all_drive_kmh") / 3.6 or speed
        kind = rng.random()
        length = (
            rng.uniform(1.7, 2.3) if kind < 0.1 else rng.uniform(3.8, 5.2) if kind < 0.88 else rng.uniform(8.0, 16.0)
        )
        way = 1 if rng.random() < 0.55 else -1
        if sent is not None:
            self._sent[sent] += 1
            way = _SENT[sent]
        vehicle = Vehicle(at_s, way, max(1.0, speed), length)
        self._free_s = at_s + _GAP_S + (length + _PIECE_M) / vehicle.speed_mps
        self._vehicles.append(vehicle)
        self.counts["a" if vehicle.way > 0 else "b"] += 1
        self.counts[vehicle.cls] += 1


def day_shape(time_s: float) -> float:
    """Share of the busiest hour: two peaks, nearly nobody at four in the morning."""
    hour = time_s % DAY_S / 3600.0
    peaks = math.exp(-(((hour - 8.0) / 1.6) ** 2)) + math.exp(-(((hour - 16.8) / 2.2) ** 2))
    day = 0.55 * max(0.0, math.sin((hour - 5.0) / 18.0 * math.pi)) if 5.0 <= hour <= 23.0 else 0.0
    return min(1.0, 0.02 + day + 0.45 * peaks)


def road(environment: Environment) -> Road:
    """The road of a board."""
    return environment.shared("road", lambda: Road(environment))
