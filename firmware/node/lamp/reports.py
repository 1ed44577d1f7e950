# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a street light tells of itself once a day, and its self-test. Loaded for that moment; *light* is the role."""

_WORKS, _BROKEN, _ABSENT = 0, 1, 2
_BY_SAFETY = (3, 4)  # lamp.control.SAFETY, PHOTOCELL


async def status(light) -> dict:
    """Return the fields of the daily report."""
    values = {
        "burn_h": light.burning.seconds // 3600,
        "switchings": light.burning.switchings,
        "overridden": light.decision.overridden(),
        "by_safety": light.by in _BY_SAFETY,
    }
    measured = await _measured(light)
    if measured is not None and measured.voltage_v * measured.current_a > 1:
        values["power_factor"] = min(1, measured.power_w / (measured.voltage_v * measured.current_a))
    return values


async def self_test(light) -> dict:
    """Return WORKS, BROKEN or ABSENT of each component."""
    found = {"lamp": _BROKEN if light.alarm_book.is_raised("lamp_failure") else _WORKS}
    found["photocell"] = _judged(light.photocell, light.illuminance)
    found["thermometer"] = _judged(light.thermometer, light.temperature)
    found["meter"] = _ABSENT
    if light.meter is not None:
        found["meter"] = _BROKEN if await _measured(light) is None else _WORKS
    if light.extras is not None:
        await light.extras.self_test(found)
    return found


def _judged(part, look) -> int:
    return _ABSENT if part is None else (_BROKEN if look() is None else _WORKS)


async def _measured(light):
    try:
        return None if light.meter is None else await light.read_meter()
    except OSError:
        return None
