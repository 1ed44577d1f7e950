# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# What the node asks of a microcontroller, as far as the emulated Cortex-M lets it be: pins that remember, and sensors
# that always say the same.

import time

_DEVICES = {  # by address and register; what is not here answers zeros
    (0x48, 0x00): b"\x19\x00",  # LM75: 25 C
    (0x19, 0x0F): b"\x33",  # LIS3DH, which stands upright
    (0x19, 0xA8): b"\x00\x00\x00\x00\x00\x3e",
    (0x29, 0x010F): b"\xea\xcc",  # VL53L1X, 600 mm
    (0x29, 0x00E5): b"\x01",
    (0x29, 0x0031): b"\x01",
    (0x29, 0x0089): b"\x09" + bytes(12) + b"\x02\x58",
}
_SET_RX, _SET_TX, _GET_IRQ, _GET_RX_BUFFER = 0x82, 0x83, 0x12, 0x13  # of an SX126x
_ON_AIR_MS = 30
_LINE_MS = 100
_LINES = {9600: b"\xff\x02\x58\x59", 19200: b"45.3\n"}  # A02YYUW: 600 mm; OPS243: a vehicle that never ends


PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5


def reset_cause():
    return PWRON_RESET


def unique_id():
    return b"cortex-m"


class Pin:
    IN = 0
    OUT = 1
    PULL_UP = 1
    IRQ_RISING = 1
    IRQ_FALLING = 2

    def __init__(self, number, mode=0, pull=None, value=0):
        self.number = number
        self._value = value

    def value(self, level=None):
        if level is None:
            return self._value
        self._value = level

    def irq(self, handler=None, trigger=3):
        pass


class ADC:
    def __init__(self, pin):
        self._value = 1000 if pin.number == 3 else 42000  # of the photocell, of what else there is

    def read_u16(self):
        return self._value


class PWM:
    def __init__(self, pin, freq=0, duty_u16=0):
        pass

    def duty_u16(self, duty):
        pass


class I2C:
    def __init__(self, number, scl=None, sda=None, freq=0):
        pass

    def readfrom_mem(self, address, register, count, addrsize=8):
        return (_DEVICES.get((address, register), b"") + bytes(count))[:count]

    def writeto_mem(self, address, register, data, addrsize=8):
        pass


class UART:
    """Says its line once in a while, as a chip does that measures by itself."""

    def __init__(self, number, baudrate=0, **options):
        self._line = _LINES.get(baudrate, b"")
        self._said_ms = time.ticks_ms()

    def any(self):
        return len(self._line) if time.ticks_diff(time.ticks_ms(), self._said_ms) >= _LINE_MS else 0

    def write(self, data):
        return len(data)

    def read(self, count):
        if not self.any():
            return None
        self._said_ms = time.ticks_ms()
        return self._line


class SPI:
    """An SX126x behind it, in a quiet air: what is sent has left, and a Join-Request brings the answer of /join.bin."""

    def __init__(self, number, **options):
        self._doing = 0
        self._begun_ms = 0
        self._joining = False
        with open("/join.bin", "rb") as file:
            self._answer = file.read()

    def write_readinto(self, out, into):
        for place in range(len(into)):
            into[place] = 0x22 if place == 1 else 0  # standby
        if out[0] in (_SET_RX, _SET_TX):
            self._doing = 0 if out[1:] == b"\xff\xff\xff" else out[0]  # listening without end: nothing comes
            self._begun_ms = time.ticks_ms()
        elif out[0] == _GET_IRQ and self._doing and time.ticks_diff(time.ticks_ms(), self._begun_ms) >= _ON_AIR_MS:
            flags = 0x0001 if self._doing == _SET_TX else 0x0002 if self._joining and self._answer else 0x0200
            into[2], into[3] = flags >> 8, flags & 0xFF
            self._doing = 0
        elif out[0] == _GET_RX_BUFFER:
            into[2] = len(self._answer)

    def write(self, data):
        self._joining = data[0] >> 5 == 0

    def readinto(self, into):
        into[:] = self._answer
        self._answer = b""
