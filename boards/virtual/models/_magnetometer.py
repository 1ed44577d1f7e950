# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What simulated magnetometers have in common: registers behind a pointer, and the field at a place of the road."""

from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.models._field import Field


class MagnetometerConfig(ModelConfig):
    """Bus, address and place along the road."""

    i2c: int
    address: int
    place_m: float = 0.0

    def place(self) -> tuple[str, int, int]:
        """Its address on the bus."""
        return ("i2c", self.i2c, self.address)


class Magnetometer:
    """*size* registers, a power of two, of them *writable* can be written, *results* are measured when read."""

    def __init__(
        self,
        environment: Environment,
        place_m: float,
        noise_nt: float,
        size: int,
        writable: range,
        results: range,
    ) -> None:
        self.field = Field(environment, place_m, noise_nt)
        self.registers = bytearray(size)
        self._mask, self._writable, self._results = size - 1, writable, results
        self._pointer = 0

    def write(self, data: bytes) -> None:
        """Pointer, then registers; results cannot be written."""
        if not data:
            return
        self._pointer = data[0] & self._mask
        for offset, value in enumerate(data[1:]):
            if self._pointer + offset in self._writable:
                self.registers[self._pointer + offset] = value

    def read(self, size: int) -> bytes:
        """From the pointer on."""
        if self._pointer in self._results:
            self.sample()
        return bytes(self.registers[(self._pointer + offset) & self._mask] for offset in range(size))

    def state(self) -> dict[str, float]:
        """What drove past."""
        return self.field.state()

    def sample(self) -> None:
        """Measure, when it is told to: fill the registers of the results."""
        raise NotImplementedError
