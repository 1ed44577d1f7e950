# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the programs of a street light mean for the days around a moment. Needed once a day, and not kept."""

from firmware.node.lamp import days, sun

MIDNIGHT, SUNSET, SUNRISE = 0, 1, 2
_DAYS_BACK = 2  # a level holds until the next step, which may be a day and more ago


def around(settings, unix_s: int) -> tuple:
    """Return (from, until, steps, light, usable): good between the two moments, the local day of *unix_s*."""
    offset_s = _offset_s(settings, unix_s)
    day = (unix_s + offset_s) // days.DAY_S
    steps, light = [], []
    for each in range(day - _DAYS_BACK, day + 2):
        midnight_s = each * days.DAY_S - _offset_s(settings, each * days.DAY_S - settings["utc_offset_min"] * 60)
        rise, fall = _sun(settings, each)
        if rise == sun.NEVER_SETS:
            light.append((midnight_s, midnight_s + days.DAY_S + 3600))
        elif isinstance(rise, int):
            light.append((rise, fall))
        steps += _steps(_program(settings, each), midnight_s, fall, rise)
    steps.sort()
    from_s = day * days.DAY_S - offset_s
    return from_s, from_s + days.DAY_S, steps, light, _usable(settings)


def _offset_s(settings, unix_s: int) -> int:
    return days.offset_s(unix_s, settings["utc_offset_min"], settings["eu_summer_time"])


def _sun(settings, day: int) -> tuple:
    if not settings["positioned"]:
        return None, None
    place = (settings["latitude_udeg"], settings["longitude_udeg"], settings["sun_altitude_cdeg"])
    return sun.events(day * days.DAY_S, *place)


def _steps(program: list, midnight_s: int, fall, rise) -> list:
    found = []
    for anchor, minutes, pct in program:
        base = (midnight_s, fall, rise)[anchor]
        if isinstance(base, int):
            found.append((base + 60 * minutes, pct))
        elif (anchor == SUNSET and base == sun.NEVER_RISES) or (anchor == SUNRISE and base == sun.NEVER_SETS):
            found.append((midnight_s, pct))  # the whole day is night, or day
    return found


def _program(settings, day: int) -> list:
    _, month, month_day = days.civil(day)
    for date, which in settings["exceptions"]:
        if date == month * 100 + month_day:
            return settings["program_%d" % which][1]
    for which in range(4):
        mask, steps = settings["program_%d" % which]
        if mask >> days.weekday(day) & 1:
            return steps
    return []


def _usable(settings) -> bool:
    if settings["positioned"]:
        return True
    for which in range(4):
        mask, steps = settings["program_%d" % which]
        if mask and any(step[0] != MIDNIGHT for step in steps):
            return False
    return True
