# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What both forms of a batch of readings have in common: a signed number as one without a sign, and the bounds."""

from firmware.wire import readings
from firmware.wire.errors import Malformed

EPOCH_S = 1767225600  # 2026-01-01
MAX_KEY = 255


def unfolded(number: int) -> int:
    """Return n of 2 n, and of -2 n - 1 when it was negative."""
    return -(number + 1 >> 1) if number & 1 else number >> 1


def within(value: int, low: int) -> int:
    """Return it. Raises Malformed when it is outside *low* to 32 bits."""
    if not low <= value <= readings.MAX_SEQ:
        raise Malformed("batch: %d is outside %d to %d" % (value, low, readings.MAX_SEQ))
    return value


def after(before: "int | bool", change: int) -> "int | bool":
    """Return a field's value after a change, of the same type. Raises Malformed."""
    value = within(int(before) + change, -readings.MAX_SEQ)
    if not isinstance(before, bool):
        return value
    if value not in (0, 1):
        raise Malformed("batch: %d for true or false" % value)
    return bool(value)
