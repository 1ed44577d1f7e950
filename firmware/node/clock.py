# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Time on a board without a clock: a monotonic count, and UTC once the network has told it.

Never ``time.time()``: after a power cut it starts at an arbitrary date and looks as if it were right.
"""

_EARLIEST_MS = 1704067200000  # 2024-01-01: a network that says an earlier time has no clock itself


class Clock:
    """*ticks_ms* and *ticks_diff* are MicroPython's; their wrap is handled as long as something asks once a day."""

    def __init__(self, ticks_ms, ticks_diff, refresh_ms: int = 24 * 3600 * 1000) -> None:
        self._ticks_ms = ticks_ms
        self._ticks_diff = ticks_diff
        self._refresh_ms = refresh_ms
        self._last_ticks = ticks_ms()
        self._elapsed_ms = 0
        self._offset_ms = None  # type: int | None  # UTC in ms minus monotonic
        self._set_at_ms = 0
        self.jump_ms = 0  # by how much the last setting moved the clock

    def monotonic_ms(self) -> int:
        """Return milliseconds since the boot; never goes back and never wraps."""
        ticks = self._ticks_ms()
        self._elapsed_ms += self._ticks_diff(ticks, self._last_ticks)
        self._last_ticks = ticks
        return self._elapsed_ms

    def resume(self, monotonic_ms: int, ticks) -> None:
        """Go on after a deep sleep: when the ticks were *ticks*, the count was *monotonic_ms*."""
        self._last_ticks = ticks
        self._elapsed_ms = monotonic_ms

    def uptime_s(self) -> int:
        """Return whole seconds since the boot."""
        return self.monotonic_ms() // 1000

    def set(self, unix_ms: int, at_ms: int) -> bool:
        """Take over that it was *unix_ms* when the monotonic count was *at_ms*. Return False for an impossible time."""
        if unix_ms < _EARLIEST_MS:
            return False
        offset = unix_ms - at_ms
        self.jump_ms = 0 if self._offset_ms is None else offset - self._offset_ms
        self._offset_ms = offset
        self._set_at_ms = at_ms
        return True

    def is_set(self) -> bool:
        """Tell whether UTC is known."""
        return self._offset_ms is not None

    def due(self) -> bool:
        """Tell whether the network should be asked for the time: not set yet, or set long ago."""
        return self._offset_ms is None or self.monotonic_ms() - self._set_at_ms >= self._refresh_ms

    def unix_ms(self, monotonic_ms: int) -> int | None:
        """Return the UTC in ms of a moment of ``monotonic_ms``, or None while UTC is not known."""
        return None if self._offset_ms is None else monotonic_ms + self._offset_ms

    def unix_s(self, uptime_s: int) -> int | None:
        """Return the UTC of a moment given as seconds since this boot, or None while UTC is not known."""
        return None if self._offset_ms is None else (uptime_s * 1000 + self._offset_ms) // 1000
