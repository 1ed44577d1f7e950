# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Street light: a relay, a dimmer and what they draw. Whatever is in doubt, the lamp is on."""

import asyncio

from machine import ADC, I2C, PWM, UART, Pin

from firmware.node.config import board_int
from firmware.node.lamp.output import Lamp
from firmware.node.log import log, log_error
from firmware.node.roles.alarms import Alarms
from firmware.node.roles.energy import EnergyTotal
from firmware.node.roles.twilight import Twilight
from firmware.node.sensors.bl0942 import PULSES_PER_WH, PULSES_WRAP, Bl0942
from firmware.node.sensors.lm75 import Lm75
from firmware.node.sensors.photocell import Photocell

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any  # noqa: F401  in comments that name types

_DIM_HZ = 1000
_FULL = 65535
_WATCH_MS = 2000
_BLIND_LOOKS = 5


class StreetLight:
    """The role. Sensors that are None are not on this board; ``failures`` counts by sensor what did not answer."""

    def __init__(self, lamp: Lamp, photocell, thermometer, meter, energy, files, others) -> None:
        self._lamp = lamp
        self._photocell = photocell
        self._thermometer = thermometer
        self._meter = meter
        self._energy = energy
        self._files = files
        self._others = others  # sensors of [[node.sensors]]: (chip, use, driver)
        self._twilight = Twilight()
        self._lux = None  # type: float | None
        self._blind = 0
        self._alarms = Alarms()
        self._control = None  # type: Any  # until the node is there, the photocell decides alone
        self._health = None  # type: Any
        self._burning = None  # type: Any
        self._service = None  # type: Any
        self._watching = None  # type: asyncio.Task | None
        self._reading = asyncio.Lock()
        self._moved_s = 0
        self._counted_s = 0
        self._by = -1
        self._upright = None  # type: tuple | None
        self.failures = {}  # type: dict[str, int]

    def attach(self, service) -> None:
        """Take the node's clock and settings: from now on there is a schedule."""
        from firmware.node.lamp.burning import Burning
        from firmware.node.lamp.control import Control
        from firmware.node.lamp.health import Health

        self._service = service
        self._control = Control(service)
        self._health = Health(self._alarms, service.settings)
        self._burning = Burning(self._files)
        service.settings.on_change = self._configured
        self._configured()

    def control(self) -> None:
        """Look at the ambient light, decide and switch."""
        self._lux = self._illuminance()
        self._blind = self._blind + 1 if self._lux is None else 0
        need_light = self._twilight.look(self._lux)
        if self._control is None:
            self._lamp.go(100 if need_light else 0)
            return
        dark = None if self._photocell is None or self._blind >= _BLIND_LOOKS else need_light
        level, by = self._control.decide(dark)
        if by != self._by:
            log("lamp", "%d percent, decided by %d" % (level, by))
            self._by = by
        before = (self._lamp.on, self._lamp.dim_pct)
        self._lamp.go(level, self._service.settings["fade_ms"])
        now_s = self._service.clock.uptime_s()
        if before != (self._lamp.on, self._lamp.dim_pct):
            self._moved_s = now_s
        switchings, self._lamp.switchings = self._lamp.switchings, 0
        self._burning.add(now_s - self._counted_s if self._lamp.on else 0, switchings)
        self._counted_s = now_s
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    def alarms(self) -> dict:
        """Return the alarms that were raised or cleared since it was asked last, as fields of a reading."""
        return self._alarms.take()

    def command(self, name: str, values: dict) -> int:
        """Obey a command; return a status of wire.requests."""
        from firmware.wire import requests

        if name == "dim":
            most = self._service.settings["override_max_min"]
            self._control.override(values.get("percent", 100), min(values.get("minutes", most), most))
        elif name == "release":
            self._control.release()
        elif name == "reset_counters":
            self._burning.reset(values.get("burn_hours", False), values.get("switches", False))
        else:
            return requests.UNKNOWN
        return requests.DONE

    async def measure(self) -> dict[str, float]:
        """Return what the sensors tell now."""
        values = {}  # type: dict[str, float]
        values["lamp_on"] = self._lamp.on
        values["dim_pct"] = self._lamp.dim_pct if self._lamp.on else 0
        self._lux = self._illuminance()
        if self._lux is not None:
            values["illuminance_lx"] = self._lux
        celsius = self._temperature()
        if celsius is not None:
            values["temperature_c"] = celsius
        try:
            if self._meter is not None:
                measured = await self._read_meter()
                values["power_w"] = measured.power_w
                values["voltage_v"] = measured.voltage_v
                values["current_a"] = measured.current_a
                values["energy_wh"] = self._energy.update(measured.pulses)
        except OSError as error:
            self._failed("meter", error)
        return values

    async def status(self) -> dict:
        """Return what is told once a day."""
        values = {
            "burn_h": self._burning.seconds // 3600,
            "switchings": self._burning.switchings,
            "overridden": self._control.overridden(),
            "by_safety": self._by in (3, 4),
        }
        try:
            measured = None if self._meter is None else await self._read_meter()
        except OSError:
            measured = None
        if measured is not None and measured.voltage_v * measured.current_a > 1:
            values["power_factor"] = min(1, measured.power_w / (measured.voltage_v * measured.current_a))
        return values

    async def self_test(self) -> dict:
        """Return WORKS, BROKEN or ABSENT of each component."""
        works, broken, absent = 0, 1, 2
        found = {"lamp": broken if self._alarms.is_raised("lamp_failure") else works}
        found["photocell"] = (
            absent if self._photocell is None else (works if self._illuminance() is not None else broken)
        )
        found["thermometer"] = absent
        if self._thermometer is not None:
            found["thermometer"] = works if self._temperature() is not None else broken
        found["meter"] = absent
        if self._meter is not None:
            try:
                await self._read_meter()
                found["meter"] = works
            except OSError:
                found["meter"] = broken
        for _, use, driver in self._others:
            if use == "tilt":
                found["tilt"] = works if self._angle(driver) is not None else broken
            elif use == "contact":
                found["door"] = works
        return found

    def fail_safe(self) -> None:
        """Full light."""
        self._lamp.now(100)

    def _configured(self) -> None:
        from firmware.node.lamp.health import clo_pct

        settings = self._service.settings
        self._lamp.low_pct = settings["min_dim_pct"]
        self._lamp.full_pct = clo_pct(settings["clo"], self._burning.seconds // 3600)
        self._twilight.limits(settings["on_below_lx"], settings["off_above_lx"])
        self._control.changed()

    async def _watch(self) -> None:
        """Task: look for faults."""
        while True:
            now_s = self._service.clock.uptime_s()
            try:
                if self._meter is not None:
                    measured = await self._read_meter()
                    level = self._lamp.dim_pct if self._lamp.on else 0
                    self._health.look(measured, level, now_s - self._moved_s, now_s)
            except OSError as error:
                self._failed("meter", error)
            celsius = self._temperature()
            if celsius is not None:
                self._health.heat(celsius)
            for _, use, driver in self._others:
                if use == "tilt":
                    self._look_at_tilt(driver)
                elif use == "contact":
                    self._alarms.update("door_open", not driver.closed(), 2)
            await asyncio.sleep_ms(_WATCH_MS)

    async def _read_meter(self):
        async with self._reading:  # two questions at once would get one torn answer
            return await self._meter.read()

    def _look_at_tilt(self, driver) -> None:
        angle = self._angle(driver)
        if angle is not None:
            self._alarms.update("tilted", angle >= self._service.settings["tilt_deg"], 2, {"tilt_deg": angle})

    def _angle(self, driver) -> "float | None":
        from math import acos, sqrt

        try:
            x, y, z = driver.gravity_mg()
        except OSError as error:
            self._failed("tilt", error)
            return None
        length = sqrt(x * x + y * y + z * z)
        if length < 500:  # falling, or broken
            return None
        now = (x / length, y / length, z / length)
        if self._upright is None or self._service.maintained():
            self._upright = now  # as it hangs when it is put up
        dot = sum(a * b for a, b in zip(now, self._upright))
        return acos(max(-1, min(1, dot))) * 57.29578

    def _temperature(self) -> "float | None":
        try:
            return None if self._thermometer is None else self._thermometer.temperature_c()
        except OSError as error:
            self._failed("temperature", error)
            return None

    def _illuminance(self) -> "float | None":
        try:
            return None if self._photocell is None else self._photocell.illuminance_lx()
        except OSError as error:
            self._failed("photocell", error)
            return None

    def _failed(self, sensor: str, error: OSError) -> None:
        count = self.failures.get(sensor, 0) + 1
        self.failures[sensor] = count
        if count & (count - 1) == 0:  # the 1st, 2nd, 4th, 8th... time
            log_error("%s failed %d times" % (sensor, count), error)


def open_role(board: dict, files) -> StreetLight:
    """Return the role on the pins of *board*; the lamp is on before anything else is tried. Raises ConfigError."""
    lamp = open_lamp(board)
    photocell = Photocell(ADC(Pin(board_int(board, "photocell_adc")))) if "photocell_adc" in board else None
    thermometer = meter = energy = None
    if "temperature_addr" in board or ("i2c" in board and "sensors" not in board):
        bus = board["i2c"]
        i2c = I2C(
            board_int(bus, "id"),
            scl=Pin(board_int(bus, "scl")),
            sda=Pin(board_int(bus, "sda")),
            freq=board_int(bus, "hz", 100000),
        )
        thermometer = Lm75(i2c, board_int(board, "temperature_addr", 0x48))
    if "meter_uart" in board:
        port = board["meter_uart"]
        uart = UART(
            board_int(port, "id"),
            baudrate=board_int(port, "baud", 4800),
            tx=Pin(board_int(port, "tx")),
            rx=Pin(board_int(port, "rx")),
        )
        meter = Bl0942(uart)
        energy = EnergyTotal(files, "energy", PULSES_PER_WH, PULSES_WRAP)
    others = []  # type: list
    if "sensors" in board:
        from firmware.node.sensors._opening import open_sensors

        others = open_sensors(board)
    return StreetLight(lamp, photocell, thermometer, meter, energy, files, others)


def open_lamp(board: dict) -> Lamp:
    """Return the lamp on the pins of *board*, switched on."""
    relay = Pin(board_int(board, "lamp_pin"), Pin.OUT, value=1)
    pwm = None
    if "dim_pin" in board:
        pwm = PWM(Pin(board_int(board, "dim_pin")), freq=board_int(board, "dim_hz", _DIM_HZ), duty_u16=_FULL)
    return Lamp(relay, pwm)
