# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""From distances to how full a bin is. Pure: no sensor, no clock."""

_SPEED_OF_SOUND_20 = 343.2  # m/s; range finders count on 20 C


def median(values: list) -> float:
    """Return the middle of *values*, of which there is at least one."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def sound_corrected(mm: float, temperature_c: float | None) -> float:
    """Return a distance that was timed with sound at 20 C, corrected for the air's temperature."""
    if temperature_c is None:
        return mm
    return mm * (331.3 + 0.606 * temperature_c) / _SPEED_OF_SOUND_20


class Geometry:
    """A bin that is *height_mm* deep; the sensor sits *offset_mm* above its rim. *full_mm* of the depth stay free.

    With *taper_pct* the bottom is narrower than the rim by so much, in width and in depth: the share of the height is
    turned into a share of the volume.
    """

    def __init__(self, height_mm: int, offset_mm: int, full_mm: int, taper_pct: int) -> None:
        self._bottom_mm = height_mm + offset_mm
        self._span_mm = height_mm - full_mm
        self._taper = taper_pct / 100

    def plausible(self, mm: float, nearest_mm: int) -> bool:
        """Tell whether a distance can come from inside the bin; a tenth of the depth is forgiven at the bottom."""
        return nearest_mm <= mm <= self._bottom_mm + self._span_mm // 10

    def fill_pct(self, mm: float) -> float:
        """Return how full the bin is when its content begins *mm* below the sensor, 0 to 100."""
        level = min(1.0, max(0.0, (self._bottom_mm - mm) / self._span_mm))
        if self._taper:
            narrow = 1 - self._taper
            level = _frustum(level, narrow) / _frustum(1.0, narrow)
        return level * 100


def _frustum(level: float, narrow: float) -> float:
    """Return the volume up to *level* of a body whose width grows from *narrow* to 1: the integral of its square."""
    grow = 1 - narrow
    return narrow * narrow * level + narrow * grow * level * level + grow * grow * level * level * level / 3


def fuse(ultrasonic: list, optical: list, agree_mm: float) -> tuple:
    """Return (distance or None, whether the two kinds of sensor agree) of what each found plausible.

    Sound spreads and finds what is nearest, also a wall; light sees one spot. Where they agree the mean counts. Where
    they do not, no level is better than a wrong one: a lorry may be sent for it.
    """
    if not ultrasonic or not optical:
        found = ultrasonic or optical
        return (median(found) if found else None), True
    sound, light = median(ultrasonic), median(optical)
    if abs(sound - light) > agree_mm:
        return None, False
    return (sound + light) / 2, True


_POINTS = 32
_MIN_POINTS = 4
_MIN_SPAN_H = 3


class Trend:
    """How fast a bin fills, from the time it was emptied on: a line through points that thin out as they grow old.

    Memory is bounded: when all places are taken, every second point goes, and new ones come half as often.
    """

    def __init__(self) -> None:
        self._hours = []  # type: list[float]
        self._levels = []  # type: list[float]
        self._every_h = 0.0

    def restart(self) -> None:
        """The bin was emptied."""
        self._hours = []
        self._levels = []
        self._every_h = 0.0

    def add(self, hour: float, pct: float) -> None:
        """Take a level at a time in hours; times only grow."""
        if self._hours and hour - self._hours[-1] < self._every_h:
            return
        if len(self._hours) >= _POINTS:
            self._hours = self._hours[::2]
            self._levels = self._levels[::2]
            self._every_h = (self._hours[-1] - self._hours[0]) / len(self._hours)
        self._hours.append(hour)
        self._levels.append(pct)

    def points(self) -> list:
        """Return (hour, percent) of each point it holds."""
        return [(self._hours[i], self._levels[i]) for i in range(len(self._hours))]

    def prepend(self, points: list) -> None:
        """Put points, in order, before those that it holds; thins them out when they are too many."""
        points = points + self.points()
        while len(points) > _POINTS:
            points = points[::2]
        self._hours = [point[0] for point in points]
        self._levels = [point[1] for point in points]
        self._every_h = (self._hours[-1] - self._hours[0]) / len(points) if points else 0.0

    def speed_pct_d(self) -> float | None:
        """Return percent a day, or None when nobody can say yet. Never below 0: what settles does not empty."""
        line = self._line()
        return None if line is None else max(0.0, line[0] * 24)

    def full_in_h(self, hour: float, full_pct: float) -> float | None:
        """Return in how many hours the line reaches *full_pct*, 0 when it has, None when not within a year."""
        line = self._line()
        if line is None:
            return None
        slope, last_h, level = line
        missing = full_pct - (level + slope * (hour - last_h))
        if missing <= 0:
            return 0.0
        if slope <= 0 or missing > slope * 8760:
            return None
        return missing / slope

    def _line(self) -> tuple | None:
        """Return (slope per hour, hour, level then) of the least-squares line; counts from the last hour."""
        count = len(self._hours)
        if count < _MIN_POINTS or self._hours[-1] - self._hours[0] < _MIN_SPAN_H:
            return None
        last = self._hours[-1]
        mean_h = sum(hour - last for hour in self._hours) / count
        mean_level = sum(self._levels) / count
        above = below = 0.0
        for i in range(count):
            distance = self._hours[i] - last - mean_h
            above += distance * (self._levels[i] - mean_level)
            below += distance * distance
        slope = above / below
        return slope, last, mean_level - slope * mean_h
