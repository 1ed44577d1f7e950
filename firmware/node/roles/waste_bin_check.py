# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A waste bin's self-test: each sensor, and whether the board is mounted so that they can see. Lent to the role."""

import math

from firmware.node.log import log_error
from firmware.node.roles import fill
from firmware.node.roles.waste_bin import tilt_deg

_SAMPLES = 5
_GOOD_SAMPLES = 3
_DEAD_MV = 2000
_CROOKED_DEG = 20  # from there on a range finder looks at the wall
_WORKS, _BROKEN = 0, 1
_OPTICAL = "vl53l1x"
_COMPONENT = {_OPTICAL: "optical", "range": "ultrasonic", "temperature": "thermometer"}


async def self_test(role) -> dict:
    """Return for each component that there is 0 when it works, 1 when it is broken.

    ``mount`` is broken when the board hangs crooked, when a range finder does not see the inside of the bin or sees
    now this and now that (an edge, a bracket, a liner), or when two of them see different things.
    """
    result = {}
    seen = []
    straight = True
    for chip, use, driver in role.sensors:
        try:
            if use == "range":
                good, steady = await _look(role, driver, seen)
                straight = straight and steady
            elif use == "tilt":
                good, upright = _hangs(driver.gravity_mg())
                straight = straight and (upright or role.settings["in_lid"] == 1)
            else:
                good = -45 < driver.temperature_c() < 125 if use == "temperature" else driver.voltage_mv() > _DEAD_MV
        except OSError as error:
            log_error("self-test: %s" % chip, error)
            good = False
        result[_COMPONENT.get(chip if chip in _COMPONENT else use, use)] = _WORKS if good else _BROKEN
    if len(seen) > 1 and max(seen) - min(seen) > _apart_mm(role):
        straight = False
    result["mount"] = _WORKS if straight else _BROKEN
    return result


async def _look(role, driver, seen: list) -> tuple:
    """Return whether a range finder works, and whether what it sees is one thing; add that to *seen*."""
    found = await role.ranges_mm(driver, _SAMPLES)
    inside = [mm for mm in found if role.geometry.plausible(mm, driver.nearest_mm)]
    if len(inside) < _GOOD_SAMPLES:
        return False, len(found) < _GOOD_SAMPLES  # one that is dead hangs as it should, for all we know
    seen.append(fill.median(inside))
    return True, max(inside) - min(inside) <= _apart_mm(role)


def _hangs(gravity_mg: tuple) -> tuple:
    """Return whether the accelerometer works, and whether it is upright."""
    x, y, z = gravity_mg
    degrees = tilt_deg(gravity_mg)
    return 800 <= math.sqrt(x * x + y * y + z * z) <= 1200, degrees is not None and degrees <= _CROOKED_DEG


def _apart_mm(role) -> int:
    return role.settings["height_mm"] // 8
