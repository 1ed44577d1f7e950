# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Tries the ways of a plan in order until a gateway takes the frame; runs on the event loop, one call per frame."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from gateway.errors import LinkError
from gateway.operate.logs import EventLog, Seldom

if TYPE_CHECKING:
    from gateway.clock import Clock
    from gateway.network.duty import Booking, DutyBudget
    from gateway.network.scheduler import Opportunity, Planned
    from gateway.operate.counters import Counters
    from gateway.radio import RadioDownlink, TxOutcome

LEAD_S = 0.05
"""A gateway needs this long before the window; what comes later it refuses (TX_START_DELAY and its own margin)."""
_ANSWER_BEFORE_S = 0.1
"""A gateway that has not answered this long before the last moment for the next window is not waited for."""
_MIN_WAIT_S = 0.05


class Send(Protocol):
    """Hand a frame to a link. Raises LinkError."""

    async def __call__(self, link: str, address: str, phy: bytes, when: RadioDownlink | None) -> TxOutcome | None:
        """Return what became of it; None on a line, which has nothing to say."""


class Transmitter:
    """Sends planned frames, within the windows and within the gateways' duty cycle."""

    def __init__(self, send: Send, budget: DutyBudget, clock: Clock, counters: Counters) -> None:
        self._send = send
        self._budget = budget
        self._clock = clock
        self._counters = counters
        self._log = EventLog("transmitter")
        self._seldom = Seldom()

    async def transmit(self, planned: Planned) -> bool:
        """Return whether a gateway took the frame for one of its windows, or a line its bytes."""
        why = "no_way"
        for at, way in enumerate(planned.opportunities):
            if self._missed(way):
                why = "late"
                self._count(f"{way.window}_late")
                continue
            why = await self._try(planned, way, self._wait_s(planned, at))
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
        booking: Booking | None = None
        if way.when is not None:
            at_us = int((self._clock.monotonic_s() if way.at_s is None else way.at_s) * 1_000_000)
            airtime_us = way.airtime_us(len(planned.phy))
            booking = self._budget.book(way.address, way.when.freq_hz, at_us, airtime_us, planned.priority)
            if booking is None:
                return "duty_cycle"
        try:
            async with asyncio.timeout(wait_s):
                outcome = await self._send(way.link, way.address, planned.phy, way.when)
        except LinkError as error:
            self._give_back(booking)
            if self._seldom.allow(way.link) is not None:
                self._log.warning("not_sent", link=way.link, why=error)
            return "link"
        except TimeoutError:
            return "no_answer"  # perhaps it went all the same; the same frame in both windows is allowed
        if outcome is None or outcome.sent:
            return ""
        if outcome.result == "no_answer":
            return "no_answer"
        self._give_back(booking)
        return "refused"

    def _missed(self, way: Opportunity) -> bool:
        return way.at_s is not None and self._clock.monotonic_s() > way.at_s - LEAD_S

    def _wait_s(self, planned: Planned, at: int) -> float | None:
        """Return how long a gateway's answer is waited for, so that the next window can still be reached."""
        window = planned.opportunities[at].window
        later = [way.at_s for way in planned.opportunities[at + 1 :] if way.window != window and way.at_s is not None]
        if not later:
            return None  # the link has a limit of its own
        return max(_MIN_WAIT_S, later[0] - LEAD_S - _ANSWER_BEFORE_S - self._clock.monotonic_s())

    def _give_back(self, booking: Booking | None) -> None:
        if booking is not None:
            self._budget.refund(booking)

    def _count(self, what: str) -> None:
        self._counters.add("downlinks", what)
