# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Tells a person's or a tool's Ctrl-C from the bytes of frames.

No frame starts with 0x03: MHDR 0x03 is no valid LoRaWAN header. So Ctrl-C twice, or Enter and Ctrl-C (as mpremote
begins), right behind a delimiter or a pause is a break, and so is one Ctrl-C there with silence after it.
"""

NONE = 0
MAYBE = 1  # one Ctrl-C so far; silence makes it a break
BREAK = 2

_CTRL_C = 0x03
_ENTER = 0x0D
_PAUSE_MS = 1000  # a frame does not rest that long in its middle


class BreakWatch:
    """Feed it what arrives; ``state`` is NONE, MAYBE or BREAK."""

    def __init__(self) -> None:
        self.state = NONE
        self._possible = True  # nothing but Enter and Ctrl-C since the delimiter
        self._armed = False  # there was one of them
        self._last_ms = None  # type: int | None

    def feed(self, data: bytes, now_ms) -> int:
        """Take bytes that arrived at *now_ms* (wrapping ticks are fine) and return the state."""
        if self._last_ms is not None and not 0 <= now_ms - self._last_ms < _PAUSE_MS:
            self._begin()
        self._last_ms = now_ms
        for byte in data:
            if self.state == BREAK:
                break
            self._byte(byte)
        return self.state

    def _begin(self) -> None:
        self._possible = True
        self._armed = False
        self.state = NONE

    def _byte(self, byte: int) -> None:
        if byte == 0:
            self._begin()
        elif self._possible:
            if byte == _CTRL_C:
                self.state = BREAK if self._armed else MAYBE
            else:
                self.state = NONE
                self._possible = byte == _ENTER
            self._armed = True
