# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The simulated chip outside the interpreter: decodes HAL requests and answers them from pins, buses and flash."""

import errno
import logging
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from boards.schema import BoardFile
from boards.virtual import protocol
from boards.virtual.buses import Buses, I2cBus, SpiBus, Uart
from boards.virtual.environment import Environment
from boards.virtual.flash import NorFlash
from boards.virtual.models import Powered, ble, build_models
from boards.virtual.pins import PinBank
from boards.virtual.protocol import Event, HardwareError, Misuse, Op, UnknownPart

log = logging.getLogger(__name__)


class System(Protocol):
    """What the chip asks of the board around it."""

    def hello(self) -> bytes:
        """Facts for the start code, packed as protocol.HELLO."""

    def request_reset(self, kind: int, sleep_ms: int) -> None:
        """The firmware asks for a reset; the interpreter does not get an answer."""

    def set_console_binary(self, binary: bool) -> None:
        """The interrupt character was switched off (True) or on."""

    def set_phase(self, phase: int) -> None:
        """boot.py, main.py or the REPL begins."""

    def watchdog(self, timeout_ms: int | None) -> None:
        """Start with a timeout, or feed (None)."""

    def rtc(self, payload: bytes) -> bytes:
        """Set the clock if payload, else read it."""

    def rtc_memory(self, data: bytes | None) -> bytes:
        """machine.RTC().memory(): write it, or read it (None)."""

    def set_lightsleep(self, asleep: bool) -> None:
        """lightsleep begins or ends."""

    def start_timer(self, number: int, periodic: bool, period_us: int) -> None:
        """Timer interrupts from now; period 0 stops them."""

    def interrupt(self, kind: Event, number: int, at_us: int | None) -> None:
        """Raise an interrupt, now (None) or at a moment just past; the board fetches it with EVENTS."""

    def take_events(self) -> bytes:
        """Interrupts raised since the last time, packed as protocol.EVENT."""

    def fault(self, text: str) -> None:
        """The start code cannot go on as a board should."""


