# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""QST QMC5883L magnetometer on I2C, 200 Hz, 2 gauss.

DS = QMC5883L data sheet 1.0, chapter 9 for the registers, table 2 for 12000 steps a gauss (1 gauss is 100000 nT).
"""

import errno

from firmware.node.config import board_int
from firmware.node.sensors._magnetometer import Magnetometer

USE = "field"

_OUT = 0x00  # x, y, z, low byte first, then the status
_CONTROL_1, _SET_PERIOD, _CHIP_ID = 0x09, 0x0B, 0x0D
_CONTINUOUS = b"\x0d"  # 512 samples a value, 2 G, 200 Hz, continuous
_ID = 0xFF
_OVERFLOW = 0x02


class Qmc5883l(Magnetometer):
    """*address* is 0x0D, and only that: two of them need two buses."""

    def __init__(self, i2c, address: int) -> None:
        setup = (_SET_PERIOD, b"\x01"), (_CONTROL_1, _CONTINUOUS)  # DS section 9.2.5: the period is recommended
        super().__init__(i2c, address, (_CHIP_ID, _ID), setup, (_OUT, 7))

    def field_nt(self) -> tuple:
        """Return (x, y, z) in nanotesla. Raises OSError when the chip does not answer, or its range is exceeded."""
        raw = self.read()
        if raw[6] & _OVERFLOW:
            raise OSError(errno.ERANGE if hasattr(errno, "ERANGE") else errno.EIO)
        return (_nt(raw, 0), _nt(raw, 2), _nt(raw, 4))


def _nt(raw: bytearray, at: int) -> int:
    value = raw[at] | raw[at + 1] << 8
    return (value - 65536 if value > 32767 else value) * 25 // 3


def open_sensor(entry: dict, i2c) -> Qmc5883l:
    """Return the magnetometer on the board's I2C bus. Raises ConfigError."""
    return Qmc5883l(i2c(), board_int(entry, "address", 0x0D))
