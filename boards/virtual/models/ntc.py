# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Thermistor at bin_temperature_c, between an ADC pin and ground; a resistor to the ADC's reference."""

import math
from typing import Literal

from pydantic import Field

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.models._bin import Bin
from boards.virtual.pins import PinBank


class Config(ModelConfig):
    """Pin and parts; resistance at 25 C and the B parameter, as the maker prints them."""

    model: Literal["ntc"]
    adc: int
    series_ohm: float = Field(default=10_000.0, gt=0)
    ohm_25: float = Field(default=10_000.0, gt=0)
    beta_k: float = Field(default=3950.0, gt=0)
    power_pin: int | None = None

    def gpio(self) -> dict[str, int]:
        """The ADC pin."""
        return {"adc": self.adc} | ({} if self.power_pin is None else {"power_pin": self.power_pin})


class Chip:
    """Drives an ADC pin."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        Bin(environment)
        self._config, self._pins, self._environment = config, pins, environment
        pins.attach_adc(config.adc, self.sample)

    def sample(self) -> int:
        """0..65535."""
        config = self._config
        if config.power_pin is not None and self._pins.pin(config.power_pin).level == 0:
            return 0
        kelvin = self._environment.get("bin_temperature_c") + 273.15
        ohm = config.ohm_25 * math.exp(config.beta_k * (1 / kelvin - 1 / 298.15))
        return round(65535 * ohm / (ohm + config.series_ohm))

    def state(self) -> dict[str, float]:
        """The last thing it would read."""
        return {"sample": self.sample()}
