# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Waste bin: how full, how fast, how hot, how straight. On a battery: it looks now and then, and sleeps between."""

import asyncio
import math
import time

from firmware.node.errors import ConfigError
from firmware.node.lazy import borrowed
from firmware.node.log import log_error
from firmware.node.roles import fill
from firmware.node.roles.alarms import Alarms
from firmware.node.roles.bin_counts import BinCounts
from firmware.node.roles.bin_trend import KeptTrend
from firmware.node.roles.sparing import Sparing

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any

_CALM_MS = 3000  # movements closer together are one opening of the lid
_BAD_LOOKS = 3  # measurements in a row that were no good make a fault
_APART_LOOKS = 2  # measurements in a row in which sound and light do not agree, before they count as bad ones
_GOOD_LOOKS = 12  # and so many good ones end it: what fails slowly works now and then
_EVERYTHING_EVERY = 24  # readings
_FIRE_INTERVAL_MS = 60000
_MAX_RANGE_MM = 10000
_OPTICAL = "vl53l1x"
_NAP = ("roles.waste_bin_nap", "node.roles.waste_bin_look", "node.sensors._opening")


class WasteBin:
    """The role. *sensors* is a list of (chip, use, driver); a use that is missing is not on this board."""

    sleeps = True

    def __init__(self, sensors: list, files) -> None:
        self.sensors = sensors
        self._files = files
        self._thermometer = self._first("temperature")
        self._tilt = self._first("tilt")
        self._battery = self._first("battery")
        self._counts = BinCounts(files)
        self._alarms = Alarms()
        self._sparing = Sparing(_EVERYTHING_EVERY)
        self._trend = KeptTrend(files)
        self._service: "Any" = None
        self.settings: "Any" = None
        self.failures = {}  # type: dict[str, int]
        self._fill_pct = None  # type: float | None
        self._temperature_c = None  # type: float | None
        self._moved_ms: "Any" = None
        self._tilted_looks = 0
        self._apart = 0
        self._ranging = asyncio.Lock()

    def attach(self, service) -> None:
        """Take the node's clock and settings."""
        self._service = service
        self.settings = service.settings
        service.settings.on_change = self._configured
        self._configured()

    @property
    def control_ms(self) -> int:
        """How long until ``control`` is due again."""
        return 1000 if self._moved_ms is not None else self.settings["look_s"] * 1000

    def wait_ms(self, interval_ms: int) -> int:
        """Return how long to wait from one reading to the next: less when it matters."""
        if self._alarms.is_raised("fire"):
            return min(interval_ms, _FIRE_INTERVAL_MS)
        if self._fill_pct is not None and self._fill_pct >= self.settings["near_full_pct"]:
            return interval_ms // self.settings["near_full_speedup"]
        return interval_ms

    def kept(self) -> list:
        """Return what must outlive a deep sleep."""
        return [self, self._counts, self._alarms, self._sparing] + self._trend.kept()

    def nap(self):
        """Return (role, ms from look to look, what a look needs, pin that wakes); None when it must stay awake."""
        if self._moved_ms is not None or self._alarms.in_doubt() or self._alarms.is_raised("fire"):
            return None
        with borrowed(*_NAP) as nap:
            return nap.values(self._files, self.settings, self._temperature_c, self._tilted_looks > 0)

    def woken(self, values: list) -> None:
        """Take back what looks have seen meanwhile."""
        with borrowed(*_NAP) as nap:
            self._temperature_c, openings = nap.seen(values)
        if openings:
            self._counts.opened(openings)

    def alarms(self) -> dict:
        """Return the alarms that were raised or cleared since it was asked last, as fields of a reading."""
        return self._alarms.take()

    def command(self, name: str, arguments: dict) -> int:
        """Obey the one command there is, reset_counters; return 0, a status of wire.requests."""
        self._counts.reset()
        return 0

    def fail_safe(self) -> None:
        """Nothing to make safe: a bin harms nobody."""

    def control(self) -> None:
        """Look at heat, tilt and lid."""
        before = self._temperature_c
        now = self._temperature_c = self._ask("temperature", self._thermometer, "temperature_c")
        if now is not None:
            rising = before is not None and now - before >= self.settings["fire_rise_c"] and now > 30
            values = {"temperature_c": now}
            self._alarms.update("fire", now >= self.settings["fire_c"] or rising, 1 if now > 50 else 2, values)
        self._look_at_tilt()

    async def measure(self) -> dict:
        """Return what is known of the bin now."""
        values = {}  # type: dict[str, float]
        self._sparing.begin()
        if self._temperature_c is None:
            self._temperature_c = self._ask("temperature", self._thermometer, "temperature_c")
        range_mm = await self._range()
        if range_mm is not None:
            await self._take_level(range_mm, values)
        if self._temperature_c is not None:
            values["temperature_c"] = self._temperature_c
        self._look_at_battery(values)
        self._sparing.put(values, "lid_openings", self._counts.openings)
        self._sparing.put(values, "emptyings", self._counts.emptyings)
        return values

    async def self_test(self) -> dict:
        """Return for each component that there is 0 when it works, 1 when it is broken."""
        with borrowed("roles.waste_bin_check") as check:
            return await check.self_test(self)

    async def ranges_mm(self, driver, count: int) -> list:
        """Return *count* distances in millimetres, or fewer: one caller at a time. Raises OSError."""
        async with self._ranging:  # who is done switches it off, in the middle of what another one asks
            return await driver.ranges_mm(count)

    async def _range(self) -> float | None:
        """Return the distance to the content in millimetres, or None; look after the sensors' health."""
        sound = []  # type: list[float]
        light = []  # type: list[float]
        asked = good = 0
        for chip, use, driver in self.sensors:
            if use != "range":
                continue
            asked += self.settings["samples"]
            try:
                found = await self.ranges_mm(driver, self.settings["samples"])
            except OSError as error:
                self._failed(chip, error)
                continue
            if chip != _OPTICAL:
                found = [fill.sound_corrected(mm, self._temperature_c) for mm in found]
            found = [mm for mm in found if self.geometry.plausible(mm, driver.nearest_mm)]
            good += len(found)
            (light if chip == _OPTICAL else sound).extend(found)
        range_mm, agree = fill.fuse(sound, light, self.settings["height_mm"] // 8)
        self._apart = 0 if agree else self._apart + 1
        bad = asked > 0 and (2 * good < asked or self._apart >= _APART_LOOKS)
        if not self._tilted_looks:  # a lid that is open, a bin that lies: not the sensor's fault
            self._alarms.update("sensor_fault", bad, _BAD_LOOKS if bad else _GOOD_LOOKS)
        return None if 2 * good < asked else range_mm

    async def _take_level(self, range_mm: float, values: dict) -> None:
        pct = self.geometry.fill_pct(range_mm)
        if self._tilted_looks:
            return  # it looks somewhere else
        if self._fill_pct is not None and self._fill_pct - pct >= self.settings["emptied_drop_pct"]:
            again = await self._range()  # a rare thing: be sure
            if again is None or self._fill_pct - self.geometry.fill_pct(again) < self.settings["emptied_drop_pct"]:
                return
            self._counts.emptied()
            self._trend.restart()
        self._fill_pct = pct
        hour = self._hours()
        self._trend.add(hour, pct, self._unix_s())
        values["fill_pct"] = pct
        if range_mm <= _MAX_RANGE_MM:
            self._sparing.put(values, "range_m", range_mm / 1000, self.settings["height_mm"] / 2000)
        speed = self._trend.speed_pct_d()
        if speed is not None:
            values["fill_speed_pct_d"] = min(2400.0, speed)
            full_in_h = self._trend.full_in_h(hour, self.settings["full_pct"])
            if full_in_h is not None:
                values["full_in_h"] = full_in_h
        self._alarms.update("full", pct >= self.settings["full_pct"], 2, {"fill_pct": pct})

    def _look_at_tilt(self) -> None:
        gravity = self._ask("tilt", self._tilt, "gravity_mg")
        moves = self._ask("tilt", self._tilt, "motions") if gravity is not None else None
        now = time.ticks_ms()
        if moves and (self._moved_ms is None or time.ticks_diff(now, self._moved_ms) > _CALM_MS):
            self._counts.opened(1)
        if moves:
            self._moved_ms = now
        elif self._moved_ms is not None and time.ticks_diff(now, self._moved_ms) > _CALM_MS:
            self._moved_ms = None
        degrees = None if gravity is None else tilt_deg(gravity)
        if degrees is None:
            return
        tilted = degrees >= self.settings["fallen_deg"]
        self._tilted_looks = self._tilted_looks + 1 if tilted else 0
        name, looks = "fallen", 2
        if self.settings["in_lid"]:
            name, looks = "lid_open", max(2, self.settings["lid_open_min"] * 60 // self.settings["look_s"])
        self._alarms.update(name, tilted, looks if tilted else 1, {"tilt_deg": degrees})

    def _look_at_battery(self, values: dict) -> None:
        mv = self._ask("battery", self._battery, "voltage_mv")
        if mv is None:
            return
        pct = self._battery.charge_pct(mv, self._temperature_c)
        values["battery_v"] = mv / 1000
        values["battery_pct"] = pct
        self._alarms.update("battery_low", pct <= self.settings["battery_low_pct"], 3, {"battery_pct": pct})

    def _ask(self, name: str, driver, method: str):
        if driver is None:
            return None
        try:
            return getattr(driver, method)()
        except OSError as error:
            self._failed(name, error)
            return None

    def _first(self, wanted: str):
        for _, use, driver in self.sensors:
            if use == wanted:
                return driver
        return None

    def _hours(self) -> float:
        return 0.0 if self._service is None else self._service.clock.uptime_s() / 3600

    def _unix_s(self):
        return None if self._service is None else self._service.clock.unix_s(self._service.clock.uptime_s())

    def _configured(self) -> None:
        depths = [self.settings[name] for name in ("height_mm", "offset_mm", "full_mm", "taper_pct")]
        self.geometry = fill.Geometry(*depths)

    def _failed(self, sensor: str, error: OSError) -> None:
        count = self.failures.get(sensor, 0) + 1
        self.failures[sensor] = count
        if count & (count - 1) == 0:  # the 1st, 2nd, 4th, 8th... time
            log_error("%s failed %d times" % (sensor, count), error)


def tilt_deg(gravity_mg: tuple) -> float | None:
    """Return the angle between the sensor's z axis and the vertical, 0 to 180; None in free fall."""
    x, y, z = gravity_mg
    total = math.sqrt(x * x + y * y + z * z)
    return math.degrees(math.acos(max(-1.0, min(1.0, z / total)))) if total >= 100 else None


def open_role(board: dict, files) -> WasteBin:
    """Return the role on the sensors of *board*. Raises ConfigError."""
    with borrowed("sensors._opening") as opening:
        sensors = opening.open_sensors(board)
    if not [chip for chip, use, _ in sensors if use == "range"]:
        raise ConfigError("identity: a waste bin needs a range finder in board.sensors; there is none")
    return WasteBin(sensors, files)
