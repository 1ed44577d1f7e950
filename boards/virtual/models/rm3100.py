# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""PNI RM3100 magnetometer on I2C (user manual r09.0): three axes of 24 bits from 0x24, 0x36 holds the revision.

Steps per microtesla are 0.3671 times the cycle count plus 1.5; at 200 the manual's table says 75. It measures when 0x01
asks for continuous measurement.
"""

from typing import Literal

from pydantic import Field as Limited

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models._magnetometer import Magnetometer, MagnetometerConfig
from boards.virtual.pins import PinBank

CMM, CCX, OUT, STATUS, REVID = 0x01, 0x04, 0x24, 0x34, 0x36
_NOISE_NT = 15.0


class Config(MagnetometerConfig):
    """Bus, address and place along the road."""

    model: Literal["rm3100"]
    address: int = Limited(default=0x20, ge=0x20, le=0x23)


class Chip(Magnetometer):
    """The sensor on its bus."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        super().__init__(environment, config.place_m, _NOISE_NT, 0x40, range(OUT), range(OUT, OUT + 9))
        self.registers[REVID] = 0x22
        for axis in range(3):
            self.registers[CCX + 2 * axis + 1] = 200
        buses.i2c[config.i2c].devices[config.address] = self

    def sample(self) -> None:
        """Once it is in continuous mode."""
        if not self.registers[CMM] & 0x01:
            return
        for axis, nt in enumerate(self.field.nt()):
            cycles = self.registers[CCX + 2 * axis] << 8 | self.registers[CCX + 2 * axis + 1]
            per_ut = 75.0 if cycles == 200 else 0.3671 * cycles + 1.5
            value = round(nt / 1000.0 * per_ut) & 0xFFFFFF
            self.registers[OUT + 3 * axis : OUT + 3 * axis + 3] = value.to_bytes(3, "big")
        self.registers[STATUS] = 0x80
