# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""PNI RM3100 magnetometer on I2C, cycle count 200, about 150 Hz.

UM = PNI RM3100 user manual r09.0: section 5 for the registers, table 3-1 for 75 steps a microtesla at cycle count 200,
table 5-4 for the rates. Four of them fit one bus (addresses 0x20 to 0x23).
"""

from firmware.node.config import board_int
from firmware.node.sensors._magnetometer import Magnetometer

USE = "field"

_CMM, _CCX, _TMRC, _OUT, _REVID = 0x01, 0x04, 0x0B, 0x24, 0x36
_REVISION = 0x22
_CYCLES = b"\x00\xc8\x00\xc8\x00\xc8"
_RATE_150_HZ = b"\x94"
_CONTINUOUS = b"\x71"  # x, y and z


class Rm3100(Magnetometer):
    """*address* 0x20 to 0x23, as two pins say."""

    def __init__(self, i2c, address: int) -> None:
        setup = (_CCX, _CYCLES), (_TMRC, _RATE_150_HZ), (_CMM, _CONTINUOUS)
        super().__init__(i2c, address, (_REVID, _REVISION), setup, (_OUT, 9))

    def field_nt(self) -> tuple:
        """Return (x, y, z) in nanotesla. Raises OSError when the chip does not answer."""
        raw = self.read()
        return (_nt(raw, 0), _nt(raw, 3), _nt(raw, 6))


def _nt(raw: bytearray, at: int) -> int:
    value = raw[at] << 16 | raw[at + 1] << 8 | raw[at + 2]
    return (value - 0x1000000 if value > 0x7FFFFF else value) * 40 // 3


def open_sensor(entry: dict, i2c) -> Rm3100:
    """Return the magnetometer on the board's I2C bus. Raises ConfigError."""
    return Rm3100(i2c(), board_int(entry, "address", 0x20))
