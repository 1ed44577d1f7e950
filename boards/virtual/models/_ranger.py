# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An ultrasonic range finder on a UART that looks down into a bin, as four bytes: 0xFF, high, low, sum.

It times an echo and counts on sound at 20 C. Now and then an echo comes from the wall, or none at all; a fault makes
both more frequent.
"""

import random

from pydantic import Field

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.models._bin import Bin
from boards.virtual.pins import PinBank

_NOISE_MM = 3.0
_WALL = 0.02
_LOST = 0.01


class RangerConfig(ModelConfig):
    """UART, and the pin of its supply, where it is switched."""

    uart: int
    power_pin: int | None = Field(default=None)

    def gpio(self) -> dict[str, int]:
        """The pin of its supply."""
        return {} if self.power_pin is None else {"power_pin": self.power_pin}

    def place(self) -> tuple[str, int, int]:
        """One chip to a UART."""
        return ("uart", self.uart, 0)


class Ranger:
    """What both chips have in common."""

    baud = 9600
    nearest_mm = 30
    farthest_mm = 4500

    def __init__(self, config: RangerConfig, pins: PinBank, buses: Buses, environment: Environment) -> None:
        self._pins, self._power_pin, self._environment = pins, config.power_pin, environment
        self._bin = Bin(environment)
        self._rng = random.Random(f"{environment.scenario.seed}/ranger/{config.uart}")
        self.last_mm = 0
        buses.uart[config.uart].device = self

    @property
    def powered(self) -> bool:
        """Whether its supply is on."""
        return self._power_pin is None or self._pins.pin(self._power_pin).level == 1

    def frame(self) -> bytes:
        """One measurement, b"" when no echo came back."""
        fault = self._environment.get("ranger_fault")
        if self._rng.random() < _LOST + 0.9 * fault:
            return b""
        mm = self._bin.distance_mm()
        if self._rng.random() < _WALL + 0.3 * fault:
            mm *= self._rng.uniform(0.2, 0.9)
        air_c = self._environment.get("bin_temperature_c")
        mm = mm * 343.2 / (331.3 + 0.606 * air_c) + self._rng.gauss(0.0, _NOISE_MM * (1 + 20 * fault))
        self.last_mm = max(self.nearest_mm, min(self.farthest_mm, round(mm)))
        high, low = self.last_mm >> 8, self.last_mm & 0xFF
        return bytes([0xFF, high, low, (0xFF + high + low) & 0xFF])

    def receive(self, data: bytes) -> bytes:
        """It does not listen."""
        return b""

    def state(self) -> dict[str, float]:
        """The last distance that it told."""
        return {"last_mm": self.last_mm}
