# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How long one device was on the air in the last hour, in as little memory for a talker as for a quiet one."""

from __future__ import annotations

from array import array

_MINUTES = 60
_MINUTE_S = 60.0
_MOST_US = 2**32 - 1


class AirtimeOfHour:
    """Sums by minute: what is asked for lies between the last 59 and the last 60 minutes. Times are Unix seconds."""

    __slots__ = ("_newest", "_spent_us")

    def __init__(self) -> None:
        self._newest = 0
        self._spent_us = array("I", bytes(_MINUTES * 4))

    def add(self, at_s: float, airtime_us: int) -> None:
        """Count one frame. A clock that is set back begins a new hour; one that jumps ahead leaves the old behind."""
        minute = int(at_s // _MINUTE_S)
        if minute != self._newest:
            self._move(minute)
        slot = minute % _MINUTES
        spent_us = self._spent_us[slot] + airtime_us
        self._spent_us[slot] = spent_us if spent_us < _MOST_US else _MOST_US

    def _move(self, minute: int) -> None:
        if abs(minute - self._newest) >= _MINUTES:
            self._spent_us = array("I", bytes(_MINUTES * 4))
            self._newest = minute
        for passed in range(self._newest + 1, minute + 1):
            self._spent_us[passed % _MINUTES] = 0
        self._newest = max(self._newest, minute)

    def total_s(self, now_s: float) -> float:
        """Return the airtime of the hour that ends at *now_s*, seconds."""
        first = max(self._newest, int(now_s // _MINUTE_S)) - _MINUTES + 1
        return sum(self._spent_us[minute % _MINUTES] for minute in range(first, self._newest + 1)) / 1_000_000
