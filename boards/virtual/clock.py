# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Clocks of the chip: the real-time clock, and the timers that interrupt."""

import asyncio
import datetime
import struct
from collections.abc import Callable

from boards.virtual.protocol import EVENT, Event, UnknownPart

EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
_FIELDS = struct.Struct("<HBBBBBBI")
REMIND_S = 0.01
MEMORY_BYTES = 2048


class Rtc:
    """Runs from 2000-01-01 at power-on; weekday 0 is Monday."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self.power_on()

    def power_on(self) -> None:
        """What it knew is gone."""
        self._set, self._at_s = EPOCH, self._now_s()
        self._memory = b""

    def memory(self, data: bytes | None = None) -> bytes:
        """The bytes beside it that outlive a deep sleep; UnknownPart for more than there is room for."""
        if data is not None:
            if len(data) > MEMORY_BYTES:
                raise UnknownPart(f"RTC.memory(): {len(data)} bytes; there are {MEMORY_BYTES}")
            self._memory = data
        return self._memory

    def read(self) -> bytes:
        """(year, month, day, weekday, hour, minute, second, microsecond), packed."""
        t = self._set + datetime.timedelta(seconds=self._now_s() - self._at_s)
        return _FIELDS.pack(t.year, t.month, t.day, t.weekday(), t.hour, t.minute, t.second, t.microsecond)

    def write(self, payload: bytes) -> None:
        """Set it; UnknownPart if there is no such time."""
        year, month, day, _, hour, minute, second, us = _FIELDS.unpack(payload)
        try:
            self._set = datetime.datetime(year, month, day, hour, minute, second, us, datetime.UTC)
        except ValueError as e:
            raise UnknownPart(f"RTC.datetime(): {e}") from None
        self._at_s = self._now_s()


class Interrupts:
    """Pending interrupts and the timers that raise them. `raise_line` is called until they are fetched."""

    def __init__(self, raise_line: Callable[[], None], now_s: Callable[[], float]) -> None:
        self._raise_line, self._now_s = raise_line, now_s
        self._pending: dict[tuple[Event, int], int] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._reminder: asyncio.TimerHandle | None = None

    def clear(self) -> None:
        """A reset: nothing pends, no timer runs."""
        self._pending.clear()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None

    def raise_event(self, kind: Event, number: int, at_us: int | None = None) -> None:
        """One interrupt, now or at at_us; one that still pends is not doubled, as with a flag in a register."""
        self._pending.setdefault((kind, number), round(self._now_s() * 1e6) if at_us is None else at_us)
        self._remind()

    def take(self) -> bytes:
        """What pends, packed as protocol.EVENT."""
        taken = b"".join(EVENT.pack(*event, at_us) for event, at_us in self._pending.items())
        self._pending.clear()
        return taken

    def start_timer(self, number: int, periodic: bool, period_us: int) -> None:
        """Period 0 stops it."""
        old = self._timers.pop(number, None)
        if old is not None:
            old.cancel()
        if period_us:
            self._arm(number, period_us / 1e6, periodic, asyncio.get_running_loop().time())

    def _arm(self, number: int, period_s: float, periodic: bool, since_s: float) -> None:
        due_s = since_s + period_s

        def expire() -> None:
            self._timers.pop(number, None)
            if periodic:
                self._arm(number, period_s, periodic, due_s)
            self.raise_event(Event.TIMER, number)

        self._timers[number] = asyncio.get_running_loop().call_at(due_s, expire)

    def _remind(self) -> None:
        # The scheduler's queue may be full when the line goes up, so it goes up again.
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None
        if self._pending:
            self._raise_line()
            self._reminder = asyncio.get_running_loop().call_later(REMIND_S, self._remind)
