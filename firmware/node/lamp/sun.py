# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Sunrise and sunset at a place, computed on the device. The same code on the host and on boards with 32-bit floats.

Low-precision positions of the sun after the Astronomical Almanac (mean longitude and anomaly, two terms of the equation
of centre), good to 0.01 degrees between 1950 and 2050. Angles that grow with the days are kept as integers of a
millionth of a degree, so that floats of 32 bits lose nothing of them.
"""

import math

DAY_S = 86400
_J2000_S = 946728000  # 2000-01-01 12:00 UTC
_TURN_UDEG = 360000000
_RAD = 0.017453292519943295
_ROUNDS = 6
NEVER_SETS = "up"
NEVER_RISES = "down"


def _position(unix_s: int) -> tuple:
    """Return (declination, equation of time) of the sun, both in degrees."""
    s = unix_s - _J2000_S
    mean = (280460000 + 985647400 * s // (1000 * DAY_S)) % _TURN_UDEG  # mean longitude
    anomaly = (357528000 + 985600300 * s // (1000 * DAY_S)) % _TURN_UDEG
    g = anomaly / 1000000 * _RAD
    centre = 1.915 * math.sin(g) + 0.020 * math.sin(2 * g)
    longitude = (mean / 1000000 + centre) * _RAD
    tilt = (23.439 - 0.0000004 * (s // DAY_S)) * _RAD
    declination = math.asin(math.sin(tilt) * math.sin(longitude))
    right = math.atan2(math.cos(tilt) * math.sin(longitude), math.cos(longitude)) / _RAD
    time = (mean / 1000000 - right + 180) % 360 - 180
    return declination / _RAD, time


def _noon(day_s: int, east_udeg: int) -> int:
    """Return when the sun stands highest on the day that begins at *day_s* UTC."""
    at = day_s + DAY_S // 2 - east_udeg * 240 // 1000000
    for _ in range(2):
        at = day_s + DAY_S // 2 - east_udeg * 240 // 1000000 - int(_position(at)[1] * 240)
    return at


def _half_day(at: int, north: float, altitude: float):
    """Return the hour angle in degrees at which the sun stands at *altitude*, NEVER_SETS or NEVER_RISES."""
    declination = _position(at)[0] * _RAD
    top = math.sin(altitude * _RAD) - math.sin(north) * math.sin(declination)
    bottom = math.cos(north) * math.cos(declination)
    if abs(top) >= abs(bottom):
        return NEVER_RISES if top > 0 else NEVER_SETS
    return math.acos(top / bottom) / _RAD


def events(day_s: int, north_udeg: int, east_udeg: int, altitude_cdeg: int = -83) -> tuple:
    """Return (rise, set) in Unix seconds on the local solar day whose calendar date begins at *day_s* UTC.

    *altitude_cdeg* is the sun's height that counts as rising and setting, in hundredths of a degree. Where it does not
    come to that, both are NEVER_SETS or NEVER_RISES.
    """
    north = north_udeg / 1000000 * _RAD
    noon = _noon(day_s, east_udeg)
    found = []
    for side in (-1, 1):
        at = noon
        for _ in range(_ROUNDS):
            half = _half_day(at, north, altitude_cdeg / 100)
            if isinstance(half, str):
                return half, half
            time = _position(at)[1]
            at = day_s + DAY_S // 2 - east_udeg * 240 // 1000000 - int(time * 240) + side * int(half * 240)
        found.append(at)
    return found[0], found[1]
