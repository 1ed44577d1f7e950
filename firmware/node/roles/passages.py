# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One vehicle that passed, and its class. Lives until the interval has counted it; it never leaves the board."""

UNKNOWN = 0
TWO_WHEEL = 1
CAR = 2
HEAVY = 3

A = 0
B = 1

SLOWEST_KMH = 2.0
FASTEST_KMH = 250.0
_LONGEST_M = 40.0


class Passage:
    """*direction* A or B; *speed_kmh* and *length_m* None when nobody can tell; *occupied_ms* in the zone."""

    def __init__(self, direction: int, at_ms: int, occupied_ms: int, speed_kmh=None, length_m=None) -> None:
        self.direction = direction
        self.at_ms = at_ms
        self.occupied_ms = occupied_ms
        self.speed_kmh = speed_kmh
        self.length_m = length_m


def classify(length_m: float | None, two_wheel_below_m: float, heavy_from_m: float) -> int:
    """Return the class of a length; a length that no vehicle has, or none, is unknown."""
    if length_m is None or not 0.5 <= length_m <= _LONGEST_M:
        return UNKNOWN
    if length_m < two_wheel_below_m:
        return TWO_WHEEL
    return HEAVY if length_m >= heavy_from_m else CAR


def from_pair(first: tuple, second: tuple, spacing_mm: int, zone_mm: int) -> Passage | None:
    """Return the vehicle of two detectors' pulses, each (on, off) in ms on one clock; None when it cannot be one.

    The detector that came first tells the direction; the time between them the speed, the time in them the length.
    """
    between = second[0] - first[0]
    behind = second[1] - first[1]
    direction = A if between >= 0 else B
    mean = abs(between + behind) / 2
    if between * behind < 0 or mean <= 0:
        return None
    speed = spacing_mm / mean  # mm per ms is m/s
    speed_kmh = speed * 3.6
    if not SLOWEST_KMH <= speed_kmh <= FASTEST_KMH:
        return None
    occupied = ((first[1] - first[0]) + (second[1] - second[0])) / 2
    length = speed * occupied / 1000 - zone_mm / 1000
    return Passage(direction, min(first[0], second[0]), int(occupied), speed_kmh, length)


class Pairs:
    """Joins the pulses of two detectors into vehicles; a pulse that stays alone is a vehicle without a speed."""

    def __init__(self, spacing_mm: int, zone_mm: int) -> None:
        self._spacing_mm = spacing_mm
        self._zone_mm = zone_mm
        self._wait_ms = int(spacing_mm * 3.6 / SLOWEST_KMH)
        self._waiting = ([], [])  # type: tuple[list, list]

    def pulse(self, detector: int, on_ms: int, off_ms: int) -> Passage | None:
        """Take a pulse of detector 0 or 1; return the vehicle that it completes, or None."""
        others = self._waiting[1 - detector]
        while others:
            other = others.pop(0)
            if abs(other[0] - on_ms) > self._wait_ms:
                continue
            pulse = (on_ms, off_ms)
            first, second = (pulse, other) if detector == 0 else (other, pulse)
            passage = from_pair(first, second, self._spacing_mm, self._zone_mm)
            if passage is not None:
                return passage
        self._waiting[detector].append((on_ms, off_ms))
        return None

    def alone(self, now_ms: int) -> list:
        """Return the vehicles whose second pulse will not come any more."""
        found = []
        for detector in (0, 1):
            waiting = self._waiting[detector]
            while waiting and now_ms - waiting[0][1] > self._wait_ms:
                on_ms, off_ms = waiting.pop(0)
                found.append(Passage(A if detector == 0 else B, on_ms, off_ms - on_ms))
        return found
