# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which way a planned frame goes: windows that passed, gateways that refuse, are silent, or may send no more."""

import asyncio

import pytest

from firmware.wire import region
from gateway.errors import LinkBusy
from gateway.network.duty import DutyBudget, Priority
from gateway.network.scheduler import Opportunity, Planned, Window
from gateway.network.transmitter import Transmitter
from gateway.operate.counters import Counters
from gateway.radio import RadioDownlink, TxOutcome
from tests.outbox_rig import TestClock

SENT = TxOutcome("sent")
LATE = TxOutcome("refused", "TOO_LATE")
SILENT = TxOutcome("no_answer")
RX1 = RadioDownlink(868_100_000, 7, 125_000, 14, 1_000_000)
RX2 = RadioDownlink(region.RX2_HZ, 12, 125_000, 27, 2_000_000)
PHY = bytes(20)


def way(window: Window, when: RadioDownlink | None, at_s: float | None, address: str = "gw") -> Opportunity:
    return Opportunity(window, "air", address, when, at_s)


BOTH = (way("rx1", RX1, 1.0), way("rx2", RX2, 2.0))


class Rig:
    """A transmitter whose gateways answer as a test says, at once."""

    def __init__(self, *outcomes: TxOutcome | Exception | None) -> None:
        self.clock = TestClock()
        self.counters = Counters()
        self.budget = DutyBudget()
        self.asked: list[tuple[str, RadioDownlink | None, bytes]] = []
        self._outcomes = list(outcomes)

    async def send(self, _link: str, address: str, phy: bytes, when: RadioDownlink | None) -> TxOutcome | None:
        self.asked.append((address, when, phy))
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def transmit(self, ways: tuple[Opportunity, ...] = BOTH, priority: Priority = Priority.REPLY) -> bool:
        transmitter = Transmitter(self.send, self.budget, self.clock, self.counters)
        return asyncio.run(transmitter.transmit(Planned(bytes(8), PHY, ways, priority)))

    def used_us(self, freq_hz: int) -> int:
        band = region.band_of(freq_hz)
        assert band is not None
        return self.budget.used_us("gw", band, 2_000_000)

    def count(self, what: str) -> int:
        return self.counters.snapshot().get("downlinks", {}).get(what, 0)


def test_rx1_when_it_can_be_had() -> None:
    rig = Rig(SENT)
    assert rig.transmit()
    assert [when for _, when, _ in rig.asked] == [RX1]
    assert rig.used_us(RX1.freq_hz) == BOTH[0].airtime_us(len(PHY))
    assert rig.used_us(RX2.freq_hz) == 0


@pytest.mark.parametrize("outcome", [LATE, SILENT, LinkBusy("full"), TxOutcome("refused", "COLLISION_PACKET")])
def test_rx2_with_the_same_frame_when_rx1_did_not_work(outcome: TxOutcome | Exception) -> None:
    rig = Rig(outcome, SENT)
    assert rig.transmit()
    assert [(when, phy) for _, when, phy in rig.asked] == [(RX1, PHY), (RX2, PHY)]
    spent = outcome is SILENT  # perhaps it was sent
    assert bool(rig.used_us(RX1.freq_hz)) is spent
    assert rig.count("rx2_sent") == 1


def test_a_window_that_passed_is_not_asked_for_and_both_passed_is_counted() -> None:
    rig = Rig(SENT)
    rig.clock.monotonic = 0.96
    assert rig.transmit()
    assert [when for _, when, _ in rig.asked] == [RX2]
    rig.clock.monotonic = 1.96
    assert not rig.transmit()
    assert (rig.count("rx1_late"), rig.count("rx2_late"), rig.count("missed_reply")) == (2, 1, 1)


def test_nobody_takes_it() -> None:
    rig = Rig(LATE, LATE)
    assert not rig.transmit(priority=Priority.ALARM)
    assert rig.count("missed_alarm") == 1
    assert rig.counters.snapshot()["frames"] == {"not_sent": 1}
    assert not Rig().transmit(())


