# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""ST LIS3DH accelerometer on I2C: which way is down, and was it moved. 10 Hz, low power: 3 uA.

DS = ST LIS3DH data sheet rev. 2, chapter 8 for the registers, table 4 for the sensitivity in low-power mode (16 mg a
step at 2 g) and table 11 for the current; AN3308 section 6.3 for wake-up by the filtered axes.
"""

import errno

from machine import Pin

from firmware.node.config import board_int

USE = "tilt"

_WHO_AM_I, _LIS3DH = 0x0F, 0x33
_CTRL_REG1 = 0x20
_REFERENCE = 0x26
_OUT = 0x28
_INT1_CFG, _INT1_SRC, _INT1_THS, _INT1_DURATION = 0x30, 0x31, 0x32, 0x33
_INCREMENT = 0x80  # of the register's address: read or write on

# CTRL_REG1 to 6: 10 Hz low power, all axes; high-pass for interrupt 1; that on its pin; 2 g; latched; active high
_CONTROL = b"\x2f\x01\x40\x00\x08\x00"
_MOVED = b"\x2a"  # any axis above the threshold
_ACTIVE = 0x40
_STEP_MG = 16
_THRESHOLD_STEPS = 16  # 256 mg: a lid that is thrown open, not a lorry that passes


class Lis3dh:
    """*interrupt* is the pin of INT1, or None on a board that asks the chip now and then."""

    def __init__(self, i2c, address: int, interrupt) -> None:
        self._i2c = i2c
        self._address = address
        self._ready = False
        self._count = 0
        if interrupt is not None:
            interrupt.irq(self._moved, Pin.IRQ_RISING)

    def gravity_mg(self) -> tuple:
        """Return (x, y, z) in thousandths of g. Raises OSError when the chip does not answer."""
        self._begin()
        raw = self._i2c.readfrom_mem(self._address, _OUT | _INCREMENT, 6)
        return (_signed(raw[1]) * _STEP_MG, _signed(raw[3]) * _STEP_MG, _signed(raw[5]) * _STEP_MG)

    def motions(self) -> int:
        """Return how often it was moved since the last time, and arm it again. Raises OSError."""
        self._begin()
        source = self._i2c.readfrom_mem(self._address, _INT1_SRC, 1)[0]  # reading it lets the pin go
        count, self._count = self._count, 0
        return max(count, 1 if source & _ACTIVE else 0)

    def _moved(self, _pin) -> None:
        self._count += 1  # an interrupt: small integers only, nothing is allocated

    def _begin(self) -> None:
        if self._ready:
            return
        if self._i2c.readfrom_mem(self._address, _WHO_AM_I, 1)[0] != _LIS3DH:
            raise OSError(errno.ENODEV)
        self._i2c.writeto_mem(self._address, _CTRL_REG1 | _INCREMENT, _CONTROL)
        self._i2c.writeto_mem(self._address, _INT1_THS, bytes((_THRESHOLD_STEPS,)))
        self._i2c.writeto_mem(self._address, _INT1_DURATION, b"\x00")
        self._i2c.readfrom_mem(self._address, _REFERENCE, 1)  # the filter begins from here
        self._i2c.writeto_mem(self._address, _INT1_CFG, _MOVED)
        self._ready = True


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def open_sensor(entry: dict, i2c) -> Lis3dh:
    """Return the accelerometer on the board's I2C bus. Raises ConfigError."""
    interrupt = Pin(board_int(entry, "interrupt_pin"), Pin.IN) if "interrupt_pin" in entry else None
    return Lis3dh(i2c(), board_int(entry, "address", 0x19), interrupt)
