# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""When each gateway's one transmitter is taken, so that no two downlinks are given to it for the same moment. Pure.

A gateway refuses what overlaps with its queue (COLLISION_PACKET), and then the window is often gone for another way.
Frames that are timed by a gateway's counter are compared by that counter, whose microseconds are its own truth; the
daemon's clock, which hears of each uplink later by a changing delay, only says where the counter is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from gateway.radio import U32_MODULUS

GUARD_US = 60_000
"""Between two frames. The queue of sx1302_hal keeps 42.5 ms apart: TX_START_DELAY, TX_MARGIN_DELAY, TX_JIT_DELAY."""
AT_ONCE_US = 1_000_000
"""A gateway sends what is to go at once this much later, or as soon as there is room after that (jitqueue.c)."""
_AT_ONCE_GUARD_US = 250_000
"""More, on both sides: the frame is timed where it arrives, and its way there is not known."""
_ASTRAY_US = 2_000_000
"""A counter that is this far from where it should be has begun anew."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A transmitter's time, guard included: microseconds of the daemon's clock, as the gateway's counter maps to it."""

    gateway: str
    start_us: int
    end_us: int


@dataclass(slots=True)
class _Gateway:
    slots: list[Slot] = field(default_factory=list)
    anchor: tuple[int, int] | None = None
    """A value of the counter, and the daemon's microseconds that it stands for here."""


class Timetable:
    """All gateways' transmitters. Moments are microseconds of one clock that never goes back."""

    def __init__(self) -> None:
        self._gateways: dict[str, _Gateway] = defaultdict(_Gateway)

    def take(self, gateway: str, tmst_us: int, near_us: int, airtime_us: int, now_us: int) -> Slot | None:
        """Take the time of a frame for *tmst_us* of the gateway's counter, about *near_us* here; None: it is taken."""
        known = self._current(gateway, now_us)
        start_us = _place(known, tmst_us, near_us) - GUARD_US // 2
        slot = Slot(gateway, start_us, start_us + airtime_us + GUARD_US)
        if _first_blocker(known.slots, slot) is not None:
            return None
        known.slots.append(slot)
        return slot

    def take_at_once(self, gateway: str, airtime_us: int, now_us: int) -> Slot:
        """Take the time of a frame without a moment: the first that is free, which the gateway finds by itself."""
        known = self._current(gateway, now_us)
        start_us = now_us + AT_ONCE_US - _AT_ONCE_GUARD_US
        while True:
            slot = Slot(gateway, start_us, start_us + airtime_us + 2 * _AT_ONCE_GUARD_US)
            blocker = _first_blocker(known.slots, slot)
            if blocker is None:
                known.slots.append(slot)
                return slot
            start_us = blocker.end_us

    def give_back(self, slot: Slot) -> None:
        """The frame is not sent at that time."""
        slots = self._gateways[slot.gateway].slots
        if slot in slots:
            slots.remove(slot)

    def _current(self, gateway: str, now_us: int) -> _Gateway:
        known = self._gateways[gateway]
        known.slots = [slot for slot in known.slots if slot.end_us > now_us]
        return known


def _place(known: _Gateway, tmst_us: int, near_us: int) -> int:
    """Return where the counter's *tmst_us* is here. The anchor moves along, so that no wrap of it is missed."""
    if known.anchor is not None:
        counter, at_us = known.anchor
        ahead_us = (tmst_us - counter + U32_MODULUS // 2) % U32_MODULUS - U32_MODULUS // 2
        turns = round((near_us - at_us - ahead_us) / U32_MODULUS)  # nothing was sent for an hour or more
        place_us = at_us + ahead_us + turns * U32_MODULUS
        if abs(place_us - near_us) <= _ASTRAY_US:
            known.anchor = (tmst_us, place_us)
            return place_us
    known.anchor = (tmst_us, near_us)
    return near_us


def _first_blocker(slots: list[Slot], wanted: Slot) -> Slot | None:
    return next((each for each in slots if wanted.start_us < each.end_us and each.start_us < wanted.end_us), None)
