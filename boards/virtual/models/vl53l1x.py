# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""VL53L1X on I2C: registers of 16-bit addresses, and a range of what it sees in the bin.

From ST's UM2510 and the register names of its driver: model id at 0x010F, boot state at 0x00E5, start and stop at
0x0087, data ready in bit 0 of 0x0031 (its level is chosen by bit 4 of 0x0030), cleared by 0x0086, raw status at 0x0089
(9 is good, 4 is a signal too weak), range in mm at 0x0096. A chip that starts without its settings ranges nothing.
"""

import random
from typing import Literal

from pydantic import Field

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.models._bin import Bin
from boards.virtual.pins import PinBank

MODEL_ID, SYSTEM_STATUS, INTERRUPT_CLEAR, MODE_START = 0x010F, 0x00E5, 0x0086, 0x0087
GPIO_MUX, TIO_HV_STATUS, RANGE_STATUS, RANGE = 0x0030, 0x0031, 0x0089, 0x0096
ROI_SIZE, TIMEOUT_A = 0x0080, 0x005E
VALID, WEAK = 9, 4
RANGING_S = 0.1
START = 0x40
FARTHEST_MM = 4000
NOISE_MM = 5.0


class Config(ModelConfig):
    """Bus and address."""

    model: Literal["vl53l1x"]
    i2c: int
    address: int = Field(default=0x29, ge=0x08, le=0x77)

    def place(self) -> tuple[str, int, int]:
        """Its address on the bus."""
        return ("i2c", self.i2c, self.address)


class Chip:
    """The sensor on its bus."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        self._environment = environment
        self._bin = Bin(environment)
        self._rng = random.Random(f"{environment.scenario.seed}/tof")
        self._registers = bytearray(0x0200)
        self._registers[MODEL_ID : MODEL_ID + 2] = b"\xea\xcc"
        self._registers[SYSTEM_STATUS] = 3
        self._index = 0
        self._ready_s: float | None = None
        buses.i2c[config.i2c].devices[config.address] = self

    def write(self, data: bytes) -> None:
        """Two bytes of index, then what follows goes to the registers from there on."""
        if len(data) < 2:
            return
        self._index = (data[0] << 8 | data[1]) % len(self._registers)
        for offset, value in enumerate(data[2:]):
            register = self._index + offset
            if register < len(self._registers):
                self._registers[register] = value
                self._written(register, value)

    def read(self, size: int) -> bytes:
        """From the index on."""
        self._refresh()
        data = bytes(self._registers[self._index : self._index + size])
        self._index = (self._index + size) % len(self._registers)
        return data.ljust(size, b"\x00")

    def state(self) -> dict[str, float]:
        """The last range."""
        return {"last_mm": int.from_bytes(self._registers[RANGE : RANGE + 2], "big")}

    def _written(self, register: int, value: int) -> None:
        ranging = self._registers[MODE_START] == START
        if register == MODE_START and value == START and self._configured():
            self._ready_s = self._environment.now_s() + RANGING_S
        elif register == MODE_START and value != START:
            self._ready_s = None
        elif register == INTERRUPT_CLEAR and value == 1 and ranging:
            self._ready_s = self._environment.now_s() + RANGING_S

    def _configured(self) -> bool:
        return self._registers[ROI_SIZE] != 0 and self._registers[TIMEOUT_A] != 0

    def _refresh(self) -> None:
        ready = self._ready_s is not None and self._environment.now_s() >= self._ready_s
        active = 0 if self._registers[GPIO_MUX] & 0x10 else 1
        self._registers[TIO_HV_STATUS] = 0x02 | (active if ready else 1 - active)
        if ready and self._ready_s is not None and self._ready_s > 0:
            self._measure()
            self._ready_s = 0.0  # ready until it is cleared

    def _measure(self) -> None:
        dirt = self._environment.get("tof_dirt")
        mm = self._bin.distance_mm() * (1 - 0.8 * dirt) + self._rng.gauss(0.0, NOISE_MM * (1 + 10 * dirt))
        weak = mm > FARTHEST_MM or self._rng.random() < 0.01 + 0.3 * dirt
        self._registers[RANGE_STATUS] = WEAK if weak else VALID
        self._registers[RANGE : RANGE + 2] = max(0, min(8191, round(mm))).to_bytes(2, "big")
