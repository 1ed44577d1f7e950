# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LIS3DH accelerometer on I2C (ST data sheet rev. 2, chapter 8): gravity, and whether it was moved.

Bit 7 of the register's address makes it count up. Output is 8 bits, left-justified, in low-power mode: 16 mg a step at
2 g. INT1_SRC tells of a movement once and forgets it when it is read, as LIR_INT1 asks for. The pin of INT1 is not
driven: a test moves it by hand.
"""

import math
import random
from typing import Literal

from pydantic import Field

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.models._bin import Bin
from boards.virtual.pins import PinBank

WHO_AM_I, CTRL_REG1, CTRL_REG4, OUT_X_L = 0x0F, 0x20, 0x23, 0x28
INT1_CFG, INT1_SRC, INT1_THS = 0x30, 0x31, 0x32
ACTIVE = 0x40
STEP_MG = 16.0
NOISE_MG = 10.0


class Config(ModelConfig):
    """Bus and address."""

    model: Literal["lis3dh"]
    i2c: int
    address: int = Field(default=0x19, ge=0x18, le=0x19)

    def place(self) -> tuple[str, int, int]:
        """Its address on the bus."""
        return ("i2c", self.i2c, self.address)


class Chip:
    """The sensor on its bus; its z axis points up while the bin stands."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        Bin(environment)
        self._environment = environment
        self._rng = random.Random(f"{environment.scenario.seed}/tilt")
        self._registers = bytearray(0x40)
        self._registers[WHO_AM_I], self._registers[CTRL_REG1] = 0x33, 0x07
        self._pointer = 0
        self._told = environment.get("lid_openings")
        buses.i2c[config.i2c].devices[config.address] = self

    def write(self, data: bytes) -> None:
        """Pointer, then what the registers take."""
        if not data:
            return
        self._pointer = data[0]
        for offset, value in enumerate(data[1:]):
            register = (self._pointer & 0x3F) + (offset if self._pointer & 0x80 else 0)
            if 0x1E <= register < INT1_SRC or register > INT1_SRC:
                self._registers[register & 0x3F] = value

    def read(self, size: int) -> bytes:
        """From the pointer on, or the same register over and over."""
        first = self._pointer & 0x3F
        if first <= OUT_X_L + 5 and first + size > OUT_X_L:
            self._sample()
        if first == INT1_SRC:
            return bytes([self._source()]) * size
        if not self._pointer & 0x80:
            return bytes([self._registers[first]]) * size
        return bytes(self._registers[(first + offset) & 0x3F] for offset in range(size))

    def state(self) -> dict[str, float]:
        """What z shows."""
        return {"tilt_deg": self._environment.get("bin_tilt_deg")}

    def _sample(self) -> None:
        if not self._registers[CTRL_REG1] & 0xF0:  # power-down
            return
        angle = math.radians(self._environment.get("bin_tilt_deg"))
        pull = (math.sin(angle) * 1000.0, 0.0, math.cos(angle) * 1000.0)
        for axis, mg in enumerate(pull):
            steps = max(-128, min(127, round((mg + self._rng.gauss(0.0, NOISE_MG)) / STEP_MG)))
            self._registers[OUT_X_L + 2 * axis + 1] = steps & 0xFF

    def _source(self) -> int:
        openings = self._environment.get("lid_openings")
        moved, self._told = openings > self._told, openings
        armed = self._registers[INT1_CFG] and self._registers[INT1_THS]
        return ACTIVE if moved and armed else 0
