# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The contact of a pole's door: it closes to ground while the door is shut."""

import asyncio
from typing import Literal

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.models._pole import Pole
from boards.virtual.pins import PinBank

_LOOK_S = 0.2


class Config(ModelConfig):
    """Its pin."""

    model: Literal["door"]
    pin: int

    def gpio(self) -> dict[str, int]:
        """The pin."""
        return {"pin": self.pin}


class Chip:
    """Drives its pin; needs a running event loop."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        Pole(environment)
        self._pin, self._pins, self._environment = config.pin, pins, environment
        self._timer: asyncio.TimerHandle | None = None
        pins.pin(config.pin).driven_outside = True
        self._look()

    def power(self, on: bool) -> None:
        """A contact needs none, but nobody looks without."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if on:
            self._again()

    def state(self) -> dict[str, float]:
        """Whether it stands open."""
        return {"open": float(self._environment.get("door_open") >= 0.5)}

    def _again(self) -> None:
        self._look()
        self._timer = asyncio.get_running_loop().call_later(_LOOK_S, self._again)

    def _look(self) -> None:
        level = int(self._environment.get("door_open") >= 0.5)
        if self._pins.pin(self._pin).external != level:
            self._pins.drive(self._pin, level)
