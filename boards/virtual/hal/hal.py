# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# MicroPython side of the HAL protocol (docs/virtual-board.md). Runs on the board, so it is small.
import gc
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
RTC_MEMORY = const(0x17)
CLOCK = const(0x18)
PIN_INIT = const(0x20)
PIN_WRITE = const(0x21)
PIN_READ = const(0x22)
PIN_IRQ = const(0x23)
PULSES = const(0x24)
PULSE_WIDTH = const(0x25)
PIN_HOLD = const(0x26)
PIN_WAKE = const(0x27)
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
BLE = const(0x90)

_link = open(int(os.getenv("LYKTA_HAL_FD")), "r+b")  # noqa: SIM115
_answer = bytearray(4)
busy = [False, None, 0]  # inside call(); what to run when it ends; how many there were


def call(op, unit=0, data=b"", into=None):
    # One request, one answer; returns the answer's payload (or fills into).
    # No branch while busy: there MicroPython raises a pending KeyboardInterrupt, and half an answer would be left.
    # An interrupt that comes in between waits until the answer is complete.
    request = struct.pack("<BBH", op, unit, len(data)) + data
    busy[0] = True
    busy[2] += 1
    _link.write(request)
    _link.readinto(_answer)
    status, interrupted = _answer[0], _answer[1]
    got = _link.read(_answer[2] | _answer[3] << 8)
    busy[0] = False
    later, busy[1] = busy[1], None
    if later:
        later(0)
    if interrupted:
        raise KeyboardInterrupt
    if status == 0xFD:
        raise ValueError(got.decode())
    if status == 0xFE:
        raise RuntimeError(got.decode())
    if status:
        raise OSError(status)
    if into is not None:
        into[:] = got
    return got


class Flash:
    # Block device of the NOR flash. Reads come straight from the image (opened read-only), programs and erases go to
    # the flash model, which refuses what NOR cannot do. A port does this in C, where nothing can come in between. Here:
    # no branch, because a KeyboardInterrupt out of the middle of littlefs would leave it half done; no collection,
    # because the finaliser of a forgotten file would change littlefs's list of files while littlefs walks it. Hence
    # short functions too: one that needs more than 11 slots gets its frame from the heap, before it can say anything.
    def __init__(self, size, block):
        self._image = open(int(os.getenv("LYKTA_FLASH_FD")), "rb")  # noqa: SIM115
        self._block = block
        self._blocks = size // block
        self._head = bytearray(8)
        self._collect = gc.enable
        self._ioctls = (None, self._done, self._done, self._done, self._count, self._size, self._erase)

    def readblocks(self, number, buffer, offset=0):
        self._image.seek(number * self._block + offset)
        self._image.readinto(buffer)

    def writeblocks(self, number, buffer, offset=0):
        self._collect = _COLLECT[gc.isenabled()]
        gc.disable()
        self._request(FLASH_PROGRAM, number * self._block + offset, buffer)
        self._collect()
        return -_answer[0]

    def _erase(self, number):
        self._collect = _COLLECT[gc.isenabled()]
        gc.disable()
        self._request(FLASH_ERASE, number * self._block, b"")
        self._collect()
        return -_answer[0]

    def _request(self, op, address, data):
        struct.pack_into("<BBHI", self._head, 0, op, 0, 4 + len(data), address)
        busy[0] = True
        _link.write(self._head)
        _link.write(data)
        _link.readinto(_answer)
        busy[0] = False

    def ioctl(self, request, argument):
        return self._ioctls[request](argument)

    def _done(self, _):
        return 0

    def _count(self, _):
        return self._blocks

    def _size(self, _):
        return self._block


_COLLECT = (gc.disable, gc.enable)
hello = struct.unpack("<BBBxIIII8s", call(0))
