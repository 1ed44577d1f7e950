# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Short lines to the console, through one place.

They travel between the COBS frames of a serial link: a line holds no NUL, and one that nobody reads is dropped, never
waited for. A fault that repeats cannot flood the line.
"""

import select
import sys
import time

_BURST = 20
_REFILL_MS = 1000
_WRITABLE_MS = 0


class _Console:
    def __init__(self) -> None:
        self.on = True
        self.suppressed = 0
        self.listener = None
        self._tokens = _BURST
        self._refilled = time.ticks_ms()
        self._poll = select.poll()
        self._poll.register(sys.stdout, select.POLLOUT)

    def line(self, text: str) -> None:
        if self.listener is not None:
            self.listener(text)
        now = time.ticks_ms()
        periods = time.ticks_diff(now, self._refilled) // _REFILL_MS
        if periods > 0:
            self._tokens = min(_BURST, self._tokens + periods)
            self._refilled = time.ticks_add(self._refilled, periods * _REFILL_MS)
        if not self.on or self._tokens <= 0 or not self._poll.poll(_WRITABLE_MS):
            self.suppressed += 1
            return
        self._tokens -= 1
        if self.suppressed:
            print("log: %d lines left out" % self.suppressed)
            self.suppressed = 0
        print(text.replace("\x00", "?"))


_console = _Console()


def log(area: str, text: str) -> None:
    """Write one line: who says it, and what."""
    _console.line("%s: %s" % (area, text))


def log_error(area: str, error: BaseException) -> None:
    """Write one line about an error that was caught, with its type."""
    _console.line("%s: %s: %s" % (area, type(error).__name__, error))


def enable(on: bool) -> None:
    """Switch the console on or off: a hardened board says nothing."""
    _console.on = on


def listen(take) -> None:
    """Give each line to *take* as well, or to nobody any more."""
    _console.listener = take
