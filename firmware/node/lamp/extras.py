# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What only some street lights have: gear that can be asked, an accelerometer, a door, a thermistor on the driver.

Loaded where the board's file names one of them.
"""

from math import acos, sqrt

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any  # noqa: F401  in a comment that names a type

_GEAR_EVERY = 5  # of the role's looks: the bus is slow, and a query holds the processor
_GEAR_LOOKS = 2
_GEAR_FAILURE = 1  # bits of the answer to QUERY STATUS, IEC 62386-102
_LAMP_FAILURE = 2
_BROKEN_ANSWER = -1
_DRIVER_STEP_C = 3
_WEIGHTLESS_MG = 500  # falling, or broken
_DEG_PER_RAD = 57.29578
_WORKS, _BROKEN = 0, 1


class Extras:
    """*gear* is the lamp, None when it cannot be asked; *sensors* are (chip, use, driver) of ``[[node.sensors]]``.

    ``light`` is the role.
    """

    def __init__(self, gear, sensors: list) -> None:
        self.gear = gear
        self.light = None  # type: Any
        self._sensors = sensors
        self._upright = None  # type: tuple | None  # as it hung when it was put up
        self._driver_c = None  # type: float | None
        self._turn = 0

    async def look(self, service) -> None:
        """Look for faults."""
        alarms = self.light.alarm_book
        for _, use, driver in self._sensors:
            if use == "tilt":
                angle = self._angle_deg(driver, service.maintained())
                if angle is not None:
                    alarms.update("tilted", angle >= service.settings["tilt_deg"], 2, {"tilt_deg": angle})
            elif use == "contact":
                alarms.update("door_open", not driver.closed(), 2)
        self._turn += 1
        if self.gear is not None and self._turn % _GEAR_EVERY == 0:
            await self._look_at_gear(alarms)

    async def measure(self, values: dict) -> None:
        """Add the driver's temperature, from a sensor on it or from the gear itself, when it is another than before."""
        celsius = None if self.gear is None else await self.gear.temperature_c()
        for _, use, driver in self._sensors:
            if use == "temperature":
                try:
                    celsius = driver.temperature_c()
                except OSError as error:
                    self.light.failed("driver temperature", error)
        if celsius is not None and (self._driver_c is None or abs(celsius - self._driver_c) >= _DRIVER_STEP_C):
            values["driver_temperature_c"] = self._driver_c = celsius

    async def self_test(self, found: dict) -> None:
        """Add a result for each."""
        if self.gear is not None:
            status = await self.gear.look()
            broken = status is None or status == _BROKEN_ANSWER or status & _GEAR_FAILURE
            found["gear"] = _BROKEN if broken else _WORKS
        for _, use, driver in self._sensors:
            if use == "tilt":
                found["tilt"] = _BROKEN if self._angle_deg(driver, False) is None else _WORKS
            elif use == "contact":
                found["door"] = _WORKS

    async def _look_at_gear(self, alarms) -> None:
        """Gear that does not answer has failed, or its bus has: to a city it is the same."""
        status = await self.gear.look()
        if status is False or status == _BROKEN_ANSWER:
            return
        alarms.update("gear_failure", status is None or status & _GEAR_FAILURE != 0, _GEAR_LOOKS)
        if status is not None:
            alarms.update("lamp_failure", status & _LAMP_FAILURE != 0, _GEAR_LOOKS)

    def _angle_deg(self, driver, anew: bool) -> "float | None":
        """Return the angle to how it hung at first, or *anew* to now; None when it cannot be told."""
        try:
            x, y, z = driver.gravity_mg()
        except OSError as error:
            self.light.failed("tilt", error)
            return None
        length = sqrt(x * x + y * y + z * z)
        if length < _WEIGHTLESS_MG:
            return None
        now = (x / length, y / length, z / length)
        if self._upright is None or anew:
            self._upright = now
        dot = sum([a * b for a, b in zip(now, self._upright)])
        return acos(max(-1, min(1, dot))) * _DEG_PER_RAD
