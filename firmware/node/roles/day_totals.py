# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Counts of the day, kept on flash, so that a power cut costs a few minutes of it and never the day."""

import struct

from firmware.node.store import Slots

_RECORD = "<III"  # day since 1970, or 0 when it is not known yet; direction a; direction b
_DAY_S = 86400


class DayTotals:
    """*files* is files.Files or alike."""

    def __init__(self, files) -> None:
        self._slots = Slots(files, "day")
        self._day = 0
        self.counts = [0, 0]
        if self._slots.payload is not None and len(self._slots.payload) == 12:
            self._day, self.counts[0], self.counts[1] = struct.unpack(_RECORD, self._slots.payload)

    def add(self, counts: list, local_s: int | None) -> tuple | None:
        """Add an interval that ended at *local_s*, None while the time is not known; keep it on flash. Raises OSError.

        Return what the day before came to, when this interval is the last of it: (a, b); else None.
        """
        day = self._day if local_s is None else (local_s - 1) // _DAY_S
        if self._day == 0:
            self._day = day
        if day > self._day:  # the power was off at midnight
            self._day = day
            self.counts = [0, 0]
        self.counts[0] += counts[0]
        self.counts[1] += counts[1]
        finished = None
        if local_s is not None and local_s % _DAY_S == 0:
            finished = (self.counts[0], self.counts[1])
            self._day = day + 1
            self.counts = [0, 0]
        if finished is not None or counts[0] or counts[1]:
            self._slots.write(struct.pack(_RECORD, self._day, self.counts[0], self.counts[1]))
        return finished

    def reset(self) -> None:
        """Begin the day from 0. Raises OSError."""
        self.counts = [0, 0]
        self._slots.write(struct.pack(_RECORD, self._day, 0, 0))
