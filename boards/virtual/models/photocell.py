# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Photocell with a linear amplifier on an ADC pin: 0 lx reads 0, full_scale_lx reads 65535."""

from typing import Literal

from pydantic import Field

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.pins import PinBank


class Config(ModelConfig):
    """Where it sits and what it can see."""

    model: Literal["photocell"]
    adc: int
    full_scale_lx: float = Field(gt=0)

    def gpio(self) -> dict[str, int]:
        """The ADC pin."""
        return {"adc": self.adc}


class Chip:
    """Drives an ADC pin from illuminance_lx."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        self._full_scale_lx, self._environment = config.full_scale_lx, environment
        pins.attach_adc(config.adc, self.sample)

    def sample(self) -> int:
        """0..65535; saturates."""
        lux = self._environment.get("illuminance_lx")
        return max(0, min(65535, round(lux / self._full_scale_lx * 65535)))

    def state(self) -> dict[str, float]:
        """The last thing it would read."""
        return {"sample": self.sample()}
