# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LED luminaire behind a relay and a PWM dimmer: what it draws from the mains."""

from typing import Literal

from pydantic import Field

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.models._load import Load
from boards.virtual.pins import PinBank


class Config(ModelConfig):
    """Pins and electrical data; a lamp that is on and dimmed to 0 draws driver_w."""

    model: Literal["lamp"]
    relay_pin: int
    dim_pin: int
    rated_w: float = Field(gt=0)
    driver_w: float = Field(ge=0)
    power_factor: float = Field(gt=0, le=1)

    def gpio(self) -> dict[str, int]:
        """Both pins."""
        return {"relay_pin": self.relay_pin, "dim_pin": self.dim_pin}


class Chip:
    """The luminaire; _load.py has what it publishes and how it fails."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        self._config, self._pins = config, pins
        data = (config.rated_w, config.driver_w, config.power_factor)
        self.load = Load(data, environment, lambda: self.dim if self.on else None)
        pins.watch(config.relay_pin, self.load.changed)
        pins.watch(config.dim_pin, self.load.changed)

    @property
    def on(self) -> bool:
        """The relay is closed."""
        return self._pins.pin(self._config.relay_pin).level == 1

    @property
    def dim(self) -> float:
        """Light level asked for, 0..1."""
        return self._pins.duty(self._config.dim_pin)

    def energy_wh(self) -> float:
        """Energy since the board process started."""
        return self.load.energy_wh()

    def state(self) -> dict[str, float]:
        """Relay, dimming, light and power."""
        return {
            "on": float(self.on),
            "dim_pct": round(self.dim * 100, 2),
            "lit": float(self.load.lit()),
            "power_w": self.load.power_w(),
        }
