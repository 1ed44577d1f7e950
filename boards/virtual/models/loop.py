# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The detector of an inductive loop in the road: its contact closes, to ground, while a vehicle is above the loop."""

import asyncio
from typing import Literal

from pydantic import Field

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.models._road import Vehicle, road
from boards.virtual.pins import PinBank

_LOOK_S = 0.5  # ahead for vehicles


class Config(ModelConfig):
    """Pin, place of the loop's near edge along the road, and its length."""

    model: Literal["loop"]
    pin: int
    place_m: float = 0.0
    length_m: float = Field(default=2.0, gt=0, le=10)

    def gpio(self) -> dict[str, int]:
        """The pin."""
        return {"pin": self.pin}


class Chip:
    """Drives its pin at the moments when it happens; needs a running event loop."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        self._config, self._pins, self._environment = config, pins, environment
        self._road = road(environment)
        self._timers: list[asyncio.TimerHandle] = []
        self._planned_s = 0.0
        self._above = 0
        pins.pin(config.pin).driven_outside = True
        self._set()

    def power(self, on: bool) -> None:
        """The detector has the board's supply."""
        for timer in self._timers:
            timer.cancel()
        self._timers = []
        self._above = 0
        self._set()
        if on:
            self._planned_s = self._environment.elapsed_s()
            self._plan()

    def edges(self, vehicle: Vehicle) -> tuple[float, float]:
        """When it closes and opens for a vehicle, in seconds after the start."""
        places = (self._config.place_m, self._config.place_m + self._config.length_m)
        near, far = places if vehicle.way > 0 else places[::-1]
        return vehicle.over(near)[0], vehicle.over(far)[1]

    def state(self) -> dict[str, float]:
        """What drove past."""
        return {"closed": float(self._above > 0), **self._road.state()}

    def _plan(self) -> None:
        clock = asyncio.get_running_loop()
        now_s = self._environment.elapsed_s()
        until_s = now_s + 2 * _LOOK_S
        for vehicle in self._road.around(now_s, until_s):
            closes, opens = self.edges(vehicle)
            if self._planned_s <= closes < until_s:
                self._timers.append(clock.call_later(closes - now_s, self._step, 1))
                self._timers.append(clock.call_later(opens - now_s, self._step, -1))
        self._planned_s = until_s
        self._timers = [timer for timer in self._timers if timer.when() > clock.time() and not timer.cancelled()]
        self._timers.append(clock.call_later(_LOOK_S, self._plan))

    def _step(self, change: int) -> None:
        self._above += change
        self._set()

    def _set(self) -> None:
        self._pins.drive(self._config.pin, 0 if self._above > 0 else 1)
