# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Traffic: what passed in an interval. Inputs are a radar, one or two magnetometers, or one or two contacts."""

import time

from firmware.node.errors import ConfigError
from firmware.node.lazy import borrowed
from firmware.node.log import log_error
from firmware.node.roles.alarms import Alarms
from firmware.node.roles.congestion import Congestion
from firmware.node.roles.day_totals import DayTotals
from firmware.node.roles.interval import Interval
from firmware.node.roles.passages import A, B, Pairs, Passage, classify

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any

_LOOK_MS = 20
_HOUR_S = 3600
_QUIET_MS = 3600000  # a radar that says nothing for so long is asked whether it is there
_ANSWER_MS = 2000
_MOMENT_MS = 500
_BROKEN_LOOKS = 50  # looks in a row without an answer
_ZONE_MM = {"speed": 6000, "field": 1200, "contact": 2000}  # a beam 6 m above the ground, bumpers, a usual loop
_WORKS, _BROKEN = 0, 1


class Traffic:
    """The role. *sensors* is a list of (chip, use, driver), all of one use."""

    control_ms = _LOOK_MS

    def __init__(self, sensors: list, files) -> None:
        self._drivers = [driver for _, _, driver in sensors]
        self._use = sensors[0][1]
        self._look = {"speed": self._look_radar, "field": self._look_fields, "contact": self._look_contacts}[self._use]
        self._alarms = Alarms()
        self._interval = Interval()
        self._congestion = Congestion()
        self._days = DayTotals(files)
        self._service: "Any" = None
        self.settings: "Any" = None
        self._now_ms = 0
        self._last_ticks = time.ticks_ms()
        self._begun_ms = 0
        self._failed_looks = [0] * len(sensors)
        self._heard_ms = 0
        self._asked_ms = None  # type: int | None
        self._occupied = False
        self.failures = {}  # type: dict[str, int]

    def attach(self, service) -> None:
        """Take the node's clock and settings."""
        self._service = service
        self.settings = service.settings
        service.settings.on_change = self._configured
        self._configured()

    def _configured(self) -> None:
        values = self.settings
        zone_mm = values["zone_mm"] or _ZONE_MM[self._use]
        self._pairs = Pairs(values["spacing_mm"], zone_mm)
        if self._use == "speed":
            from firmware.node.roles.radar_tracker import RadarTracker

            self._tracker = RadarTracker(zone_mm, values["radar_angle_deg"])
        elif self._use == "field":
            from firmware.node.roles.field_detector import FieldDetector

            limits = values["field_on_nt"], values["field_off_nt"]
            self._detectors = [FieldDetector(limits[0], limits[1]) for _ in self._drivers]
        else:
            self._closed_ms = [None, None]  # type: list[int | None]

    def wait_ms(self, interval_ms: int) -> int:
        """Return how long to wait for the end of the interval: with the time known, intervals end on whole ones."""
        now_ms = self._utc_ms()
        if now_ms is None:
            return interval_ms
        left_ms = interval_ms - now_ms % interval_ms
        return left_ms if left_ms > interval_ms // 8 else left_ms + interval_ms  # no sliver of an interval

    def alarms(self) -> dict:
        """Return the alarms that were raised or cleared since it was asked last, as fields of a reading."""
        return self._alarms.take()

    def command(self, name: str, arguments: dict) -> int:
        """Obey the one command there is, reset_counters; return 0, a status of wire.requests."""
        self._days.reset()
        return 0

    def fail_safe(self) -> None:
        """Nothing to make safe: it only looks."""

    def control(self) -> None:
        """Look at the road."""
        ticks = time.ticks_ms()
        self._now_ms += time.ticks_diff(ticks, self._last_ticks)
        self._last_ticks = ticks
        self._look()
        settings = self.settings
        slow, occupancy = settings["congested_kmh"], settings["congested_occupancy_pct"]
        congested = self._congestion.look(self._now_ms, self._occupied, slow, occupancy)
        self._alarms.update("congested", congested)

    async def measure(self) -> dict:
        """Return what passed since the last time."""
        length_ms, self._begun_ms = self._now_ms - self._begun_ms, self._now_ms
        counts = list(self._interval.counts)
        few = self.settings["suppress_below"]
        maintained = self._service is not None and self._service.maintained()
        if maintained or length_ms < _MOMENT_MS:  # people and ladders are no traffic; the start is no interval
            self._interval.close(length_ms, few)
            return {"interval_s": 0}
        values = self._interval.close(length_ms, few)
        self._add_day(counts, values, few)
        return values

    async def self_test(self) -> dict:
        """Return for each component that there is 0 when it works, 1 when it is broken."""
        import asyncio

        result = {}
        for i in range(len(self._drivers)):
            driver = self._drivers[i]
            name = "radar" if self._use == "speed" else "%s_%d" % (self._use, i + 1)
            try:
                if self._use == "speed":
                    driver.ask()
                    await asyncio.sleep_ms(_ANSWER_MS)
                    good = driver.heard()
                elif self._use == "field":
                    total = sum([abs(axis) for axis in driver.field_nt()])
                    good = 15000 <= total <= 200000  # the earth's field is 25 to 65 uT
                else:
                    driver.closed()
                    good = driver.lost == 0
            except OSError as error:
                log_error("self-test: %s" % name, error)
                good = False
            result[name] = _WORKS if good else _BROKEN
        return result

    def _add_day(self, counts: list, values: dict, few: int) -> None:
        """Tell the day's total on the hour; when small counts are kept back, only the whole day's."""
        now_ms = self._utc_ms()
        local_s = None
        if now_ms is not None:
            local_s = (now_ms + 500) // 1000 + 60 * self.settings["day_starts_min"]
            local_s -= local_s % 60 if local_s % 60 < 5 else 0  # the interval ended on the minute
        try:
            finished = self._days.add(counts, local_s)
        except OSError as error:
            self._failed("day", error)
            return
        if finished is None and local_s is not None and local_s % _HOUR_S == 0 and not few:
            finished = (self._days.counts[0], self._days.counts[1])
        if finished is not None:
            values["day_count_a"], values["day_count_b"] = finished

    def _passed(self, passage: Passage | None) -> None:
        if passage is None:
            return
        settings = self.settings
        if settings["reverse"]:
            passage.direction = A + B - passage.direction
        below, heavy = settings["two_wheel_below_cm"] / 100, settings["heavy_from_cm"] / 100
        self._interval.add(passage, classify(passage.length_m, below, heavy), settings["limit_kmh"])
        self._congestion.vehicle(passage.speed_kmh)

    def _look_radar(self) -> None:
        driver = self._drivers[0]
        speeds = driver.speeds()
        now = self._now_ms
        for speed in speeds:
            self._passed(self._tracker.report(now, speed))
        if speeds:
            self._heard_ms = now
        else:
            self._passed(self._tracker.idle(now))
        self._occupied = self._tracker.occupied
        if self._asked_ms is not None and now - self._asked_ms > _ANSWER_MS:
            self._alarms.update("sensor_fault", not driver.heard(), 2)
            self._asked_ms = None
            self._heard_ms = now
        elif self._asked_ms is None and now - self._heard_ms > _QUIET_MS:
            driver.ask()
            self._asked_ms = now

    def _look_fields(self) -> None:
        now = self._now_ms
        self._occupied = False
        for i in range(len(self._drivers)):
            try:
                field = self._drivers[i].field_nt()
            except OSError as error:
                self._answered(i, False)
                self._failed("field_%d" % (i + 1), error)
                continue
            self._answered(i, True)
            pulse = self._detectors[i].sample(now, field)
            self._occupied = self._occupied or self._detectors[i].occupied
            if pulse is not None:
                self._pulse(i, pulse[0], pulse[1])
        self._alone()

    def _look_contacts(self) -> None:
        ticks = self._last_ticks
        for i in range(len(self._drivers)):
            for at, closed in self._drivers[i].edges():
                at_ms = self._now_ms - time.ticks_diff(ticks, at)
                begun = self._closed_ms[i]
                if closed and begun is None:
                    self._closed_ms[i] = at_ms
                elif not closed and begun is not None:
                    self._closed_ms[i] = None
                    self._pulse(i, begun, at_ms)
        self._occupied = self._closed_ms[0] is not None or self._closed_ms[1] is not None
        self._alone()

    def _pulse(self, detector: int, on_ms: int, off_ms: int) -> None:
        if len(self._drivers) == 1:
            self._passed(Passage(A, on_ms, off_ms - on_ms))
        else:
            self._passed(self._pairs.pulse(detector, on_ms, off_ms))

    def _alone(self) -> None:
        if len(self._drivers) > 1:
            for passage in self._pairs.alone(self._now_ms):
                self._passed(passage)

    def _answered(self, i: int, well: bool) -> None:
        self._failed_looks[i] = 0 if well else self._failed_looks[i] + 1
        broken = max(self._failed_looks) >= _BROKEN_LOOKS
        if well or broken:
            self._alarms.update("sensor_fault", broken)

    def _utc_ms(self) -> int | None:
        if self._service is None:
            return None
        clock = self._service.clock
        return clock.unix_ms(clock.monotonic_ms())

    def _failed(self, sensor: str, error: OSError) -> None:
        count = self.failures.get(sensor, 0) + 1
        self.failures[sensor] = count
        if count & (count - 1) == 0:  # the 1st, 2nd, 4th, 8th... time
            log_error("%s failed %d times" % (sensor, count), error)


def open_role(board: dict, files) -> Traffic:
    """Return the role on the sensors of *board*. Raises ConfigError."""
    with borrowed("sensors._opening") as opening:
        sensors = [each for each in opening.open_sensors(board) if each[1] in ("speed", "field", "contact")]
    uses = {use for _, use, _ in sensors}
    if len(uses) != 1 or len(sensors) > 2 or (uses == {"speed"} and len(sensors) > 1):
        found = ", ".join([chip for chip, _, _ in sensors])
        raise ConfigError("identity: traffic needs one radar, or one or two of one other detector, not [%s]" % found)
    return Traffic(sensors, files)