class Hardware:
    """Everything that firmware can reach through `machine`, and the flash."""

    def __init__(self, board: BoardFile, flash: NorFlash, environment: Environment, system: System) -> None:
        self.flash, self.environment, self._system = flash, environment, system
        self.misuses: list[str] = []
        self.pins = PinBank(set(board.pins.gpio), set(board.pins.adc))
        self.pins.on_edge = lambda number, at_us: system.interrupt(Event.PIN, number, at_us)
        self.buses = Buses(self.pins, environment.now_s, self.complain)
        self.buses.i2c = {bus.id: I2cBus({"scl": bus.scl, "sda": bus.sda}) for bus in board.buses.i2c}
        self.buses.spi = {bus.id: SpiBus() for bus in board.buses.spi}
        self.buses.uart = {bus.id: Uart(wired={"tx": bus.tx, "rx": bus.rx}) for bus in board.buses.uart}
        self.models = build_models(board, self.pins, self.buses, environment)
        self._ble = self.models.get("ble")
        if isinstance(self._ble, ble.Chip):
            self._ble.raise_line = lambda: system.interrupt(Event.BLE, 0, None)
        self._handlers = self._table()

    def complain(self, text: str) -> None:
        """Count and log one finding about the firmware."""
        self.misuses.append(text)
        log.error("misuse of the hardware: %s", text)

    def state(self) -> dict[str, Any]:
        """Pins that have a mode, what the models do, what surrounds them, and what firmware did wrong."""
        pins, environment = self.pins.pins, self.environment
        return {
            "misuses": len(self.misuses),
            "last_misuse": self.misuses[-1] if self.misuses else None,
            "pins": {str(n): pin.level for n, pin in pins.items() if pin.mode is not None},
            "pwm_duty_pct": {str(n): round(self.pins.duty(n) * 100, 3) for n, pin in pins.items() if pin.pwm},
            "scenario": {"name": environment.scenario.name, "time_s": environment.scenario_time_s()},
            "values": environment.values(),
            "models": {name: model.state() for name, model in self.models.items()},
        }

    def power(self, on: bool) -> None:
        """The supply of everything beside the processor; PortError when a radio's air is not there."""
        for model in self.models.values():
            if isinstance(model, Powered):
                model.power(on)

    def hard_reset(self, asleep: bool = False) -> None:
        """Pins float, controllers forget; *asleep*: pins that are held keep their level."""
        self.pins.hard_reset(asleep)
        self.buses.reset()
        if isinstance(self._ble, ble.Chip):
            self._ble.reset()

    def soft_reset(self) -> None:
        """PWM and interrupts stop, controllers forget, levels stay."""
        self.pins.soft_reset()
        self.buses.reset()
        if isinstance(self._ble, ble.Chip):
            self._ble.reset()

    def handle(self, op: int, unit: int, payload: bytes) -> bytes:
        """One framed answer to one request."""
        handler = self._handlers.get(op, self._unknown)
        try:
            return protocol.answer(protocol.STATUS_OK, handler(unit, payload) or b"")
        except HardwareError as e:
            return protocol.answer(e.errno)
        except UnknownPart as e:
            self.complain(str(e))
            return protocol.answer(protocol.STATUS_VALUE, str(e).encode())
        except Misuse as e:
            self.complain(str(e))
            if op in (Op.FLASH_PROGRAM, Op.FLASH_ERASE):  # its driver has no room for a text
                return protocol.answer(errno.EIO)
            return protocol.answer(protocol.STATUS_MISUSE, str(e).encode())
        except struct.error as e:
            self.complain(f"HAL operation {op:#04x} with a payload of {len(payload)} bytes: {e}")
            return protocol.answer(protocol.STATUS_MISUSE, str(e).encode())

    def _table(self) -> dict[int, Callable[[int, bytes], bytes | None]]:
        pins, buses = self.pins, self.buses
        return {
            Op.HELLO: lambda unit, data: self._system.hello(),
            Op.FLASH_PROGRAM: lambda unit, data: self.flash.program(_unpack("<I", data[:4])[0], data[4:]),
            Op.FLASH_ERASE: lambda unit, data: self.flash.erase(_unpack("<I", data)[0]),
            Op.RESET: lambda unit, data: self._system.request_reset(unit, _unpack("<I", data)[0] if data else 0),
            Op.CONSOLE: lambda unit, data: self._system.set_console_binary(bool(unit)),
            Op.PHASE: lambda unit, data: self._system.set_phase(unit),
            Op.WDT: self._watchdog,
            Op.RTC: lambda unit, data: self._system.rtc(data),
            Op.RTC_MEMORY: lambda unit, data: self._system.rtc_memory(data if unit else None),
            Op.LIGHTSLEEP: lambda unit, data: self._system.set_lightsleep(bool(unit)),
            Op.FAULT: lambda unit, data: self._system.fault(data.decode("utf-8", "replace")),
            Op.PIN_INIT: lambda unit, data: pins.init(unit, *_unpack("<bbb", data)),
            Op.PIN_WRITE: lambda unit, data: pins.write(unit, _unpack("<B", data)[0]),
            Op.PIN_READ: lambda unit, data: bytes([pins.read(unit)]),
            Op.PIN_HOLD: lambda unit, data: pins.hold(unit, bool(_unpack("<B", data)[0])),
            Op.PIN_WAKE: lambda unit, data: setattr(pins.pin(unit), "wake", _unpack("<B", data)[0]),
            Op.PIN_IRQ: lambda unit, data: setattr(pins.pin(unit), "irq", _unpack("<B", data)[0]),
            Op.PULSES: self._pulses,
            Op.PULSE_WIDTH: lambda unit, data: struct.pack("<iI", *pins.pulses.width_us(unit, *_unpack("<BI", data))),
            Op.ADC_INIT: lambda unit, data: pins.adc_init(unit),
            Op.ADC_READ: lambda unit, data: struct.pack("<H", pins.adc_read(unit)),
            Op.PWM_SET: lambda unit, data: pins.pwm_set(unit, *_unpack("<ii", data)),
            Op.PWM_OFF: lambda unit, data: pins.pwm_off(unit),
            Op.I2C_INIT: buses.i2c_init,
            Op.I2C_WRITE: self._i2c_write,
            Op.I2C_READ: self._i2c_read,
            Op.SPI_INIT: buses.spi_init,
            Op.SPI_TRANSFER: buses.spi_transfer,
            Op.UART_INIT: buses.uart_init,
            Op.UART_WRITE: buses.uart_write,
            Op.UART_READ: lambda unit, data: buses.uart_read(unit, _unpack("<H", data)[0]),
            Op.UART_ANY: lambda unit, data: struct.pack("<H", buses.uart_any(unit)),
            Op.TIMER: self._timer,
            Op.EVENTS: lambda unit, data: self._system.take_events(),
            Op.BLE: self._bluetooth,
        }

    @staticmethod
    def _unknown(unit: int, data: bytes) -> None:
        raise Misuse("the HAL has no such operation")

    def _pulses(self, unit: int, data: bytes) -> None:
        if not self.pins.pulses:
            raise HardwareError(errno.ENODEV)
        if data:
            level, *spans_us = _unpack(f"<B{len(data) // 2}H", data)
            self.pins.pulses.send(unit, level, spans_us)

    def _bluetooth(self, unit: int, data: bytes) -> bytes:
        if not isinstance(self._ble, ble.Chip):
            raise HardwareError(errno.ENODEV)
        return self._ble.handle(unit, data)

    def _watchdog(self, unit: int, data: bytes) -> None:
        if not unit:
            self._system.watchdog(None)
            return
        timeout_ms = _unpack("<i", data)[0]
        if timeout_ms <= 0:
            raise UnknownPart(f"WDT timeout {timeout_ms} ms must be positive")
        self._system.watchdog(timeout_ms)

    def _timer(self, unit: int, data: bytes) -> None:
        periodic, period_us = _unpack("<BI", data)
        self._system.start_timer(unit, bool(periodic), period_us)

    def _i2c_write(self, unit: int, data: bytes) -> None:
        address, _stop = _unpack("<HB", data[:3])
        self.buses.i2c_device(unit, address).write(data[3:])

    def _i2c_read(self, unit: int, data: bytes) -> bytes:
        address, _stop, size = _unpack("<HBH", data)
        return self.buses.i2c_device(unit, address).read(size)


def _unpack(layout: str, data: bytes) -> Sequence[int]:
    return struct.unpack(layout, data)


def unique_id(seed: int, name: str) -> bytes:
    """8 bytes, always the same for a seed and a board."""
    return random.Random(f"{seed}/{name}").randbytes(8)
