# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# What the node asks of a microcontroller, as far as the emulated Cortex-M lets it be: pins that remember, no sensors.


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
        self._value = value

    def value(self, level=None):
        if level is None:
            return self._value
        self._value = level

    def irq(self, handler=None, trigger=3):
        pass


class ADC:
    def __init__(self, pin):
        pass

    def read_u16(self):
        return 1000


class PWM:
    def __init__(self, pin, freq=0, duty_u16=0):
        pass

    def duty_u16(self, duty):
        pass


class I2C:
    def __init__(self, number, scl=None, sda=None, freq=0):
        pass

    def readfrom_mem(self, address, register, count):
        return b"\x19\x00"[:count]


class UART:
    def __init__(self, number, **options):
        pass

    def any(self):
        return 0

    def write(self, data):
        return len(data)

    def read(self, count):
        return None
