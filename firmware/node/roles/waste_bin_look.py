# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A look at heat, tilt and lid out of deep sleep, without the rest of the node: is it worth waking for?"""

import math

from firmware.node.sensors._opening import open_sensors

# what ``values`` holds; the role fills it in and takes it back
BOARD, TENTHS_C, FIRE_C, RISE_C, FALLEN_DEG, TILTED, OPENINGS, MOVED_MS = range(8)
_CALM_MS = 3000  # as in the role
_HOT_TENTHS = 300


def quiet(values: list, now_ms: int) -> bool:
    """Look, note in *values* what was seen, and return whether the node may sleep on.

    A sensor that does not answer wakes nobody: the next reading tells of it.
    """
    calm = True
    for _, use, driver in open_sensors(values[BOARD]):
        try:
            if use == "temperature":
                tenths = int(driver.temperature_c() * 10)
                before, values[TENTHS_C] = values[TENTHS_C], tenths
                rises = before is not None and tenths - before >= 10 * values[RISE_C] and tenths > _HOT_TENTHS
                calm = calm and not rises and tenths < 10 * values[FIRE_C]
            elif use == "tilt":
                x, y, z = driver.gravity_mg()
                if driver.motions():
                    if values[MOVED_MS] is None or now_ms - values[MOVED_MS] > _CALM_MS:
                        values[OPENINGS] += 1
                    values[MOVED_MS] = now_ms
                total = math.sqrt(x * x + y * y + z * z)
                if total >= 100:
                    tilted = math.degrees(math.acos(max(-1.0, min(1.0, z / total)))) >= values[FALLEN_DEG]
                    calm = calm and tilted == values[TILTED]
        except OSError:
            pass
    return calm
