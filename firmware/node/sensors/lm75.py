# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Temperature sensors of the LM75 family with 11 bits (LM75A, LM75B, PCT2075) on I2C.

DS = NXP LM75B data sheet, rev. 6.1, section 7.4.2 (temperature register).
"""

_TEMPERATURE = 0x00  # pointer value, DS table 7
_STEP_C = 0.125


class Lm75:
    """*i2c* is a machine.I2C, *address* 0x48 to 0x4F."""

    def __init__(self, i2c, address: int) -> None:
        self._i2c = i2c
        self._address = address

    def temperature_c(self) -> float:
        """Return degrees Celsius, -55 to 125. Raises OSError when the chip does not answer."""
        return decode(self._i2c.readfrom_mem(self._address, _TEMPERATURE, 2))


def decode(raw: bytes) -> float:
    """Return degrees Celsius from the register's two bytes: 11 bits, two's complement, left aligned."""
    steps = (raw[0] << 8 | raw[1]) >> 5
    if steps >= 1024:
        steps -= 2048
    return steps * _STEP_C
