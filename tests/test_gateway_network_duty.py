# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The gateways' duty cycle: never above the law's limit in any hour; the urgent are served when others wait."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.wire.region import BANDS, band_of
from gateway.network import state_files
from gateway.network.duty import DutyBudget, Priority, limit_us

RX1_HZ, RX2_HZ = 868_100_000, 869_525_000
HOUR_US = 3_600_000_000


def exhaust(budget: DutyBudget, priority: Priority, at_us: int = 0, freq_hz: int = RX1_HZ) -> int:
    """Book frames of one second until no more are taken; return how many were."""
    frames = 0
    while budget.book("gw", freq_hz, at_us, 1_000_000, priority) is not None:
        frames += 1
    return frames


def test_each_priority_stops_at_its_ceiling_and_leaves_the_rest_to_the_more_urgent() -> None:
    budget = DutyBudget()
    assert exhaust(budget, Priority.BACKGROUND) == 18
    assert exhaust(budget, Priority.COMMAND) == 7
    assert exhaust(budget, Priority.REPLY) == 3
    assert exhaust(budget, Priority.JOIN) == 6
    assert exhaust(budget, Priority.ALARM) == 2
    assert exhaust(budget, Priority.ALARM) == 0, "36 s in an hour is the law, for everyone"


def test_bands_and_gateways_have_budgets_of_their_own() -> None:
    budget = DutyBudget()
    exhaust(budget, Priority.ALARM)
    assert exhaust(budget, Priority.ALARM, freq_hz=RX2_HZ) == 360
    assert budget.book("other", RX1_HZ, 0, 1_000_000, Priority.BACKGROUND) is not None
    assert budget.book("gw", 868_650_000, 0, 1, Priority.ALARM) is None, "between the bands nobody sends"


def test_after_an_hour_there_is_room_again() -> None:
    budget = DutyBudget()
    exhaust(budget, Priority.ALARM)
    assert budget.book("gw", RX1_HZ, HOUR_US - 1, 1_000_000, Priority.ALARM) is None
    assert exhaust(budget, Priority.ALARM, HOUR_US + 30_000_000) == 36


def test_what_was_not_sent_is_given_back() -> None:
    budget = DutyBudget()
    exhaust(budget, Priority.JOIN)
    booking = budget.book("gw", RX1_HZ, 0, 1_000_000, Priority.ALARM)
    assert booking is not None
    before = budget.used_us("gw", booking.band, 0)
    budget.refund(booking)
    assert budget.used_us("gw", booking.band, 0) == before - 1_000_000


def test_a_restart_does_not_give_the_hour_anew(tmp_path: Path) -> None:
    budget = DutyBudget()
    exhaust(budget, Priority.ALARM, at_us=500_000_000)
    path = tmp_path / "duty.json"
    state_files.save_duty(path, budget, wall_s=1000.0, monotonic_s=510.0)
    again = DutyBudget()
    state_files.restore_duty(path, again, wall_s=1060.0, monotonic_s=7.0)
    assert exhaust(again, Priority.ALARM, at_us=7_000_000) == 0
    assert exhaust(again, Priority.ALARM, at_us=7_000_000 + HOUR_US) == 36
    stepped_back = DutyBudget()
    state_files.restore_duty(path, stepped_back, wall_s=0.0, monotonic_s=7.0)
    assert exhaust(stepped_back, Priority.ALARM, at_us=7_000_000) == 0
    for damage in ("", "{}", "[1]", '{"at": "x", "spent": []}', '{"at": 1, "spent": [[1]]}'):
        path.write_text(damage)
        state_files.restore_duty(path, DutyBudget(), 0.0, 0.0)


def test_a_small_file_is_on_disk_before_it_takes_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut leaves an empty file where the old one was."""
    path = tmp_path / "duty.json"
    path.write_text('"old"')
    synced: list[tuple[str, str]] = []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        sync(descriptor)
        synced.append((Path(f"/proc/self/fd/{descriptor}").read_text(), path.read_text()))

    monkeypatch.setattr(os, "fsync", watched)
    state_files.save(path, "new")
    assert synced == [('"new"', '"old"')]
    assert state_files.load(path) == "new"


@given(
    st.lists(
        st.tuples(
            st.integers(0, 400_000_000),
            st.integers(10_000, 2_800_000),
            st.sampled_from(list(Priority)),
            st.integers(-6_000_000, 6_000_000),
        ),
        max_size=150,
    )
)
def test_no_hour_ever_holds_more_than_the_law_allows(steps: list[tuple[int, int, Priority, int]]) -> None:
    budget = DutyBudget()
    band = band_of(RX1_HZ)
    assert band is not None
    assert limit_us(band) == HOUR_US // BANDS[band][2]
    now_us = 10_000_000
    sent: list[tuple[int, int]] = []
    for passed_us, airtime_us, priority, early_us in steps:
        now_us += passed_us
        at_us = now_us + early_us  # windows are up to 6 s ahead, so bookings come out of order
        if budget.book("gw", RX1_HZ, at_us, airtime_us, priority) is not None:
            sent.append((at_us, airtime_us))
    for end_us in [at + airtime for at, airtime in sent]:
        begin_us = end_us - HOUR_US
        inside = sum(max(0, min(at + airtime, end_us) - max(at, begin_us)) for at, airtime in sent)
        assert inside <= limit_us(band)
