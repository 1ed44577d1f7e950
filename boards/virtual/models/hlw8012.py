# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""HLW8012 and BL0937 energy meters: what they measure, as frequencies of square waves.

CF is the active power, CF1 voltage or current as SEL says. HLW8012 (user manual 1.1): fosc 3.579 MHz, Vref 2.43 V,
CF = 48 V1 V2 / Vref^2 fosc / 128, CF1 = 24 V1 / Vref fosc / 512 or 2 V2 / Vref fosc / 512. BL0937 (data sheet V1.02):
Vref 1.218 V, CF = 1721506 V1 V2 / Vref^2, CF1 = 94638 V1 / Vref or 15397 V2 / Vref. V1 is at the shunt, V2
at the divider.
"""

import asyncio
from typing import Literal

from pydantic import Field

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.pins import PinBank
from boards.virtual.pulses import NEVER_BEGAN

FOSC_HZ = 3_579_000
CONSTANTS = {
    "hlw8012": (48 / 2.43**2 * FOSC_HZ / 128, 24 / 2.43 * FOSC_HZ / 512, 2 / 2.43 * FOSC_HZ / 512),
    "bl0937": (1_721_506 / 1.218**2, 94_638 / 1.218, 15_397 / 1.218),
}
_STEP_S = 0.25  # the load is looked at so often at least


class Config(ModelConfig):
    """Pins and the resistors around the chip."""

    model: Literal["hlw8012"]
    chip: Literal["hlw8012", "bl0937"] = "hlw8012"
    cf_pin: int
    cf1_pin: int
    sel_pin: int
    shunt_mohm: float = Field(gt=0)
    upper_ohm: float = Field(gt=0)
    lower_ohm: float = Field(gt=0)

    def gpio(self) -> dict[str, int]:
        """Its pins."""
        return {"cf_pin": self.cf_pin, "cf1_pin": self.cf1_pin, "sel_pin": self.sel_pin}


class Chip:
    """Drives CF and CF1; needs a running event loop."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        self._config, self._pins, self._environment = config, pins, environment
        self._timers: list[asyncio.TimerHandle | None] = [None, None]
        self._phases = [0.0, 0.0]
        for pin in (config.cf_pin, config.cf1_pin):
            pins.pin(pin).driven_outside = True
            pins.drive(pin, 0)
        pins.pulses.sources[config.cf1_pin] = self._half_period_us
        self._powered = self._shows_voltage = False
        pins.watch(config.sel_pin, self._selected)

    def power(self, on: bool) -> None:
        """It lives on the mains side of the board's supply."""
        self._powered = on
        for which in (0, 1):
            self._begin(which)

    def _begin(self, which: int) -> None:
        timer = self._timers[which]
        if timer is not None:
            timer.cancel()
        if self._powered:
            self._step(which, asyncio.get_running_loop().time())

    def _selected(self) -> None:
        shows_voltage = self._pins.pin(self._config.sel_pin).level == 1
        if shows_voltage != self._shows_voltage:
            self._shows_voltage = shows_voltage
            self._begin(1)

    def frequencies_hz(self) -> tuple[float, float]:
        """Of CF and CF1 now."""
        config, get = self._config, self._environment.get
        power, current, voltage = CONSTANTS[config.chip]
        at_shunt = config.shunt_mohm / 1000.0
        at_divider = config.lower_ohm / (config.upper_ohm + config.lower_ohm)
        cf = power * get("load_power_w") * at_shunt * at_divider
        if self._pins.pin(config.sel_pin).level:
            return cf, voltage * get("mains_voltage_v") * at_divider
        return cf, current * get("load_current_a") * at_shunt

    def state(self) -> dict[str, float]:
        """Both frequencies."""
        cf, cf1 = self.frequencies_hz()
        return {"cf_hz": cf, "cf1_hz": cf1}

    def _half_period_us(self, level: int, timeout_us: int) -> tuple[int, int]:
        hz = self.frequencies_hz()[1]
        half = round(500_000 / hz) if hz > 0 else timeout_us + 1
        return (half, half) if half <= timeout_us else (NEVER_BEGAN, timeout_us)

    def _step(self, which: int, since_s: float) -> None:
        """Go on with a square wave; CF1 as a voltage is too fast for edges, and is measured by its pulses."""
        clock = asyncio.get_running_loop()
        now_s = clock.time()
        hz = self.frequencies_hz()[which]
        if which and self._shows_voltage:
            return
        self._phases[which] += 2 * hz * (now_s - since_s)
        if self._phases[which] >= 1.0 - 1e-6:
            self._phases[which] = max(0.0, self._phases[which] - 1.0) % 1.0
            pin = (self._config.cf_pin, self._config.cf1_pin)[which]
            self._pins.drive(pin, 1 - (self._pins.pin(pin).external or 0))
        wait_s = min(_STEP_S, (1.0 - self._phases[which]) / (2 * hz)) if hz > 0 else _STEP_S
        self._timers[which] = clock.call_later(wait_s, self._step, which, now_s)
