# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The time that a rig lives in: this computer's, or one that stands still while the test thinks."""

import queue
import threading
import time
from typing import Protocol, TypeVar

from boards.virtual.stepped import SteppedTime

T = TypeVar("T")
_LOOK_S = 0.005  # of real time


class Clock(Protocol):
    """What tests wait with. Seconds of the rig's time."""

    def now_s(self) -> float:
        """Since some moment."""

    def sleep(self, seconds: float) -> None:
        """Let time pass; what comes meanwhile is kept."""

    def take(self, items: "queue.Queue[T]", within_s: float) -> T:
        """Return what comes next; queue.Empty when nothing comes in time."""

    def came(self) -> None:
        """Something is about to be put into a queue that a test may wait at. Any thread."""


class RealClock:
    """This computer's."""

    def now_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def take(self, items: "queue.Queue[T]", within_s: float) -> T:
        return items.get(timeout=max(within_s, 0))

    def came(self) -> None:
        pass


class SteppedClock:
    """Time goes on only while a test waits, and stops at what it waits for. *world*: the thread that time runs in."""

    def __init__(self, time: SteppedTime, world: threading.Thread) -> None:
        self._time, self._world = time, world

    def now_s(self) -> float:
        return self._time.now_s

    def sleep(self, seconds: float) -> None:
        end_s = self._time.now_s + seconds
        while self._time.now_s < end_s:
            self._time.give(end_s)
            while not self._time.stands:
                self._alive()
                time.sleep(_LOOK_S)

    def take(self, items: "queue.Queue[T]", within_s: float) -> T:
        end_s = self._time.now_s + within_s
        if items.empty():
            self._time.give(end_s)
        while True:
            try:
                return items.get(timeout=_LOOK_S)
            except queue.Empty:
                self._alive()
                if self._time.stands and self._time.now_s >= end_s and items.empty():
                    raise

    def came(self) -> None:
        self._time.stop()

    def _alive(self) -> None:
        if not self._world.is_alive():
            raise RuntimeError("the virtual world has ended; its thread's traceback says why")
