# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Adaptive data rate: the rate and power that a history of signals allows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.wire.region import DATA_RATES
from gateway.network import adr
from gateway.network.adr import Setting
from gateway.network.options import REQUIRED_SNR_DB

MARGIN_DB = 10.0


def history(snr_db: float, frames: int = adr.HISTORY, tx_power: int = 0, every: int = 1) -> list[adr.Heard]:
    return [adr.heard(every * number, snr_db, tx_power) for number in range(frames)]


@pytest.mark.parametrize(
    ("snr_db", "now", "expected"),
    [
        (-20.0, Setting(0), Setting(0)),
        (-7.1, Setting(0), Setting(0)),
        (-7.0, Setting(0), Setting(1)),
        (-4.0, Setting(0), Setting(2)),
        (5.0, Setting(0), Setting(5)),
        (8.0, Setting(0), Setting(5, 1)),
        (30.0, Setting(0), Setting(5, 7)),
        (5.5, Setting(5), Setting(5, 1)),
        (2.4, Setting(5), Setting(5)),
    ],
)
def test_each_three_decibels_to_spare_are_a_step(snr_db: float, now: Setting, expected: Setting) -> None:
    assert adr.decide(history(snr_db), now, MARGIN_DB) == expected


def test_the_best_frame_counts_and_few_frames_count_less() -> None:
    one_good = [*history(-19.0, 19), adr.heard(19, -7.0, 0)]
    assert adr.decide(one_good, Setting(0), MARGIN_DB) == Setting(1)
    assert adr.decide(history(-7.0, 3), Setting(0), MARGIN_DB) == Setting(0)
    assert adr.decide(history(-4.5, 3), Setting(0), MARGIN_DB) == Setting(1)
    assert adr.decide([], Setting(0), MARGIN_DB) == Setting(0)


def test_power_comes_back_when_the_link_gets_worse_but_the_rate_is_the_devices_to_lower() -> None:
    worse = history(-3.0, tx_power=4)
    assert adr.decide(worse, Setting(5, 4), MARGIN_DB) == Setting(5, 3)
    assert adr.decide(history(-20.0, tx_power=4), Setting(5, 4), MARGIN_DB) == Setting(5, 0)
    assert adr.decide(history(-3.0, 19, tx_power=4), Setting(5, 4), MARGIN_DB) == Setting(5, 4)
    assert adr.decide(history(-20.0), Setting(5), MARGIN_DB) == Setting(5)


def test_frames_before_and_after_a_change_of_power_compare() -> None:
    """Else the strong frames of before would lower the power again and again."""
    mixed = [*history(5.5, 10), *(adr.heard(10 + number, 3.5, 1) for number in range(10))]
    assert adr.decide(mixed, Setting(5, 1), MARGIN_DB) == Setting(5, 1)


def test_what_a_device_refused_is_a_limit() -> None:
    assert adr.decide(history(30.0), Setting(0), MARGIN_DB, max_dr=3, max_tx_power=2) == Setting(3, 2)


@pytest.mark.parametrize(
    ("every_loss", "now", "expected"),
    [(0, 1, 1), (0, 3, 2), (1, 2, 1), (2, 1, 1), (2, 2, 2), (6, 1, 2), (6, 3, 3), (10, 1, 3)],
)
def test_lost_frames_ask_for_repetitions(every_loss: int, now: int, expected: int) -> None:
    counters = [*range(adr.HISTORY - 1), adr.HISTORY - 1 + every_loss]
    frames = [adr.Heard(fcnt, 0.0) for fcnt in counters]
    assert adr.nb_trans(frames, now) == expected


@given(st.lists(st.floats(-25, 40), min_size=1, max_size=20), st.integers(0, 5), st.integers(0, 7), st.integers(0, 30))
def test_a_decision_keeps_the_margin_and_is_stable(snrs: list[float], dr: int, tx_power: int, margin_db: int) -> None:
    now = Setting(dr, tx_power)
    frames = [adr.heard(number, snr_db, tx_power) for number, snr_db in enumerate(snrs)]
    wanted = adr.decide(frames, now, margin_db)
    assert dr <= wanted.dr <= 5
    assert 0 <= wanted.tx_power <= 7
    if (wanted.dr, wanted.tx_power) > (dr, tx_power):
        best_db = max(each.full_power_db for each in frames) - 2.0 * wanted.tx_power
        left_db = best_db - REQUIRED_SNR_DB[DATA_RATES[wanted.dr][0]] - margin_db
        assert left_db > -1e-9, "a step costs 2 or 2.5 dB and is taken for 3"
    again = adr.decide(frames, wanted, margin_db)
    assert (again.dr, again.tx_power) >= (wanted.dr, wanted.tx_power) or len(snrs) == adr.HISTORY
