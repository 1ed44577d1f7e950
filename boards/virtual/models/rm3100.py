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
from boards.virtual.models import ModelConfig
from boards.virtual.models._field import Field
from boards.virtual.pins import PinBank

CMM, CCX, OUT, STATUS, REVID = 0x01, 0x04, 0x24, 0x34, 0x36
_NOISE_NT = 15.0


class Config(ModelConfig):
    """Bus, address and place along the road."""

    model: Literal["rm3100"]
    i2c: int
    address: int = Limited(default=0x20, ge=0x20, le=0x23)
    place_m: float = 0.0

    def place(self) -> tuple[str, int, int]:
        """Its address on the bus."""
        return ("i2c", self.i2c, self.address)


class Chip:
    """The sensor on its bus."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        self._field = Field(environment, config.place_m, _NOISE_NT)
        self._registers = bytearray(0x40)
        self._registers[REVID] = 0x22
        for axis in range(3):
            self._registers[CCX + 2 * axis + 1] = 200
        self._pointer = 0
        buses.i2c[config.i2c].devices[config.address] = self

    def write(self, data: bytes) -> None:
        """Pointer, then registers; results cannot be written."""
        if not data:
            return
        self._pointer = data[0] & 0x3F
        for offset, value in enumerate(data[1:]):
            if self._pointer + offset < OUT:
                self._registers[self._pointer + offset] = value

    def read(self, size: int) -> bytes:
        """From the pointer on."""
        if OUT <= self._pointer < OUT + 9 and self._registers[CMM] & 0x01:
            self._sample()
        return bytes(self._registers[(self._pointer + offset) & 0x3F] for offset in range(size))

    def state(self) -> dict[str, float]:
        """What drove past."""
        return self._field.state()

    def _sample(self) -> None:
        for axis, nt in enumerate(self._field.nt()):
            cycles = self._registers[CCX + 2 * axis] << 8 | self._registers[CCX + 2 * axis + 1]
            per_ut = 75.0 if cycles == 200 else 0.3671 * cycles + 1.5
            value = round(nt / 1000.0 * per_ut) & 0xFFFFFF
            self._registers[OUT + 3 * axis : OUT + 3 * axis + 3] = value.to_bytes(3, "big")
        self._registers[STATUS] = 0x80
