# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LM75-family temperature sensor (TI LM75B / NXP LM75BD data sheets, register set of the LM75B).

Registers by pointer: 0 temperature (11 bits, 0.125 C, left-justified in 2 bytes), 1 configuration, 2 hysteresis,
3 over-temperature.
The thermostat output is not modelled.
"""

import math
import struct
from typing import Literal

from pydantic import Field

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.pins import PinBank

TEMPERATURE, CONFIGURATION, HYSTERESIS, OVER_TEMPERATURE = range(4)
SHUTDOWN = 0x01


class Config(ModelConfig):
    """Bus and address."""

    model: Literal["lm75"]
    i2c: int
    address: int = Field(ge=0x48, le=0x4F)

    def place(self) -> tuple[str, int, int]:
        """Its address on the bus."""
        return ("i2c", self.i2c, self.address)


def encode_temperature(temperature_c: float) -> bytes:
    """Register 0: two's complement in steps of 0.125 C from bit 5 up, limited to -55..125 C."""
    steps = math.floor(max(-55.0, min(125.0, temperature_c)) / 0.125 + 0.5)
    return struct.pack(">h", steps << 5)


class Chip:
    """The sensor on its bus; reads temperature_c."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        self._environment = environment
        self._pointer = TEMPERATURE
        # Power-on values: 75 C and 80 C.
        self._registers = {
            TEMPERATURE: encode_temperature(0.0),
            CONFIGURATION: b"\x00",
            HYSTERESIS: struct.pack(">h", 75 << 8),
            OVER_TEMPERATURE: struct.pack(">h", 80 << 8),
        }
        buses.i2c[config.i2c].devices[config.address] = self

    def write(self, data: bytes) -> None:
        """Pointer byte, then what the register takes; register 0 is read-only."""
        if not data:
            return
        self._pointer = data[0] & 0x03
        if self._pointer != TEMPERATURE and len(data) > 1:
            size = len(self._registers[self._pointer])
            self._registers[self._pointer] = data[1 : 1 + size].ljust(size, b"\x00")

    def read(self, size: int) -> bytes:
        """The register that the pointer names, over and over. In shutdown the last temperature stays."""
        if self._pointer == TEMPERATURE and not self._registers[CONFIGURATION][0] & SHUTDOWN:
            self._registers[TEMPERATURE] = encode_temperature(self._environment.get("temperature_c"))
        value = self._registers[self._pointer]
        return (value * (size // len(value) + 1))[:size]

    def state(self) -> dict[str, float]:
        """The temperature register, in Celsius."""
        return {"temperature_c": struct.unpack(">h", self._registers[TEMPERATURE])[0] / 256}
