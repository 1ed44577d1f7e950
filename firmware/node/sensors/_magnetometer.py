# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What magnetometers on I2C have in common: found by a number of their own, set up once, then read in one go."""

import errno


class Magnetometer:
    """*who* is (register, its value), *setup* (register, bytes) in order, *out* (register, bytes of a reading)."""

    def __init__(self, i2c, address: int, who: tuple, setup: tuple, out: tuple) -> None:
        self._i2c = i2c
        self._address = address
        self._who = who
        self._setup = setup
        self._out = out[0]
        self._ready = False
        self._raw = bytearray(out[1])

    def read(self) -> bytearray:
        """Return the bytes of one reading, the same array each time. Raises OSError when the chip does not answer."""
        if not self._ready:
            if self._i2c.readfrom_mem(self._address, self._who[0], 1)[0] != self._who[1]:
                raise OSError(errno.ENODEV)
            for register, data in self._setup:
                self._i2c.writeto_mem(self._address, register, data)
            self._ready = True
        try:
            self._i2c.readfrom_mem_into(self._address, self._out, self._raw)
        except OSError:
            self._ready = False
            raise
        return self._raw
