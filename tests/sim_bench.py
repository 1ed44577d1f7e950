# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A role with the shipped drivers on the simulated buses and chips of a board, in simulated time, under CPython.

Days pass in seconds, and always in the same way. What is not here: MicroPython, the node around the role, the radio.
"""

import asyncio
import gc
import random
import selectors
import sys
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from boards.schema import load_board
from boards.virtual import scenario
from boards.virtual.buses import Buses, I2cBus, SpiBus, Uart
from boards.virtual.environment import Environment
from boards.virtual.models import Powered, build_models
from boards.virtual.pins import PinBank
from boards.virtual.protocol import HardwareError
from firmware.wire.kinds import common_controls
from tests.power import TornFiles

LOOK_MS = 1000
_TICKS = 1 << 30


class SimLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next thing that happens."""

    def __init__(self) -> None:
        self.now_s = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self.now_s


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[valid-type,misc]
    def __init__(self, loop: SimLoop) -> None:
        super().__init__()
        self._sim = loop

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if not events and timeout is None:
            raise RuntimeError("nothing will ever happen again")
        if not events and timeout:
            self._sim.now_s += timeout
        return events


class Chips:
    """The module ``machine`` on the pins and buses of a board."""

    def __init__(self, board: Any, environment: Environment, loop: SimLoop) -> None:
        self.loop = loop
        self.misuses: list[str] = []
        self.pins = PinBank(set(board.pins.gpio), set(board.pins.adc))
        self.buses = Buses(self.pins, environment.now_s, self.misuses.append)
        self.buses.i2c = {bus.id: I2cBus({"scl": bus.scl, "sda": bus.sda}) for bus in board.buses.i2c}
        self.buses.spi = {bus.id: SpiBus() for bus in board.buses.spi}
        self.buses.uart = {bus.id: Uart(wired={"tx": bus.tx, "rx": bus.rx}) for bus in board.buses.uart}
        wanted = types.SimpleNamespace(models=[each for each in board.models if not each.model.startswith("sx12")])
        self.models = build_models(wanted, self.pins, self.buses, environment)
        self.handlers: dict[int, Callable[[Any], None]] = {}
        self.pins.on_edge = lambda number, at_us: self.handlers[number](Pin(self, number))

    def power(self, on: bool) -> None:
        for model in self.models.values():
            if isinstance(model, Powered):
                model.power(on)

    def machine(self) -> types.ModuleType:
        module = types.ModuleType("machine")
        parts = {"Pin": Pin, "ADC": Adc, "I2C": I2c, "UART": Port, "PWM": Pwm}
        vars(module).update({name: _bound(kind, self) for name, kind in parts.items()})
        module.time_pulse_us = self._time_pulse_us  # type: ignore[attr-defined]
        return module

    def esp32(self) -> types.ModuleType:
        """The module with the pulse generator, on a board that has something to do with it."""
        module = types.ModuleType("esp32")
        module.RMT = _bound(Rmt, self)  # type: ignore[attr-defined]
        return module

    def _time_pulse_us(self, pin: Any, level: int, timeout_us: int) -> int:
        width, took_us = self.pins.pulses.width_us(pin.number, level, timeout_us)
        self.loop.now_s += took_us / 1e6
        return width


def _bound(kind: type, chips: Chips) -> Any:
    names = {name: value for name, value in vars(kind).items() if name.isupper()}
    return type(
        kind.__name__, (kind,), {"__init__": lambda self, *a, **k: kind.__init__(self, chips, *a, **k), **names}
    )


class Pin:
    IN, OUT, OPEN_DRAIN, PULL_UP, PULL_DOWN, IRQ_RISING, IRQ_FALLING = 0, 1, 2, 1, 2, 1, 2

    def __init__(self, chips: Chips, number: Any, mode: int = -1, pull: Any = -1, value: int | None = None) -> None:
        self.number = getattr(number, "number", number)
        self._chips = chips
        chips.pins.init(self.number, mode, 0 if pull is None else pull, -1 if value is None else value)

    def value(self, level: int | None = None) -> int | None:
        if level is None:
            return self._chips.pins.read(self.number)
        self._chips.pins.write(self.number, level)
        return None

    def init(self, mode: int = -1, pull: int = -1, value: int | None = None) -> None:
        self._chips.pins.init(self.number, mode, pull, -1 if value is None else value)

    def irq(self, handler: Callable[[Any], None] | None, trigger: int = 3) -> None:
        self._chips.pins.pin(self.number).irq = trigger if handler else 0
        if handler:
            self._chips.handlers[self.number] = handler


