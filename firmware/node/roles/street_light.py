# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Street light: a relay, a dimmer and what they draw. Whatever is in doubt, the lamp is on."""

import asyncio

from firmware.node.lazy import borrowed
from firmware.node.log import log, log_error
from firmware.node.roles.alarms import Alarms
from firmware.node.roles.twilight import Twilight

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any  # noqa: F401  in comments that name types

_WATCH_MS = 2000
_BLIND_LOOKS = 5


class StreetLight:
    """The role. Parts that are None are not on this board; ``failures`` counts by sensor what did not answer."""

    def __init__(self, files, lamp, photocell, thermometer, meter, energy, extras) -> None:
        self._lamp = lamp
        self.photocell = photocell
        self.thermometer = thermometer
        self.meter = meter
        self._energy = energy
        self._files = files
        self.extras = extras  # what only some lights have
        self._twilight = Twilight()
        self._lux = None  # type: float | None
        self._blind = 0
        self.alarm_book = Alarms()
        self.decision = None  # type: Any  # until the node is there, the photocell decides alone
        self._health = None  # type: Any
        self.burning = None  # type: Any
        self._service = None  # type: Any
        self._watching = None  # type: asyncio.Task | None
        self._reading = asyncio.Lock()
        self._moved_s = 0
        self._counted_s = 0
        self.by = -1
        self.failures = {}  # type: dict[str, int]

    def attach(self, service) -> None:
        """Take the node's clock and settings: from now on there is a schedule."""
        from firmware.node.lamp.burning import Burning
        from firmware.node.lamp.control import Control
        from firmware.node.lamp.health import Health

        self._service = service
        self.decision = Control(service)
        self._health = Health(
            self.alarm_book, service.settings, self.extras is not None and self.extras.gear is not None
        )
        self.burning = Burning(self._files)
        service.settings.on_change = self._configured
        if self.extras is not None and self.extras.gear is not None:
            self.extras.gear.bus.link = service.link
        self._configured()

    def control(self) -> None:
        """Look at the ambient light, decide and switch."""
        self._lux = self.illuminance()
        self._blind = self._blind + 1 if self._lux is None else 0
        need_light = self._twilight.look(self._lux)
        if self.decision is None:
            self._lamp.go(100 if need_light else 0)
            return
        dark = None if self.photocell is None or self._blind >= _BLIND_LOOKS else need_light
        level, by = self.decision.decide(dark)
        fade_ms = self.decision.fade_ms(by)
        if by != self.by:
            log("lamp", "%d percent, decided by %d" % (level, by))
            self.by = by
        before = (self._lamp.on, self._lamp.dim_pct)
        self._lamp.go(level, fade_ms)
        now_s = self._service.clock.uptime_s()
        if before != (self._lamp.on, self._lamp.dim_pct):
            self._moved_s = now_s + fade_ms // 1000  # a fade is no fault
        switchings, self._lamp.switchings = self._lamp.switchings, 0
        self.burning.add(now_s - self._counted_s if self._lamp.on else 0, switchings)
        self._counted_s = now_s
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    def alarms(self) -> dict:
        """Return the alarms that were raised or cleared since it was asked last, as fields of a reading."""
        return self.alarm_book.take()

    def command(self, name: str, values: dict) -> int:
        """Obey a command; return a status of wire.requests."""
        with borrowed("lamp.orders") as orders:
            return orders.obey(self, name, values, self._service.settings["override_max_min"])

    async def measure(self) -> dict[str, float]:
        """Return what the sensors tell now."""
        values = {}  # type: dict[str, float]
        values["lamp_on"] = self._lamp.on
        values["dim_pct"] = self._lamp.dim_pct if self._lamp.on else 0
        self._lux = self.illuminance()
        if self._lux is not None:
            values["illuminance_lx"] = self._lux
        celsius = self.temperature()
        if celsius is not None:
            values["temperature_c"] = celsius
        try:
            if self.meter is not None:
                measured = await self.read_meter()
                values["power_w"] = measured.power_w
                values["voltage_v"] = measured.voltage_v
                values["current_a"] = measured.current_a
                values["energy_wh"] = self._energy.update(measured.pulses)
        except OSError as error:
            self.failed("meter", error)
        if self.extras is not None:
            await self.extras.measure(values)
        return values

    async def status(self) -> dict:
        """Return what is told once a day; by then the lamp may have aged."""
        self._compensate()
        with borrowed("lamp.reports") as reports:
            return await reports.status(self)

    async def self_test(self) -> dict:
        """Return WORKS, BROKEN or ABSENT of each component."""
        with borrowed("lamp.reports") as reports:
            return await reports.self_test(self)

    def fail_safe(self) -> None:
        """Full light."""
        self._lamp.now(100)

    def _configured(self) -> None:
        settings = self._service.settings
        self._lamp.low_pct = settings["min_dim_pct"]
        self._compensate()
        if self.extras is not None and self.extras.gear is not None:
            self.extras.gear.gears = settings["gear_count"]
        self._twilight.limits(settings["on_below_lx"], settings["off_above_lx"])
        self.decision.changed()

    def _compensate(self) -> None:
        """What full light is now, as the lamp has aged."""
        from firmware.node.lamp.health import clo_pct

        self._lamp.full_pct = clo_pct(self._service.settings["clo"], self.burning.seconds // 3600)

    async def _watch(self) -> None:
        """Task: look for faults."""
        while True:
            now_s = self._service.clock.uptime_s()
            try:
                if self.meter is not None:
                    measured = await self.read_meter()
                    level = self._lamp.dim_pct if self._lamp.on else 0
                    self._health.look(measured, level, now_s - self._moved_s, now_s)
            except OSError as error:
                self.failed("meter", error)
            celsius = self.temperature()
            if celsius is not None:
                self._health.heat(celsius)
            if self.extras is not None:
                await self.extras.look(self._service)
            await asyncio.sleep_ms(_WATCH_MS)

    async def read_meter(self):
        """Return what the meter measures. Raises OSError."""
        async with self._reading:  # two questions at once would get one torn answer
            return await self.meter.read()

    def temperature(self) -> "float | None":
        """Return the board's, in degrees Celsius."""
        try:
            return None if self.thermometer is None else self.thermometer.temperature_c()
        except OSError as error:
            self.failed("temperature", error)
            return None

    def illuminance(self) -> "float | None":
        """Return the ambient light in lux."""
        try:
            return None if self.photocell is None else self.photocell.illuminance_lx()
        except OSError as error:
            self.failed("photocell", error)
            return None

    def failed(self, sensor: str, error: OSError) -> None:
        """Count it, and tell the 1st, 2nd, 4th, 8th... time."""
        count = self.failures.get(sensor, 0) + 1
        self.failures[sensor] = count
        if count & (count - 1) == 0:
            log_error("%s failed %d times" % (sensor, count), error)


def open_role(board: dict, files) -> StreetLight:
    """Return the role on the pins of *board*; the lamp is on before anything else is tried. Raises ConfigError."""
    with borrowed("lamp.opening", "node.sensors._opening") as opening:
        light = StreetLight(files, *opening.open_parts(board, files))
    if light.extras is not None:
        light.extras.light = light
    return light
