# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""HAL protocol between the board's interpreter and its simulated hardware: numbers and framing, no I/O.

Request: <op u8> <unit u8> <length u16> payload. Answer: <status u8> <interrupted u8> <length u16> payload.
All little-endian; one answer per request, in order. docs/virtual-board.md lists the payloads; the same numbers stand
in hal/hal.py.
"""

import struct
from enum import IntEnum

VERSION = 1
HEADER = struct.Struct("<BBH")

STATUS_OK = 0  # 1..239 is an errno, raised as OSError on the board
STATUS_VALUE = 0xFD  # payload is text; ValueError on the board: the argument does not exist on this hardware
STATUS_MISUSE = 0xFE  # payload is text; RuntimeError on the board, counted and logged outside


class Op(IntEnum):
    """Operations, grouped by peripheral in the high nibble."""

    HELLO = 0x00
    FLASH_PROGRAM = 0x01
    FLASH_ERASE = 0x02
    RESET = 0x10
    CONSOLE = 0x11
    PHASE = 0x12
    WDT = 0x13
    RTC = 0x14
    LIGHTSLEEP = 0x15
    FAULT = 0x16
    RTC_MEMORY = 0x17
    CLOCK = 0x18
    PIN_INIT = 0x20
    PIN_WRITE = 0x21
    PIN_READ = 0x22
    PIN_IRQ = 0x23
    PULSES = 0x24
    PULSE_WIDTH = 0x25
    PIN_HOLD = 0x26
    PIN_WAKE = 0x27
    ADC_INIT = 0x30
    ADC_READ = 0x31
    PWM_SET = 0x40
    PWM_OFF = 0x41
    I2C_INIT = 0x50
    I2C_WRITE = 0x51
    I2C_READ = 0x52
    SPI_INIT = 0x60
    SPI_TRANSFER = 0x61
    UART_INIT = 0x70
    UART_WRITE = 0x71
    UART_READ = 0x72
    UART_ANY = 0x73
    TIMER = 0x80
    EVENTS = 0x81
    BLE = 0x90


class ResetKind(IntEnum):
    """What the board asks for with RESET (unit field)."""

    HARD = 0
    SOFT = 1
    DEEPSLEEP = 2


class ResetCause(IntEnum):
    """machine.reset_cause() values, numbered as on the ESP32 port."""

    PWRON_RESET = 1
    HARD_RESET = 2
    WDT_RESET = 3
    DEEPSLEEP_RESET = 4
    SOFT_RESET = 5


class Phase(IntEnum):
    """Where the board's start-up has got to."""

    BOOT = 0
    MAIN = 1
    REPL = 2


class Event(IntEnum):
    """Kinds of interrupts in the answer to EVENTS, each with the number of the pin or timer (0: Bluetooth)."""

    PIN = 0
    TIMER = 1
    BLE = 2


EVENT = struct.Struct("<BBq")  # kind, number, microseconds of the monotonic clock
HELLO = struct.Struct(
    "<BBBxIIII8s"
)  # version, reset cause, run main.py, flash bytes, block bytes, program bytes, cpu hz, id


class HardwareError(Exception):
    """Hardware answers with an errno, as a missing I2C device does."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.errno = number


class Misuse(Exception):
    """A finding about firmware: it used the hardware in a way that would fail or do harm on a bench."""


class UnknownPart(ValueError):
    """Firmware named a pin, bus or channel that this board does not have."""


INTERRUPTED = 1
"""Second byte of an answer: Ctrl-C came while the request was under way; KeyboardInterrupt on the board."""


def interrupted(framed: bytes) -> bytes:
    """The same answer, with Ctrl-C."""
    return framed[:1] + bytes([INTERRUPTED]) + framed[2:]


def answer(status: int, payload: bytes = b"") -> bytes:
    """Frame one answer."""
    return HEADER.pack(status, 0, len(payload)) + payload
