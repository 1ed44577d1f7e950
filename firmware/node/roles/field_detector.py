# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A vehicle in the earth's magnetic field: iron above a magnetometer bends it, and lets it go again."""

_BASE_SHIFT = 9  # the field at rest follows what is measured by 1/512 a sample while nothing is there
_HOLD_MS = 120  # between axles the field may come near its rest
_PARKED_MS = 120000  # what stands so long is the new rest


class FieldDetector:
    """Turns samples of the field into pulses. *on_nt* and *off_nt*: the sum of what the axes differ from their rest.

    ``occupied`` says whether something is there now.
    """

    def __init__(self, on_nt: int, off_nt: int) -> None:
        self._on_nt = on_nt
        self._off_nt = off_nt
        self._rest = None  # type: list[int] | None  # each axis times 2 ** _BASE_SHIFT
        self._on_ms = 0
        self._below_ms = None  # type: int | None
        self._last = (0, 0)  # time and deviation of the last sample
        self.occupied = False
        self.rebased = 0

    def sample(self, now_ms: int, field_nt: tuple) -> tuple | None:
        """Take (x, y, z) in nanotesla; return (on, off) in ms when a vehicle has left, else None."""
        if self._rest is None:
            self._rest = [axis << _BASE_SHIFT for axis in field_nt]
        deviation = 0
        for i in range(3):
            deviation += abs(field_nt[i] - (self._rest[i] >> _BASE_SHIFT))
        pulse = self._look(now_ms, deviation)
        self._last = (now_ms, deviation)
        if self.occupied and now_ms - self._on_ms > _PARKED_MS:
            self._rest = None
            self.occupied = False
            self.rebased += 1
            return (self._on_ms, now_ms)
        if not self.occupied:
            for i in range(3):
                self._rest[i] += field_nt[i] - (self._rest[i] >> _BASE_SHIFT)
        return pulse

    def _look(self, now_ms: int, deviation: int) -> tuple | None:
        if not self.occupied:
            if deviation >= self._on_nt:
                self.occupied = True
                self._on_ms = self._crossed(now_ms, deviation, self._on_nt)
                self._below_ms = None
            return None
        if deviation >= self._off_nt:
            self._below_ms = None
            return None
        if self._below_ms is None:
            self._below_ms = self._crossed(now_ms, deviation, self._off_nt)
        if now_ms - self._below_ms < _HOLD_MS:
            return None
        self.occupied = False
        return (self._on_ms, self._below_ms)

    def _crossed(self, now_ms: int, deviation: int, threshold: int) -> int:
        """Return when the line between the last sample and this one met the threshold."""
        then_ms, before = self._last
        if before == deviation or not 0 < now_ms - then_ms < 1000:
            return now_ms
        return then_ms + (now_ms - then_ms) * (threshold - before) // (deviation - before)
