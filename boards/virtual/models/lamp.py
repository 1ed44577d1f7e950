# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LED luminaire behind a relay and a PWM dimmer: what it draws from the mains."""

from typing import Literal

from pydantic import Field

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
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
    """Publishes load_power_w, load_current_a and load_energy_wh."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        self._config, self._pins, self._environment = config, pins, environment
        self._energy_ws = 0.0
        self._counted_s = environment.counted_s()
        self._power_since = 0.0
        pins.watch(config.relay_pin, self._changed)
        pins.watch(config.dim_pin, self._changed)
        environment.publish("load_power_w", self.power_w)
        environment.publish("load_current_a", self.current_a)
        environment.publish("load_energy_wh", self.energy_wh)

    @property
    def on(self) -> bool:
        """The relay is closed."""
        return self._pins.pin(self._config.relay_pin).level == 1

    @property
    def dim(self) -> float:
        """Light level asked for, 0..1."""
        return self._pins.duty(self._config.dim_pin)

    def power_w(self) -> float:
        """Active power now."""
        config = self._config
        return config.driver_w + (config.rated_w - config.driver_w) * self.dim if self.on else 0.0

    def current_a(self) -> float:
        """RMS current now."""
        return self.power_w() / (self._environment.get("mains_voltage_v") * self._config.power_factor)

    def energy_wh(self) -> float:
        """Energy since the board process started: of the scenario's hours, however fast they pass."""
        self._changed()
        return self._energy_ws / 3600.0

    def _changed(self) -> None:
        now_s = self._environment.counted_s()
        self._energy_ws += self._power_since * (now_s - self._counted_s)
        self._counted_s, self._power_since = now_s, self.power_w()

    def state(self) -> dict[str, float]:
        """Relay, dimming and power."""
        return {"on": float(self.on), "dim_pct": round(self.dim * 100, 2), "power_w": self.power_w()}
