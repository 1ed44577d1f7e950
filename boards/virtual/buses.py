# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""I2C, SPI and UART of the board: who answers on them, and what a wrong call meets."""

import errno
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from boards.virtual.pins import PinBank
from boards.virtual.protocol import HardwareError, Misuse, UnknownPart

T = TypeVar("T")
_MOMENT = struct.Struct("<q")


class I2cDevice(Protocol):
    """A chip on an I2C bus."""

    def write(self, data: bytes) -> None:
        """One write transfer (without the address byte)."""

    def read(self, size: int) -> bytes:
        """Exactly size bytes."""


class SpiDevice(Protocol):
    """A chip on an SPI bus; selected while its chip select pin is low."""

    max_hz: int

    def transfer(self, data: bytes) -> bytes:
        """As many bytes back as came."""


class UartDevice(Protocol):
    """A chip on a UART."""

    baud: int

    def receive(self, data: bytes) -> bytes:
        """What the chip answers to these bytes, b"" for nothing."""


class Talker(Protocol):
    """A chip on a UART that also speaks without being asked."""

    def said(self, now_s: float) -> list[tuple[float, bytes]]:
        """What it began to say since the last time, each with the moment when it began."""


@dataclass
class I2cBus:
    """One I2C controller."""

    wired: dict[str, int]
    devices: dict[int, I2cDevice] = field(default_factory=dict)
    freq_hz: int | None = None


@dataclass
class SpiBus:
    """One SPI controller; devices by chip select pin."""

    devices: dict[int, SpiDevice] = field(default_factory=dict)
    baudrate_hz: int | None = None


@dataclass
class Uart:
    """One UART; received bytes wait with the time they are on the wire."""

    device: UartDevice | None = None
    wired: dict[str, int] = field(default_factory=dict)
    baud: int | None = None
    received: deque[tuple[float, int]] = field(default_factory=deque)
    rxbuf: int = 256


def parse_options(payload: bytes) -> dict[str, int]:
    """'freq=100000;scl=22' of the INIT operations; UnknownPart for what is not name=integer."""
    options = {}
    for part in payload.decode("ascii", "replace").split(";"):
        name, _, value = part.partition("=")
        try:
            options[name] = int(value)
        except ValueError:
            raise UnknownPart(f"{name} must be an integer, not {value!r}") from None
    return options


