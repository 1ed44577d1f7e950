# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LIS3DH accelerometer on I2C (ST data sheet rev. 2, chapter 8): gravity, and whether it was moved.

Bit 7 of the register's address makes it count up. Output is 8 bits, left-justified, in low-power mode: 16 mg a step at
2 g. INT1_SRC tells of a movement once and forgets it when it is read, as LIR_INT1 asks for. INT1 rises with it, where
it is wired (CTRL_REG3 routes it there).
"""

import asyncio
import math
import random
from typing import Literal

from pydantic import Field

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.models._bin import Bin
from boards.virtual.models._pole import Pole
from boards.virtual.pins import PinBank

WHO_AM_I, CTRL_REG1, CTRL_REG3, CTRL_REG4, OUT_X_L = 0x0F, 0x20, 0x22, 0x23, 0x28
INT1_CFG, INT1_SRC, INT1_THS = 0x30, 0x31, 0x32
ACTIVE = 0x40
I1_IA1 = 0x40  # of CTRL_REG3
LOOK_S = 5.0
STEP_MG = 16.0
NOISE_MG = 10.0


class Config(ModelConfig):
    """Bus and address, what it is screwed to, and where INT1 is wired."""

    model: Literal["lis3dh"]
    i2c: int
    address: int = Field(default=0x19, ge=0x18, le=0x19)
    on: Literal["bin", "pole"] = "bin"
    int1_pin: int | None = None

    def gpio(self) -> dict[str, int]:
        """INT1."""
        return {} if self.int1_pin is None else {"int1_pin": self.int1_pin}

    def place(self) -> tuple[str, int, int]:
        """Its address on the bus."""
        return ("i2c", self.i2c, self.address)


class Chip:
    """The sensor on its bus; its z axis points up while all is well."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        (Bin if config.on == "bin" else Pole)(environment)
        self._tilt, self._moves = f"{config.on}_tilt_deg", "lid_openings" if config.on == "bin" else ""
        self._config, self._pins, self._environment = config, pins, environment
        self._timer: asyncio.TimerHandle | None = None
        self._rng = random.Random(f"{environment.scenario.seed}/tilt")
        self._registers = bytearray(0x40)
        self._registers[WHO_AM_I], self._registers[CTRL_REG1] = 0x33, 0x07
        self._pointer = 0
        self._told = self._moved()
        if config.int1_pin is not None:
            pins.pin(config.int1_pin).driven_outside = True
            pins.drive(config.int1_pin, 0)
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
        return {"tilt_deg": self._environment.get(self._tilt)}

    def _sample(self) -> None:
        if not self._registers[CTRL_REG1] & 0xF0:  # power-down
            return
        angle = math.radians(self._environment.get(self._tilt))
        pull = (math.sin(angle) * 1000.0, 0.0, math.cos(angle) * 1000.0)
        for axis, mg in enumerate(pull):
            steps = max(-128, min(127, round((mg + self._rng.gauss(0.0, NOISE_MG)) / STEP_MG)))
            self._registers[OUT_X_L + 2 * axis + 1] = steps & 0xFF

    def power(self, on: bool) -> None:
        """INT1 rises by itself; needs a running event loop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if on and self._config.int1_pin is not None:
            self._look()

    def _moved(self) -> float:
        return self._environment.get(self._moves) if self._moves else 0.0

    def _armed(self) -> bool:
        return bool(self._registers[INT1_CFG] and self._registers[INT1_THS])

    def _look(self) -> None:
        wired = self._registers[CTRL_REG3] & I1_IA1
        if wired and self._armed() and self._moved() > self._told:
            self._pins.drive(self._config.int1_pin or 0, 1)
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _source(self) -> int:
        moves = self._moved()
        moved, self._told = moves > self._told, moves
        if self._config.int1_pin is not None:
            self._pins.drive(self._config.int1_pin, 0)
        return ACTIVE if moved and self._armed() else 0
