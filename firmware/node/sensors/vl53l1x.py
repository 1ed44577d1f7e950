# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""ST VL53L1X time-of-flight range finder on I2C, registers with addresses of 16 bits.

UM = ST UM2510 (ultra lite driver), for the order of the calls and the meaning of the range status; the settings that
must be written after each start, since the chip does not bring them, are those of that driver's default: 4 m in the
dark, 100 ms per range. They are held here as (register, values) without the zeros that a reset leaves.
"""

import asyncio
import errno

from firmware.node.config import board_int

USE = "range"

_MODEL_ID = 0x010F
_MODEL = b"\xea\xcc"
_SYSTEM_STATUS = 0x00E5
_INTERRUPT_CLEAR = 0x0086
_MODE_START = 0x0087
_TIO_HV_STATUS = 0x0031
_RESULT = 0x0089
_RESULT_BYTES = 15
_RANGE_AT = 0x0096 - _RESULT
_VALID = 9  # raw value of the status register for a good range, UM section 3.2

_START, _STOP = b"\x40", b"\x00"
_BOOT_MS = 50
_RANGING_MS = 300
_POLL_MS = 5

_SETTINGS = (
    (0x0030, b"\x01\x02\x00\x02\x08\x00\x08\x10\x01\x01"),
    (0x003E, b"\xff\x00\x0f"),
    (0x0046, b"\x20\x0b\x00\x00\x02\x0a\x21\x00\x00\x05"),
    (0x0054, b"\xc8\x00\x00\x38\xff\x01\x00\x08\x00\x00\x01\xcc\x0f\x01\xf1\x0d\x01\x68\x00\x80\x08\xb8"),
    (0x006E, b"\x0f\x89"),
    (0x0077, b"\x01\x0f\x0d\x0e\x0e\x00\x00\x02\xc7\xff\x9b"),
    (0x0085, b"\x01"),
)


class Vl53l1x:
    """*i2c* is a machine.I2C, *address* 0x29 as the chip leaves the factory."""

    nearest_mm = 40
    farthest_mm = 4000

    def __init__(self, i2c, address: int) -> None:
        self._i2c = i2c
        self._address = address
        self._ready = False

    async def ranges_mm(self, count: int) -> list:
        """Return *count* ranges or fewer, as many as were valid. Raises OSError when the chip does not answer."""
        if not self._ready:
            await self._begin()
        found = []
        try:
            self._write(_MODE_START, _START)
            for _ in range(count):
                distance = await self._one()
                if distance is not None:
                    found.append(distance)
            self._write(_MODE_START, _STOP)
        except OSError:
            self._ready = False  # it may have lost its power, and its settings with it
            raise
        return found

    async def _begin(self) -> None:
        if self._read(_MODEL_ID, 2) != _MODEL:
            raise OSError(errno.ENODEV)
        for _ in range(_BOOT_MS // _POLL_MS):
            if self._read(_SYSTEM_STATUS, 1)[0] & 1:
                break
            await asyncio.sleep_ms(_POLL_MS)
        else:
            raise OSError(errno.ETIMEDOUT)
        for register, values in _SETTINGS:
            self._write(register, values)
        self._write(_MODE_START, _START)  # the first range calibrates, UM section 2.2
        await self._one()
        self._write(_MODE_START, _STOP)
        self._write(0x0008, b"\x09")  # from here on temperature compensation from the calibration's result
        self._write(0x000B, b"\x00")
        self._ready = True

    async def _one(self) -> int | None:
        active_high = not self._read(0x0030, 1)[0] & 0x10
        for _ in range(_RANGING_MS // _POLL_MS):
            if (self._read(_TIO_HV_STATUS, 1)[0] & 1) == active_high:
                result = self._read(_RESULT, _RESULT_BYTES)
                self._write(_INTERRUPT_CLEAR, b"\x01")
                valid = result[0] & 0x1F == _VALID
                return result[_RANGE_AT] << 8 | result[_RANGE_AT + 1] if valid else None
            await asyncio.sleep_ms(_POLL_MS)
        raise OSError(errno.ETIMEDOUT)

    def _read(self, register: int, size: int) -> bytes:
        return self._i2c.readfrom_mem(self._address, register, size, addrsize=16)

    def _write(self, register: int, data: bytes) -> None:
        self._i2c.writeto_mem(self._address, register, data, addrsize=16)


def open_sensor(entry: dict, i2c) -> Vl53l1x:
    """Return the range finder on the board's I2C bus. Raises ConfigError."""
    return Vl53l1x(i2c(), board_int(entry, "address", 0x29))