class Buses:
    """All buses; `now_s` gives the time that UART bytes take."""

    def __init__(self, pins: PinBank, now_s: Callable[[], float], complain: Callable[[str], None]) -> None:
        self.pins, self._now_s, self.complain = pins, now_s, complain
        self.moment_us = 0  # when the processor began the last SPI transfer; 0: just now
        self.i2c: dict[int, I2cBus] = {}
        self.spi: dict[int, SpiBus] = {}
        self.uart: dict[int, Uart] = {}

    def reset(self) -> None:
        """Controllers forget their settings; chips on the bus keep theirs."""
        for i2c in self.i2c.values():
            i2c.freq_hz = None
        for spi in self.spi.values():
            spi.baudrate_hz = None
        for uart in self.uart.values():
            uart.baud = None
            uart.received.clear()

    def i2c_init(self, bus_id: int, payload: bytes) -> None:
        """machine.I2C()."""
        bus = self._bus(self.i2c, "I2C", bus_id)
        options = parse_options(payload)
        freq_hz = options.pop("freq", 400_000)
        if not 1000 <= freq_hz <= 1_000_000:
            raise UnknownPart(f"I2C({bus_id}): freq {freq_hz} Hz is not between 1000 and 1000000")
        self._check_wiring(f"I2C({bus_id})", options, bus.wired)
        bus.freq_hz = freq_hz

    def i2c_device(self, bus_id: int, address: int) -> I2cDevice:
        """The chip at an address; ENODEV if none acknowledges."""
        bus = self._bus(self.i2c, "I2C", bus_id)
        if bus.freq_hz is None:
            raise Misuse(f"I2C({bus_id}): used after a reset without being initialised")
        if not 0 <= address <= 0x7F:
            raise UnknownPart(f"I2C address {address:#x} is not a 7-bit address (0..0x7F)")
        if address not in bus.devices:
            raise HardwareError(errno.ENODEV)
        return bus.devices[address]

    def spi_init(self, bus_id: int, payload: bytes) -> None:
        """machine.SPI() or SPI.init()."""
        bus = self._bus(self.spi, "SPI", bus_id)
        options = parse_options(payload)
        allowed = {"polarity": (0, 1), "phase": (0, 1), "bits": (8,), "firstbit": (0,)}
        for name, values in allowed.items():
            if options.get(name, values[0]) not in values:
                raise UnknownPart(f"SPI({bus_id}): {name}={options[name]}; this controller can do {values}")
        if options.get("baudrate", 1) <= 0:
            raise UnknownPart(f"SPI({bus_id}): baudrate {options['baudrate']} Hz must be positive")
        bus.baudrate_hz = options.get("baudrate", 1_000_000)

    def spi_transfer(self, bus_id: int, payload: bytes) -> bytes:
        """One transfer (moment, data) with the chip whose select pin is low; none or two of them is misuse."""
        (self.moment_us,), data = _MOMENT.unpack_from(payload), payload[_MOMENT.size :]
        bus = self._bus(self.spi, "SPI", bus_id)
        if bus.baudrate_hz is None:
            raise Misuse(f"SPI({bus_id}): used after a reset without being initialised")
        selected = [cs for cs in bus.devices if self.pins.pin(cs).mode == 1 and self.pins.pin(cs).level == 0]
        if len(selected) != 1:
            raise Misuse(f"SPI({bus_id}): transfer with chip selects {selected} low; exactly one must be")
        device = bus.devices[selected[0]]
        if bus.baudrate_hz > device.max_hz:
            raise Misuse(f"SPI({bus_id}): {bus.baudrate_hz} Hz; the selected chip can do {device.max_hz} Hz")
        return device.transfer(data)

    def uart_init(self, uart_id: int, payload: bytes) -> None:
        """machine.UART() or UART.init()."""
        uart = self._bus(self.uart, "UART", uart_id)
        options = parse_options(payload)
        baud = options.pop("baudrate", 9600)
        if not 300 <= baud <= 3_000_000:
            raise UnknownPart(f"UART({uart_id}): baudrate {baud} is not between 300 and 3000000")
        for name, values in {"bits": (8,), "stop": (1, 2), "parity": (0, 1)}.items():
            if options.pop(name, values[0]) not in values:
                raise UnknownPart(f"UART({uart_id}): {name} must be one of {values}")
        uart.rxbuf = options.pop("rxbuf", 256)
        options.pop("txbuf", None)
        self._check_wiring(f"UART({uart_id})", options, uart.wired)
        uart.baud = baud
        uart.received.clear()

    def uart_write(self, uart_id: int, data: bytes) -> None:
        """Bytes to the chip; at another speed than the chip's, what comes back makes no sense, as on a bench."""
        uart = self._open_uart(uart_id)
        if uart.device is None or uart.baud is None:
            return
        self._listen(uart)
        same = abs(uart.baud - uart.device.baud) * 20 <= uart.device.baud  # 5 percent, what 10 bit times forgive
        reply = uart.device.receive(data)
        if not same:
            self.complain(f"UART({uart_id}) at {uart.baud} baud: the chip on it talks at {uart.device.baud}")
            reply = _garbled(reply)
        at_s = self._now_s() + len(data) * 10 / uart.baud
        for byte in reply:
            at_s += 10 / uart.device.baud
            if len(uart.received) < uart.rxbuf:
                uart.received.append((at_s, byte))

    def uart_read(self, uart_id: int, size: int) -> bytes:
        """Up to size bytes that have arrived."""
        uart = self._open_uart(uart_id)
        self._listen(uart)
        now_s = self._now_s()
        got = bytearray()
        while len(got) < size and uart.received and uart.received[0][0] <= now_s:
            got.append(uart.received.popleft()[1])
        return bytes(got)

    def uart_any(self, uart_id: int) -> int:
        """How many bytes have arrived."""
        uart = self._open_uart(uart_id)
        self._listen(uart)
        now_s = self._now_s()
        return sum(at_s <= now_s for at_s, _ in uart.received)

    def _listen(self, uart: Uart) -> None:
        """Take in what a chip has said by itself; at another speed than the chip's it makes no sense."""
        said = getattr(uart.device, "said", None)
        if said is None or uart.device is None or uart.baud is None:
            return
        same = abs(uart.baud - uart.device.baud) * 20 <= uart.device.baud
        for at_s, data in said(self._now_s()):
            for place, byte in enumerate(data if same else _garbled(data), 1):
                if len(uart.received) < uart.rxbuf:
                    uart.received.append((at_s + place * 10 / uart.device.baud, byte))

    def _open_uart(self, uart_id: int) -> Uart:
        uart = self._bus(self.uart, "UART", uart_id)
        if uart.baud is None:
            raise Misuse(f"UART({uart_id}): used after a reset without being initialised")
        return uart

    @staticmethod
    def _bus(buses: dict[int, T], kind: str, number: int) -> T:
        try:
            return buses[number]
        except KeyError:
            raise UnknownPart(f"no {kind}({number}) on this board; it has {sorted(buses)}") from None

    @staticmethod
    def _check_wiring(name: str, asked: dict[str, int], wired: dict[str, int]) -> None:
        for role, pin in sorted(asked.items()):
            if role not in wired:
                raise UnknownPart(f"{name} has no option {role}")
            if pin != wired[role]:
                raise Misuse(f"{name}: {role}={pin}, but what is on this bus is soldered to pin {wired[role]}")


def _garbled(data: bytes) -> bytes:
    return bytes(byte >> 1 ^ 0xA5 for byte in data)