def test_without_airtime_in_one_band_the_other_window_serves() -> None:
    rig = Rig(SENT)
    while rig.budget.book("gw", RX1.freq_hz, 0, 100_000, Priority.REPLY):
        pass
    assert rig.transmit()
    assert [when for _, when, _ in rig.asked] == [RX2]
    assert not rig.transmit((BOTH[0],))
    assert rig.count("rx1_duty_cycle") == 1
    rig = Rig(SENT)
    while rig.budget.book("gw", RX1.freq_hz, 0, 100_000, Priority.REPLY):
        pass
    assert rig.transmit((BOTH[0],), Priority.JOIN), "joins have what the others leave"


def test_a_moment_that_is_taken_is_not_asked_for_again() -> None:
    """Another gateway that heard the frame serves, then the next window; what was refused frees its moment."""
    rig = Rig(SENT, SENT, SENT, LATE, SENT)
    transmitter = Transmitter(rig.send, rig.budget, rig.clock, rig.counters)

    def transmit(*ways: Opportunity) -> bool:
        return asyncio.run(transmitter.transmit(Planned(bytes(8), PHY, ways, Priority.REPLY)))

    assert transmit(*BOTH)
    assert transmit(BOTH[0], way("rx1", RX1, 1.0, "second"), BOTH[1])
    assert [address for address, _, _ in rig.asked] == ["gw", "second"]
    assert transmit(*BOTH)
    assert rig.asked[-1][1] == RX2
    assert not transmit(*BOTH)
    assert (rig.count("rx1_busy"), rig.count("rx2_busy"), rig.count("rx1_refused")) == (3, 1, 0)
    assert rig.used_us(RX1.freq_hz) == BOTH[0].airtime_us(len(PHY)), "airtime that was not used is not counted"
    later = RadioDownlink(868_100_000, 7, 125_000, 14, 5_000_000)
    assert not transmit(way("rx1", later, 5.0))
    assert transmit(way("rx1", later, 5.0)), "the gateway refused it before, so the moment is free"


def test_rx2_goes_first_where_rx1s_sub_band_is_scarce_but_not_for_a_join() -> None:
    rig = Rig(SENT, SENT, SENT)
    while rig.budget.share("gw", RX1.freq_hz, 0) < 0.5:
        assert rig.budget.book("gw", RX1.freq_hz, 0, 100_000, Priority.REPLY)
    assert rig.transmit()
    assert rig.transmit(priority=Priority.JOIN)
    while rig.budget.share("gw", RX2.freq_hz, 0) < 0.5:
        assert rig.budget.book("gw", RX2.freq_hz, 0, 1_000_000, Priority.REPLY)
    assert rig.transmit()
    assert [when for _, when, _ in rig.asked] == [RX2, RX1, RX1]


def test_a_line_has_no_windows_and_no_duty_cycle() -> None:
    rig = Rig(None)
    rig.clock.monotonic = 1e6
    assert rig.transmit((way("line", None, None),))
    assert rig.asked == [("gw", None, PHY)]


def test_a_gateway_that_hangs_does_not_cost_the_second_window() -> None:
    async def scenario() -> list[RadioDownlink | None]:
        loop = asyncio.get_running_loop()
        asked: list[RadioDownlink | None] = []

        async def send(_link: str, _address: str, _phy: bytes, when: RadioDownlink | None) -> TxOutcome:
            asked.append(when)
            if len(asked) == 1:
                await loop.create_future()
            return SENT

        clock = TestClock()
        began_s = loop.time()
        clock.monotonic_s = lambda: loop.time() - began_s  # type: ignore[method-assign]
        ways = (way("rx1", RX1, 0.9), way("rx2", RX2, 1.5))
        transmitter = Transmitter(send, DutyBudget(), clock, Counters())
        async with asyncio.timeout(20):
            assert await transmitter.transmit(Planned(bytes(8), PHY, ways, Priority.REPLY))
        return asked

    assert asyncio.run(scenario()) == [RX1, RX2]
