# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Tries the ways of a plan in order until a gateway takes the frame; runs on the event loop, one call per frame."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from gateway.errors import LinkError
from gateway.network.duty import Priority
from gateway.network.timetable import Timetable
from gateway.operate.logs import EventLog, Seldom

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.clock import Clock
    from gateway.network.duty import Booking, DutyBudget
    from gateway.network.scheduler import Opportunity, Planned
    from gateway.network.timetable import Slot
    from gateway.operate.counters import Counters
    from gateway.radio import RadioDownlink, TxOutcome

LEAD_S = 0.05
"""A gateway needs this long before the window; what comes later it refuses (TX_START_DELAY and its own margin)."""
_ANSWER_BEFORE_S = 0.1
"""A gateway that has not answered this long before the last moment for the next window is not waited for."""
_MIN_WAIT_S = 0.05
_SCARCE = 0.4
"""From this share of RX1's sub-band on, what can go in RX2 leaves it to those who cannot."""
_MUCH = 0.1


class Send(Protocol):
    """Hand a frame to a link. Raises LinkError."""

    async def __call__(self, link: str, address: str, phy: bytes, when: RadioDownlink | None) -> TxOutcome | None:
        """Return what became of it; None on a line, which has nothing to say."""


class _Busy(Exception):
    """No way now; the argument is the name for the counter."""


class Transmitter:
    """Sends planned frames, within the windows and the gateways' duty cycle, and never two at a time by one gateway."""

    def __init__(self, send: Send, budget: DutyBudget, clock: Clock, counters: Counters) -> None:
        self._send = send
        self._budget = budget
        self._timetable = Timetable()
        self._clock = clock
        self._counters = counters
        self._log = EventLog("transmitter")
        self._seldom = Seldom()

    async def transmit(self, planned: Planned) -> bool:
        """Return whether a gateway took the frame for one of its windows, or a line its bytes."""
        why = "no_way"
        ways = self._ordered(planned)
        for at, way in enumerate(ways):
            if self._missed(way):
                why = "late"
                self._count(f"{way.window}_late")
                continue
            why = await self._try(planned, way, self._wait_s(ways, at))
            if not why:
                self._count(f"{way.window}_sent")
                self._counters.add("frames", "sent")
                self._log.debug("downlink", dev_eui=planned.dev_eui, window=way.window, gateway=way.address)
                return True
            self._count(f"{way.window}_{why}")
        self._counters.add("frames", "not_sent")
        self._count(f"missed_{planned.priority.name.lower()}")
        if self._seldom.allow((planned.dev_eui, why)) is not None:
            tried = len(planned.opportunities)
            self._log.warning("downlink_missed", dev_eui=planned.dev_eui, why=why, ways=tried)
        return False

    async def _try(self, planned: Planned, way: Opportunity, wait_s: float | None) -> str:
        """Return why the frame did not go this way; empty when it did."""
        try:
            booked = self._book(planned, way)
        except _Busy as error:
            return str(error)
        try:
            async with asyncio.timeout(wait_s):
                outcome = await self._send(way.link, way.address, planned.phy, way.when)
        except LinkError as error:
            self._give_back(booked)
            if self._seldom.allow(way.link) is not None:
                self._log.warning("not_sent", link=way.link, why=error)
            return "link"
        except TimeoutError:
            return "no_answer"  # perhaps it went all the same; the same frame in both windows is allowed
        if outcome is None or outcome.sent:
            return ""
        if outcome.result == "no_answer":
            return "no_answer"
        self._give_back(booked)
        return "refused"

    def _book(self, planned: Planned, way: Opportunity) -> tuple[Booking, Slot] | None:
        """Take airtime and the gateway's transmitter; None on a line. Raises _Busy."""
        if way.when is None:
            return None
        now_us = int(self._clock.monotonic_s() * 1_000_000)
        at_us = now_us if way.at_s is None else int(way.at_s * 1_000_000)
        airtime_us = way.airtime_us(len(planned.phy))
        if way.when.tmst_us is None:
            slot: Slot | None = self._timetable.take_at_once(way.address, airtime_us, now_us)
        else:
            slot = self._timetable.take(way.address, way.when.tmst_us, at_us, airtime_us, now_us)
        if slot is None:
            raise _Busy("busy")
        booking = self._budget.book(way.address, way.when.freq_hz, at_us, airtime_us, planned.priority)
        if booking is None:
            self._timetable.give_back(slot)
            raise _Busy("duty_cycle")
        return booking, slot

    def _ordered(self, planned: Planned) -> Sequence[Opportunity]:
        """Return the ways as planned, but RX2 before RX1 where RX1's sub-band is much nearer to its limit.

        A data frame in RX2 costs a smaller share of an hour; a Join-Accept, at the slowest rate there, a larger one.
        """
        ways = planned.opportunities
        first, second = (next((each for each in ways if each.window == name), None) for name in ("rx1", "rx2"))
        if first is None or second is None or planned.priority is Priority.JOIN or not first.when or not second.when:
            return ways
        at_us = int((first.at_s or 0.0) * 1_000_000)
        used = [self._budget.share(each.address, each.when.freq_hz, at_us) for each in (first, second) if each.when]
        if used[0] < _SCARCE or used[0] < used[1] + _MUCH:
            return ways
        return sorted(ways, key=lambda each: ("rx2", "rx1").index(each.window) if each.window in ("rx1", "rx2") else 2)

    def _missed(self, way: Opportunity) -> bool:
        return way.at_s is not None and self._clock.monotonic_s() > way.at_s - LEAD_S

    def _wait_s(self, ways: Sequence[Opportunity], at: int) -> float | None:
        """Return how long a gateway's answer is waited for, so that the next window can still be reached."""
        window = ways[at].window
        later = [way.at_s for way in ways[at + 1 :] if way.window != window and way.at_s is not None]
        if not later:
            return None  # the link has a limit of its own
        return max(_MIN_WAIT_S, later[0] - LEAD_S - _ANSWER_BEFORE_S - self._clock.monotonic_s())

    def _give_back(self, booked: tuple[Booking, Slot] | None) -> None:
        if booked is not None:
            self._budget.refund(booked[0])
            self._timetable.give_back(booked[1])

    def _count(self, what: str) -> None:
        self._counters.add("downlinks", what)
