# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The air's physics: time on air, link budget, duty cycle."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boards.virtual.air.airtime import BANDWIDTHS_HZ, SPREADING_FACTORS, time_on_air_us
from boards.virtual.air.duty import FORBIDDEN, HOUR_US, DutyLedger, sub_band
from boards.virtual.air.link_budget import SNR_LIMIT_DB, Chance, PathLoss, noise_floor_dbm, rssi_dbm, survives_at_db
from firmware.wire import airtime as wire_airtime

VECTORS = json.loads((Path(__file__).parent / "vectors/radio/airtime.json").read_text())["cases"]


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: f"SF{case['sf']}-{case['bw_hz']}-{case['payload_len']}")
def test_time_on_air_matches_the_vectors(case: dict[str, float]) -> None:
    us = time_on_air_us(int(case["sf"]), int(case["bw_hz"]), int(case["payload_len"]))
    assert abs(us - case["out_ms"] * 1000) <= 50


@given(
    sf=st.sampled_from(SPREADING_FACTORS),
    bw_hz=st.sampled_from(BANDWIDTHS_HZ),
    size=st.integers(0, 255),
    crc=st.booleans(),
    coding_rate=st.integers(5, 8),
    preamble=st.integers(6, 100),
)
def test_time_on_air_is_that_of_the_firmware_and_of_the_formula_in_real_numbers(
    sf: int, bw_hz: int, size: int, crc: bool, coding_rate: int, preamble: int
) -> None:
    us = time_on_air_us(sf, bw_hz, size, crc, coding_rate, preamble)
    assert us == wire_airtime.time_on_air_us(sf, bw_hz, size, crc, coding_rate, preamble)
    symbol_s = 2**sf / bw_hz
    low_rate = 1 if symbol_s >= 0.016 else 0
    blocks = math.ceil((8 * size - 4 * sf + 28 + 16 * crc) / (4 * (sf - 2 * low_rate)))
    assert us == pytest.approx(1e6 * symbol_s * (preamble + 4.25 + 8 + max(blocks * coding_rate, 0)), abs=1)


def test_sensitivity_is_that_of_the_datasheet() -> None:
    # SX1276 datasheet rev. 7, table 10: -123 dBm at SF7 and -136 dBm at SF12, 125 kHz; models agree within 2 dB.
    assert noise_floor_dbm(125_000) + SNR_LIMIT_DB[7] == pytest.approx(-123, abs=2)
    assert noise_floor_dbm(125_000) + SNR_LIMIT_DB[12] == pytest.approx(-136, abs=2)


@given(signal_dbm=st.floats(-160, 30))
def test_rssi_is_never_below_signal_or_noise(signal_dbm: float) -> None:
    floor = noise_floor_dbm(125_000)
    measured = rssi_dbm(signal_dbm, 125_000)
    assert max(signal_dbm, floor) <= measured <= max(signal_dbm, floor) + 3.02


def test_path_loss_falls_with_distance_as_measured_in_oulu() -> None:
    loss = PathLoss()
    assert loss.mean_loss_db(1000) == pytest.approx(128.95)
    assert loss.mean_loss_db(10_000) - loss.mean_loss_db(1000) == pytest.approx(23.2)
    assert loss.mean_loss_db(0) == loss.mean_loss_db(1)


def test_same_sf_needs_six_db_and_other_sfs_stand_far_more() -> None:
    for sf in SPREADING_FACTORS:
        assert survives_at_db(sf, sf) == 6
        assert all(survives_at_db(sf, other) <= -16 for other in SPREADING_FACTORS if other != sf)
    assert survives_at_db(7, 12) == -20
    assert survives_at_db(12, 7) == -36


def test_chance_depends_on_seed_and_purpose_only_and_is_normal() -> None:
    chance = Chance(7)
    first = [chance.normals(f"frame {n}")[0] for n in range(2000)]
    again = Chance(7)
    assert [again.normals(f"frame {n}")[0] for n in reversed(range(2000))] == first[::-1]
    assert Chance(8).normals("frame 0") != chance.normals("frame 0")
    mean = sum(first) / len(first)
    assert abs(mean) < 0.1
    assert sum((number - mean) ** 2 for number in first) / len(first) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("freq_hz", "bw_hz", "name", "permille"),
    [
        (868_100_000, 125_000, "868.0-868.6", 10),
        (868_300_000, 250_000, "868.0-868.6", 10),
        (867_900_000, 125_000, "865.0-868.0", 10),
        (869_525_000, 125_000, "869.4-869.65", 100),
        (868_800_000, 125_000, "868.7-869.2", 1),
        (868_000_000, 125_000, "outside", 0),  # the channel lies across two sub-bands
        (868_650_000, 125_000, "outside", 0),
        (915_000_000, 125_000, "outside", 0),
    ],
)
def test_sub_bands(freq_hz: int, bw_hz: int, name: str, permille: int) -> None:
    band = sub_band(freq_hz, bw_hz)
    assert (band.name, band.duty_permille) == (name, permille)


def test_duty_violation_is_recorded_and_time_heals() -> None:
    ledger = DutyLedger()
    uses = [ledger.record("a", 868_100_000, 125_000, n * 100_000_000, n * 100_000_000 + 2_000_000) for n in range(36)]
    assert [use.violation for use in uses] == [n >= 18 for n in range(36)]
    assert ledger.violation_count == 18
    assert not ledger.record("b", 868_100_000, 125_000, 0, 36_000_000).violation
    assert not ledger.record("a", 869_525_000, 125_000, 0, 36_000_000).violation
    later = ledger.record("a", 868_100_000, 125_000, 2 * HOUR_US + 50_000_000, 2 * HOUR_US + 51_000_000)
    assert later.used_us == 1_000_000
    assert ledger.record("a", 868_650_000, 125_000, 3 * HOUR_US, 3 * HOUR_US + 1).band is FORBIDDEN
    assert [use.used_us for use in ledger.worst() if use.radio == "a" and use.band.name == "868.0-868.6"] == [
        72_000_000
    ]


@given(st.lists(st.tuples(st.integers(0, 900_000_000), st.integers(1, 60_000_000)), min_size=1, max_size=40))
def test_duty_window_agrees_with_adding_up_everything(pauses: list[tuple[int, int]]) -> None:
    ledger, sent, now_us = DutyLedger(), [], 0
    for pause_us, length_us in pauses:
        start_us, now_us = now_us + pause_us, now_us + pause_us + length_us
        sent.append((start_us, now_us))
        use = ledger.record("a", 868_300_000, 125_000, start_us, now_us)
        opens_us = now_us - HOUR_US
        assert use.used_us == sum(max(end - max(start, opens_us), 0) for start, end in sent)
