# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a start takes over from the duty cycle's record on flash. Loaded for that, and given back."""

from firmware.node.lorawan.duty import JOIN_PHASES, STEP_MS, budget_ms
from firmware.node.store import decode
from firmware.wire import region
from firmware.wire.errors import Malformed

_LOST_MS = STEP_MS + 2800  # so much more than the record before it a lost one may have said: a step, a longest frame


def read(payload, damaged: bool) -> tuple:
    """Return (certain, air time by age in slices of each band, silence, time spent joining, its phase, its air time).

    A record that nobody can read counts as one of a board that has used up everything. One of which the newest may be
    lost (*damaged*) is short of what that one could have said at most.
    """
    try:
        bands, silence, joining, phase, join_used = decode(payload or b"")
        used = [_by_age(bands[band]) for band in range(len(region.BANDS))]
    except (Malformed, ValueError, TypeError, IndexError, KeyError):
        used = [{0: budget_ms(band)} for band in range(len(region.BANDS))]
        return False, used, 0, 0, 0, JOIN_PHASES[0][1]
    if damaged:
        for each in used:
            each[0] = each.get(0, 0) + _LOST_MS
        join_used += _LOST_MS
    return not damaged, used, silence, joining, phase, join_used


def _by_age(ages: list) -> dict:
    found = {}  # type: dict[int, int]
    for age, air_ms in zip(ages[::2], ages[1::2]):
        found[-age] = found.get(-age, 0) + air_ms
    return found
