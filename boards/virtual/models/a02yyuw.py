# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A02YYUW: speaks ten times a second by itself, from 0.3 s after its supply came on (data sheet A02 V2.0)."""

from typing import Literal

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models._ranger import Ranger, RangerConfig
from boards.virtual.pins import PinBank

_PERIOD_S = 0.1
_START_S = 0.2


class Config(RangerConfig):
    """UART and supply."""

    model: Literal["a02yyuw"]


class Chip(Ranger):
    """Reads the bin's content."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        super().__init__(config, pins, buses, environment)
        self._next_s = environment.now_s() + _START_S
        if config.power_pin is not None:
            pins.watch(config.power_pin, self._switched)

    def said(self, now_s: float) -> list[tuple[float, bytes]]:
        """The frames since the last time, at most a second of them: more nobody hears."""
        said = []
        self._next_s = max(self._next_s, now_s - 1.0)
        while self._next_s <= now_s:
            if self.powered:
                said.append((self._next_s, self.frame()))
            self._next_s += _PERIOD_S
        return said

    def _switched(self) -> None:
        if not self.powered:
            self._next_s = self._environment.now_s() + _START_S
