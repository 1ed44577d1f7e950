# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A battery of battery_v volts behind a divider that a pin may switch on: without it the ADC sees nothing."""

from typing import Literal

from pydantic import Field

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.models._bin import Bin
from boards.virtual.pins import PinBank


class Config(ModelConfig):
    """Pins, and the battery's voltage at the ADC's full scale."""

    model: Literal["battery"]
    adc: int
    full_scale_v: float = Field(gt=0)
    power_pin: int | None = None

    def gpio(self) -> dict[str, int]:
        """Both pins."""
        return {"adc": self.adc} | ({} if self.power_pin is None else {"power_pin": self.power_pin})


class Chip:
    """Drives an ADC pin."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        Bin(environment)
        self._config, self._pins, self._environment = config, pins, environment
        pins.attach_adc(config.adc, self.sample)

    def sample(self) -> int:
        """0..65535."""
        switch = self._config.power_pin
        if switch is not None and self._pins.pin(switch).level == 0:
            return 0
        return min(65535, round(self._environment.get("battery_v") / self._config.full_scale_v * 65535))

    def state(self) -> dict[str, float]:
        """Volts."""
        return {"battery_v": self._environment.get("battery_v")}
