# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Time that goes on only while everybody waits, so that nothing can be late however busy this computer is.

A world of boards, air and gateways in one event loop (``SteppedLoop``) and one thread outside it, which looks on and
answers. Time stands still while anything in the loop can run, while *quiet()* is false (a board's program computes, a
datagram is on its way), and while the thread outside thinks: it grants time with ``give``, and an event that it has
to know of takes the rest of that back with ``stop``. Then time leaps to the next timer. An hour of waiting costs
nothing; a program that neither waits nor looks at its clock stops time for good.
"""

import asyncio
import selectors
import struct
import threading
import time
from collections.abc import Callable

from boards.virtual import protocol

_LOOK_S = 1.0  # of real time, while nothing may move
TICK_US = 20  # what a look at the clock takes a board; a loop that only looks comes to its end
_MOMENT = struct.Struct("<q")
FOREVER = -1
AHEAD_S = 1e6
STEPPED = "LYKTA_STEPPED"  # in the environment of an interpreter that shall wait in this way


class SteppedTime:
    """The clock. `now_s` belongs to the loop; `give`, `stop` and `spent` may be called from another thread."""

    def __init__(self, quiet: Callable[[], bool]) -> None:
        # MicroPython's asyncio is partly in C, where a task that may run now is due at the computer's own time. That
        # has to be in the past of this one.
        self.now_s = time.monotonic() + AHEAD_S
        self._quiet = quiet
        self._until_s: float | None = None
        self._lock = threading.Lock()
        self.wake: Callable[[], object] = lambda: None

    def give(self, until_s: float) -> None:
        """Time may go on until then."""
        with self._lock:
            self._until_s = until_s
        self.wake()

    def stop(self) -> None:
        """It may not go on any more."""
        with self._lock:
            self._until_s = None

    @property
    def stands(self) -> bool:
        """Whether what was given is used up or taken back."""
        return self._until_s is None

    def step(self, wait_s: float | None) -> bool:
        """Leap over a wait of the loop (None: it waits for no timer); False if time has to stand still."""
        with self._lock:
            if self._until_s is None or not self._quiet():
                return False
            due_s = self._until_s if wait_s is None else self.now_s + wait_s
            if due_s < self._until_s:
                self.now_s = due_s
            else:
                self.now_s = max(self.now_s, self._until_s)
                self._until_s = None
            return True


class _Selector(selectors.DefaultSelector):
    """What is ready comes first; then time."""

    def __init__(self, stepped: SteppedTime) -> None:
        super().__init__()
        self._stepped = stepped

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0) or self._stepped.step(timeout):
            return ready
        return super().select(_LOOK_S)


class SteppedLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers run on a SteppedTime."""

    def __init__(self, stepped: SteppedTime) -> None:
        self._stepped = stepped
        super().__init__(_Selector(stepped))
        stepped.wake = lambda: self.call_soon_threadsafe(lambda: None)

    def time(self) -> float:
        """Seconds of stepped time."""
        return self._stepped.now_s


class Pause:
    """The wait of a board's program for a moment, or for something to happen before it (HAL operation CLOCK).

    `answer` gets the framed answer.
    """

    def __init__(self, answer: Callable[[bytes], object]) -> None:
        self._answer = answer
        self._timer: asyncio.TimerHandle | None = None
        self.waiting = False

    def begin(self, payload: bytes) -> None:
        """Until that moment, in microseconds; FOREVER: until something happens; a moment past: for a tick."""
        loop = asyncio.get_running_loop()
        (until_us,) = _MOMENT.unpack(payload)
        self.waiting = True
        if until_us != FOREVER:
            self._timer = loop.call_at(max(until_us, _now_us(loop) + TICK_US) / 1e6, self.end)

    def end(self) -> None:
        """Something has happened, or the moment has come."""
        if self.waiting:
            self.clear()
            self._answer(protocol.answer(protocol.STATUS_OK, _MOMENT.pack(_now_us(asyncio.get_running_loop()))))

    def clear(self) -> None:
        """The program is gone, or goes on."""
        self.waiting = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _now_us(loop: asyncio.AbstractEventLoop) -> int:
    return round(loop.time() * 1e6)
