# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# MicroPython side of the HAL protocol (docs/virtual-board.md). Runs on the board, so it is small.
import os
import struct

from micropython import const

FLASH_PROGRAM = const(0x01)
FLASH_ERASE = const(0x02)
RESET = const(0x10)
CONSOLE = const(0x11)
PHASE = const(0x12)
WDT = const(0x13)
RTC = const(0x14)
LIGHTSLEEP = const(0x15)
FAULT = const(0x16)
PIN_INIT = const(0x20)
PIN_WRITE = const(0x21)
PIN_READ = const(0x22)
PIN_IRQ = const(0x23)
ADC_INIT = const(0x30)
ADC_READ = const(0x31)
PWM_SET = const(0x40)
PWM_OFF = const(0x41)
I2C_INIT = const(0x50)
I2C_WRITE = const(0x51)
I2C_READ = const(0x52)
SPI_INIT = const(0x60)
SPI_TRANSFER = const(0x61)
UART_INIT = const(0x70)
UART_WRITE = const(0x71)
UART_READ = const(0x72)
UART_ANY = const(0x73)
TIMER = const(0x80)
EVENTS = const(0x81)

_link = open(int(os.getenv("LYKTA_HAL_FD")), "r+b")  # noqa: SIM115
_answer = bytearray(4)
busy = [False, None]  # inside call(); what to run when it ends


def call(op, unit=0, data=b"", into=None):
    # One request, one answer; returns the answer's payload (or fills into).
    # An interrupt that comes in between waits until the answer is complete.
    busy[0] = True
    _link.write(struct.pack("<BBH", op, unit, len(data)) + data)
    if _link.readinto(_answer) != 4:
        raise SystemExit
    status, _, size = struct.unpack("<BBH", _answer)
    if into is not None and status == 0:
        _link.readinto(into)
        got = into
    else:
        got = _link.read(size) if size else b""
    busy[0] = False
    later, busy[1] = busy[1], None
    if later:
        later(0)
    if status == 0:
        return got
    if status == 0xFD:
        raise ValueError(got.decode())
    if status == 0xFE:
        raise RuntimeError(got.decode())
    raise OSError(status)


class Flash:
    # Block device of the NOR flash. Reads come straight from the image (opened read-only),
    # programs and erases go to the flash model, which refuses what NOR cannot do.
    def __init__(self, size, block):
        self._image = open(int(os.getenv("LYKTA_FLASH_FD")), "rb")  # noqa: SIM115
        self._block = block
        self._blocks = size // block

    def readblocks(self, number, buffer, offset=0):
        self._image.seek(number * self._block + offset)
        self._image.readinto(buffer)

    def writeblocks(self, number, buffer, offset=0):
        call(FLASH_PROGRAM, 0, struct.pack("<I", number * self._block + offset) + buffer)

    def ioctl(self, request, argument):
        if request == 4:
            return self._blocks
        if request == 5:
            return self._block
        if request == 6:
            call(FLASH_ERASE, 0, struct.pack("<I", argument * self._block))
        return 0


hello = struct.unpack("<BBBxIIII8s", call(0))
