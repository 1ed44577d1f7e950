# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""PNI RM3100 magnetometer on I2C, cycle count 200, about 150 Hz.

UM = PNI RM3100 user manual r09.0: section 5 for the registers, table 3-1 for 75 steps a microtesla at cycle count 200,
table 5-4 for the rates. Four of them fit one bus (addresses 0x20 to 0x23).
"""

import errno

from firmware.node.config import board_int

USE = "field"

_CMM, _CCX, _TMRC, _OUT, _REVID = 0x01, 0x04, 0x0B, 0x24, 0x36
_REVISION = 0x22
_CYCLES = b"\x00\xc8\x00\xc8\x00\xc8"
_RATE_150_HZ = b"\x94"
_CONTINUOUS = b"\x71"  # x, y and z


class Rm3100:
    """*address* 0x20 to 0x23, as two pins say."""

    def __init__(self, i2c, address: int) -> None:
        self._i2c = i2c
        self._address = address
        self._ready = False
        self._raw = bytearray(9)

    def field_nt(self) -> tuple:
        """Return (x, y, z) in nanotesla. Raises OSError when the chip does not answer."""
        if not self._ready:
            self._begin()
        raw = self._raw
        try:
            self._i2c.readfrom_mem_into(self._address, _OUT, raw)
        except OSError:
            self._ready = False
            raise
        return (_nt(raw, 0), _nt(raw, 3), _nt(raw, 6))

    def _begin(self) -> None:
        if self._i2c.readfrom_mem(self._address, _REVID, 1)[0] != _REVISION:
            raise OSError(errno.ENODEV)
        self._i2c.writeto_mem(self._address, _CCX, _CYCLES)
        self._i2c.writeto_mem(self._address, _TMRC, _RATE_150_HZ)
        self._i2c.writeto_mem(self._address, _CMM, _CONTINUOUS)
        self._ready = True


def _nt(raw: bytearray, at: int) -> int:
    value = raw[at] << 16 | raw[at + 1] << 8 | raw[at + 2]
    return (value - 0x1000000 if value > 0x7FFFFF else value) * 40 // 3


def open_sensor(entry: dict, i2c) -> Rm3100:
    """Return the magnetometer on the board's I2C bus. Raises ConfigError."""
    return Rm3100(i2c(), board_int(entry, "address", 0x20))
