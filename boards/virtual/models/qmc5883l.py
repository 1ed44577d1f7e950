# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""QMC5883L magnetometer on I2C (QST data sheet 1.0): x, y, z low byte first from 0x00, status at 0x06.

Control 0x09: mode in bits 0 and 1, rate, range in bits 4 and 5 (2 or 8 gauss, 12000 or 3000 steps a gauss).
"""

import struct
from typing import Literal

from pydantic import Field as Limited

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models._magnetometer import Magnetometer, MagnetometerConfig
from boards.virtual.pins import PinBank

CONTROL_1, CHIP_ID, STATUS = 0x09, 0x0D, 0x06
_NOISE_NT = 200.0


class Config(MagnetometerConfig):
    """Bus, address and place along the road."""

    model: Literal["qmc5883l"]
    address: int = Limited(default=0x0D, ge=0x0D, le=0x0D)


class Chip(Magnetometer):
    """The sensor on its bus."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        super().__init__(environment, config.place_m, _NOISE_NT, 16, range(0x09, 0x0C), range(STATUS + 1))
        self.registers[CHIP_ID] = 0xFF
        buses.i2c[config.i2c].devices[config.address] = self

    def sample(self) -> None:
        """Once it is in continuous mode."""
        if self.registers[CONTROL_1] & 0x03 != 1:
            return
        per_nt = 0.03 if self.registers[CONTROL_1] & 0x30 else 0.12
        steps = [round(axis * per_nt) for axis in self.field.nt()]
        beyond = any(not -32768 <= step <= 32767 for step in steps)
        struct.pack_into("<hhh", self.registers, 0, *(max(-32768, min(32767, step)) for step in steps))
        self.registers[STATUS] = 0x01 | (0x02 if beyond else 0)
