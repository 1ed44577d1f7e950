# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Time that goes on only while everybody waits, so that nothing can be late however busy this computer is.

A world of boards, air and gateways in one event loop (``SteppedLoop``) and one thread outside it, which looks on and
answers. Time stands still while anything in the loop can run, while one of *parties* says that it is at work (a board's
program computes, a datagram is on its way), and while the thread outside thinks: it grants time with ``give``, and an
event that it has to know of takes the rest of that back with ``stop``. Then time leaps to the next timer. An hour of
waiting costs nothing; a program that neither waits nor looks at its clock stops time for good.
"""

import asyncio
import selectors
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from boards.virtual import protocol

T = TypeVar("T")
_LOOK_S = 1.0  # of real time, while nothing may move
TICK_US = 20  # what a look at the clock takes a board; a loop that only looks comes to its end
_MOMENT = struct.Struct("<q")
FOREVER = -1
AHEAD_S = 1e6
HEAP_BYTES = 1536  # of hal/board_clock.py
NAME = "LYKTA_STEPPED"  # in the environment of an interpreter that shall wait in this way


class SteppedTime:
    """The clock. `now_s` belongs to the loop; `give`, `stop` and `spent` may be called from another thread."""

    def __init__(self) -> None:
        # MicroPython's asyncio is partly in C, where a task that may run now is due at the computer's own time. That
        # has to be in the past of this one.
        self.now_s = time.monotonic() + AHEAD_S
        self.parties: list[Callable[[], bool]] = []
        """What time waits for: each tells whether it rests. Boards enter by themselves."""
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
            if self._until_s is None or not all(rests() for rests in self.parties):
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
        self.stepped = stepped
        super().__init__(_Selector(stepped))
        stepped.wake = lambda: self.call_soon_threadsafe(lambda: None)
        self._aside = 0  # what other threads work at for this loop
        stepped.parties.append(lambda: self._aside == 0)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """As in any loop; time stands still until the other thread is through."""
        future = super().run_in_executor(executor, func, *args)
        self._aside += 1
        future.add_done_callback(self._came_back)
        return future

    def _came_back(self, _future: object) -> None:
        self._aside -= 1

    def time(self) -> float:
        """Seconds of stepped time."""
        return self.stepped.now_s


def run(main: Coroutine[Any, Any, T], for_s: float = 1e5) -> T:
    """Run *main* in stepped time as asyncio.run() does in the computer's; no more than *for_s* of it."""
    stepped = SteppedTime()
    stepped.give(stepped.now_s + for_s)
    with asyncio.Runner(loop_factory=lambda: SteppedLoop(stepped)) as runner:
        return runner.run(main)


def clock() -> Callable[[], float]:
    """The running loop's time where that is stepped, else the computer's, in seconds."""
    loop = _stepped_loop()
    return time.monotonic if loop is None else loop.time


def heap_bytes() -> int:
    """How much heap a board needs more in stepped time, for what it waits with."""
    return 0 if _stepped_loop() is None else HEAP_BYTES


def _stepped_loop() -> SteppedLoop | None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return loop if isinstance(loop, SteppedLoop) else None


class Pause:
    """The wait of a board's program for a moment, or for something to happen before it (HAL operation CLOCK).

    `answer` gets the framed answer. Its time waits while the program neither waits nor is *at_prompt*.
    """

    def __init__(self, loop: SteppedLoop, answer: Callable[[bytes], object]) -> None:
        self._loop, self._answer = loop, answer
        self.at_prompt = False
        loop.stepped.parties.append(self._rests)
        self._timer: asyncio.TimerHandle | None = None
        self.waiting = False

    def begin(self, payload: bytes) -> None:
        """Until that moment, in microseconds; FOREVER: until something happens; a moment past: for a tick."""
        (until_us,) = _MOMENT.unpack(payload)
        self.waiting = True
        if until_us != FOREVER:
            self._timer = self._loop.call_at(max(until_us, self._now_us() + TICK_US) / 1e6, self.end)

    def end(self) -> None:
        """Something has happened, or the moment has come."""
        if self.waiting:
            self._clear()
            self._answer(protocol.answer(protocol.STATUS_OK, _MOMENT.pack(self._now_us())))

    def leave(self) -> None:
        """The program is gone."""
        self._clear()
        self._loop.stepped.parties.remove(self._rests)

    def _clear(self) -> None:
        self.waiting = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rests(self) -> bool:
        return self.waiting or self.at_prompt

    def _now_us(self) -> int:
        return round(self._loop.time() * 1e6)


def enter(answer: Callable[[bytes], object]) -> Pause | None:
    """Return the pause of a program that begins; None where time is the computer's."""
    loop = _stepped_loop()
    return None if loop is None else Pause(loop, answer)
