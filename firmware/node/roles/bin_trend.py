# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How fast a bin fills, kept through restarts: days of points are not to be collected anew after a power cut."""

import struct

from firmware.node.log import log_error
from firmware.node.roles import fill
from firmware.node.store import Slots

_HEAD = "<I"  # Unix seconds of the last point, 0 when nobody knew
_POINT = "<HH"  # minutes before the last point, hundredths of a percent
_POINT_BYTES = 4
_STORE_EVERY_H = 4  # flash wear against what a power cut may cost
_OLDEST_MIN = 65535
_MAX_GAP_H = 24 * 30


class KeptTrend:
    """A fill.Trend on flash. Hours are the node's uptime; what was stored waits until the time of day is known."""

    def __init__(self, files) -> None:
        self._slots = Slots(files, "trend")
        self._trend = fill.Trend()
        self._before = self._slots.payload or b""
        self._stored_h = None  # type: float | None

    def kept(self) -> list:
        """Return what must outlive a deep sleep."""
        return [self, self._trend]

    def restart(self) -> None:
        """The bin was emptied."""
        self._trend.restart()
        self._before = b""
        self._stored_h = None
        self._write(b"")

    def add(self, hour: float, pct: float, unix_s) -> None:
        """Take a level at *hour*; *unix_s* is None while the clock is not set."""
        if self._before and unix_s is not None:
            self._join(hour, unix_s)
        self._trend.add(hour, pct)
        if self._stored_h is None:
            self._stored_h = hour
        if hour - self._stored_h >= _STORE_EVERY_H and not self._before:
            self._stored_h = hour
            self._write(self._packed(hour, unix_s))

    def speed_pct_d(self):
        """As fill.Trend."""
        return self._trend.speed_pct_d()

    def full_in_h(self, hour: float, full_pct: float):
        """As fill.Trend."""
        return self._trend.full_in_h(hour, full_pct)

    def _join(self, hour: float, unix_s: int) -> None:
        """Put what was stored before what has come since."""
        before, self._before = self._before, b""
        then_s = struct.unpack(_HEAD, before[:_POINT_BYTES])[0]
        gap_h = (unix_s - then_s) / 3600
        if not then_s or not 0 <= gap_h <= _MAX_GAP_H:
            return
        points = []
        for at in range(_POINT_BYTES, len(before) - _POINT_BYTES + 1, _POINT_BYTES):
            minutes, level = struct.unpack(_POINT, before[at : at + _POINT_BYTES])
            points.append((hour - gap_h - minutes / 60, level / 100))
        self._trend.prepend(points)

    def _packed(self, hour: float, unix_s) -> bytes:
        points = self._trend.points()
        last_h = points[-1][0]
        packed = struct.pack(_HEAD, 0 if unix_s is None else int(unix_s - (hour - last_h) * 3600))
        for at_h, level in points:
            packed += struct.pack(_POINT, min(_OLDEST_MIN, int((last_h - at_h) * 60 + 0.5)), int(level * 100 + 0.5))
        return packed

    def _write(self, payload: bytes) -> None:
        try:
            self._slots.write(payload)
        except OSError as error:
            log_error("bin: the trend is not stored", error)
