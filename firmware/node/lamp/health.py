# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a lamp, judged from what it draws. Alarms are raised and cleared through roles/alarms.py."""

_DARK_SHARE = 0.2  # a lamp that draws less of its rated power than this gives no light
_NOTHING_W = 0.5  # a driver that works draws more, whatever its lamp does
_LOOKS = 3
_CYCLES = 4
_CYCLES_WITHIN_S = 3600


class Health:
    """*alarms* is a roles.alarms.Alarms, *settings* those of the light; *gear_tells*: it judges itself and lamp."""

    def __init__(self, alarms, settings, gear_tells: bool = False) -> None:
        self._alarms = alarms
        self._settings = settings
        self._gear_tells = gear_tells
        self._drew = False
        self._drops = []  # type: list[int]  # when the lamp went out by itself

    def look(self, measured, level_pct: int, steady_s: int, now_s: int) -> None:
        """Judge one measurement; *steady_s* is for how long the lamp has been told nothing new."""
        settings, alarms = self._settings, self._alarms
        volts = measured.voltage_v
        alarms.update("undervoltage", volts < settings["low_v"], _LOOKS, {"voltage_v": volts})
        alarms.update("overvoltage", volts > settings["high_v"], _LOOKS, {"voltage_v": volts})
        rated_w = settings["rated_w"]
        if not rated_w or steady_s < 10:
            return
        draws = measured.power_w > rated_w * _DARK_SHARE * max(level_pct, 50) / 100
        power = {"power_w": measured.power_w}
        alarms.update("day_burner", level_pct == 0 and draws, _LOOKS, power)
        if level_pct:
            if self._drew and not draws:
                self._drops.append(now_s)
            if self._drops and now_s - self._drops[0] >= _CYCLES_WITHIN_S:
                self._drops.pop(0)
            alarms.update("cycling", len(self._drops) >= _CYCLES, 1, power)
            if not self._gear_tells:
                alarms.update("lamp_failure", not draws, _LOOKS, power)
                alarms.update("gear_failure", measured.power_w < _NOTHING_W, _LOOKS, power)
        else:
            self._drops = []
        self._drew = draws and level_pct > 0

    def heat(self, celsius: float) -> None:
        """Judge the board's temperature."""
        hot = self._settings["hot_c"]
        known = self._alarms.is_raised("overheated")
        self._alarms.update("overheated", celsius >= (hot - 10 if known else hot), 2, {"temperature_c": celsius})


def clo_pct(points: list, burn_h: int) -> int:
    """Return the share of full power for constant light after so many hours; *points* are [hours / 1000, percent]."""
    before = None
    for hours, pct in points:
        at = hours * 1000
        if burn_h < at:
            if before is None:
                return pct
            return before[1] + (pct - before[1]) * (burn_h - before[0]) // (at - before[0])
        before = (at, pct)
    return 100 if before is None else before[1]