class Pwm:
    def __init__(self, chips: Chips, pin: Any, *, freq: int, duty_u16: int) -> None:
        self._chips, self._number, self._freq = chips, pin.number, freq
        self.duty_u16(duty_u16)

    def duty_u16(self, value: int) -> None:
        self._chips.pins.pwm_set(self._number, self._freq, value)


class Rmt:
    def __init__(self, chips: Chips, channel: int, *, pin: Any, clock_div: int, idle_level: bool) -> None:
        assert clock_div == 80
        self._chips, self._number = chips, pin.number
        pin.init(Pin.OUT, value=idle_level)

    def write_pulses(self, spans: list[int], level: int) -> None:
        self._chips.pins.pulses.send(self._number, level, list(spans))


class Adc:
    def __init__(self, chips: Chips, pin: Any) -> None:
        self._chips, self._number = chips, pin.number
        chips.pins.adc_init(pin.number)

    def read_u16(self) -> int:
        return self._chips.pins.adc_read(self._number)


class I2c:
    def __init__(self, chips: Chips, bus: int, *, scl: Any, sda: Any, freq: int) -> None:
        self._chips, self._bus = chips, bus
        chips.buses.i2c_init(bus, f"freq={freq};scl={scl.number};sda={sda.number}".encode())

    def _device(self, address: int) -> Any:
        try:
            return self._chips.buses.i2c_device(self._bus, address)
        except HardwareError as error:
            raise OSError(error.errno) from None

    def writeto_mem(self, address: int, register: int, data: bytes, *, addrsize: int = 8) -> None:
        head = register.to_bytes(addrsize // 8, "big")
        self._device(address).write(head + bytes(data))

    def readfrom_mem(self, address: int, register: int, size: int, *, addrsize: int = 8) -> bytes:
        device = self._device(address)
        device.write(register.to_bytes(addrsize // 8, "big"))
        return device.read(size)

    def readfrom_mem_into(self, address: int, register: int, target: bytearray) -> None:
        target[:] = self.readfrom_mem(address, register, len(target))


class Port:
    def __init__(self, chips: Chips, number: int, *, baudrate: int, tx: Any, rx: Any, rxbuf: int = 256) -> None:
        self._buses, self._number = chips.buses, number
        options = f"baudrate={baudrate};tx={tx.number};rx={rx.number};rxbuf={rxbuf}"
        chips.buses.uart_init(number, options.encode())

    def any(self) -> int:
        return self._buses.uart_any(self._number)

    def read(self, size: int) -> bytes | None:
        return self._buses.uart_read(self._number, size) or None

    def write(self, data: bytes) -> None:
        self._buses.uart_write(self._number, bytes(data))


class Service:
    """What the node gives a role: a clock that knows the time, and settings."""

    def __init__(self, loop: SimLoop, start_s: float, settings: dict[str, int]) -> None:
        self.clock, self.settings = self, self
        self._loop, self._start_s, self._values = loop, start_s, settings
        self.on_change: Callable[[], None] = lambda: None
        self.at_work = self.knows_time = False
        self.damaged, self.silent_s = False, 0
        self.boots = (1, 1, 0, 0, 0, 0)
        self.link: object = None

    def __getitem__(self, name: str) -> int:
        return self._values[name]

    def change(self, **values: int) -> None:
        self._values.update(values)
        self.on_change()

    def maintained(self) -> bool:
        return self.at_work

    def is_set(self) -> bool:
        return True

    def monotonic_ms(self) -> int:
        return int(self._loop.now_s * 1000)

    def unix_ms(self, monotonic_ms: int) -> int:
        return int(self._start_s * 1000) + monotonic_ms

    def unix_s(self, uptime_s: int) -> int | None:
        return int(self._start_s) + uptime_s if self.knows_time else None

    def contact_s(self) -> int:
        return self.silent_s

    def contact_lost(self) -> bool:
        return self.silent_s > self["contact_lost_h"] * 3600

    def uptime_s(self) -> int:
        return int(self._loop.now_s)


class Bench:
    """A role at work. ``readings`` and ``alarms`` are (hours of scenario time, fields)."""

    def __init__(self, loop: SimLoop, board: str, kind: str, name: str, seed: int, **settings: int) -> None:
        self._loop = loop
        self.board = load_board(board)
        self.environment = Environment(scenario.load(name, seed), loop.time)
        self.chips = Chips(self.board, self.environment, loop)
        self.files = TornFiles(random.Random(seed))
        self.readings: list[tuple[float, dict[str, float]]] = []
        self.alarms: list[tuple[float, dict[str, float]]] = []
        self.interval_ms = 1_800_000
        controls = __import__(f"firmware.wire.kinds.{kind}_controls", fromlist=["SETTINGS"])
        defaults = {entry[0]: entry[3] for entry in (*common_controls.SETTINGS, *controls.SETTINGS)}
        self._kind, self._settings = kind, {**defaults, **settings}
        self.service = Service(loop, self.environment.scenario.start_s + 19_700 * 86_400, self._settings)
        self.role: Any = None

    @property
    def hour(self) -> float:
        """Hours of scenario time."""
        return self.environment.scenario_time_s() / 3600

    async def open(self) -> None:
        """Switch the board on."""
        from firmware.node.roles import open_role

        self.chips.power(True)
        self.role = open_role(self._kind, self.board.node.as_map(), self.files)
        self.role.attach(self.service)

    async def run(self, hours: float) -> None:
        """Let it work as the node does."""
        control = asyncio.create_task(self._control())
        sample = asyncio.create_task(self._sample())
        try:
            await asyncio.sleep(hours * 3600)
            for task in (control, sample):
                if task.done():
                    task.result()
        finally:
            for task in (control, sample):
                task.cancel()
            await asyncio.gather(control, sample, return_exceptions=True)

    async def _control(self) -> None:
        while True:
            self.role.control()
            if told := self.role.alarms():
                self.alarms.append((self.hour, told))
            await asyncio.sleep(getattr(self.role, "control_ms", LOOK_MS) / 1000)

    async def _sample(self) -> None:
        while True:
            values = await self.role.measure()
            self.readings.append((self.hour, values))
            wait_ms = getattr(self.role, "wait_ms", lambda interval_ms: interval_ms)
            await asyncio.sleep(wait_ms(self.interval_ms) / 1000)

    def alarm_hours(self, name: str) -> list[tuple[float, float]]:
        """When an alarm was raised (1) or cleared (0)."""
        return [(hour, told[name]) for hour, told in self.alarms if name in told]


@contextmanager
def _micropython(loop: SimLoop, bench: Bench) -> Iterator[None]:
    async def sleep_ms(ms: int) -> None:
        await asyncio.sleep(ms / 1000)

    def sleep_blocking(ms: int) -> None:
        loop.now_s += ms / 1000

    shims = {
        (asyncio, "sleep_ms"): sleep_ms,
        (time, "ticks_ms"): lambda: int(loop.now_s * 1000) % _TICKS,
        (time, "ticks_diff"): lambda a, b: (a - b + _TICKS // 2) % _TICKS - _TICKS // 2,
        (time, "ticks_add"): lambda a, b: (a + b) % _TICKS,
        (time, "sleep_ms"): sleep_blocking,
        (time, "ticks_us"): lambda: int(loop.now_s * 1e6) % _TICKS,
    }
    for (module, name), value in shims.items():
        setattr(module, name, value)
    before = set(sys.modules)
    sys.modules["machine"] = bench.chips.machine()
    if bench.chips.pins.pulses:
        sys.modules["esp32"] = bench.chips.esp32()
    try:
        yield
    finally:
        for module, name in shims:
            delattr(module, name)
        for name in set(sys.modules) - before | {"machine", "esp32"}:  # they hold this board's machine
            if name in ("machine", "esp32") or name.startswith("firmware.node."):
                sys.modules.pop(name, None)


def play(board: str, kind: str, name: str, seed: int, script: Callable[[Bench], Any], **settings: int) -> Bench:
    """Run *script* (a coroutine function) on a fresh bench in simulated time; return the bench."""
    loop = SimLoop()
    bench = Bench(loop, board, kind, name, seed, **settings)

    async def main() -> None:
        await bench.open()
        await script(bench)
        bench.chips.power(False)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:  # a role's own
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    with _micropython(loop, bench):
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()
            gc.collect()
    assert bench.chips.misuses == []
    return bench


__all__ = ["Bench", "play"]
