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
from boards.virtual.models import ModelConfig
from boards.virtual.models._field import Field
from boards.virtual.pins import PinBank

CONTROL_1, CHIP_ID, STATUS = 0x09, 0x0D, 0x06
_NOISE_NT = 200.0


class Config(ModelConfig):
    """Bus, address and place along the road."""

    model: Literal["qmc5883l"]
    i2c: int
    address: int = Limited(default=0x0D, ge=0x0D, le=0x0D)
    place_m: float = 0.0

    def place(self) -> tuple[str, int, int]:
        """Its address on the bus."""
        return ("i2c", self.i2c, self.address)


class Chip:
    """The sensor on its bus."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        self._field = Field(environment, config.place_m, _NOISE_NT)
        self._registers = bytearray(16)
        self._registers[CHIP_ID] = 0xFF
        self._pointer = 0
        buses.i2c[config.i2c].devices[config.address] = self

    def write(self, data: bytes) -> None:
        """Pointer, then registers."""
        if not data:
            return
        self._pointer = data[0] & 0x0F
        for offset, value in enumerate(data[1:]):
            if 0x09 <= self._pointer + offset <= 0x0B:
                self._registers[self._pointer + offset] = value

    def read(self, size: int) -> bytes:
        """From the pointer on."""
        if self._pointer <= STATUS and self._registers[CONTROL_1] & 0x03 == 1:
            self._sample()
        return bytes(self._registers[(self._pointer + offset) & 0x0F] for offset in range(size))

    def state(self) -> dict[str, float]:
        """What drove past."""
        return self._field.state()

    def _sample(self) -> None:
        per_nt = 0.03 if self._registers[CONTROL_1] & 0x30 else 0.12
        steps = [round(axis * per_nt) for axis in self._field.nt()]
        beyond = any(not -32768 <= step <= 32767 for step in steps)
        struct.pack_into("<hhh", self._registers, 0, *(max(-32768, min(32767, step)) for step in steps))
        self._registers[STATUS] = 0x01 | (0x02 if beyond else 0)
