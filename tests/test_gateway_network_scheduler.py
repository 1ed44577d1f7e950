# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Receive windows: when, where and how a downlink may go (TS001-1.0.4 section 3.3, RP002-1.0.4 section 2.4)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.wire import region
from gateway.links import Uplink
from gateway.network import scheduler
from gateway.network.radio_state import RadioState
from gateway.radio import RadioDownlink, Reception

HEARD_AT_S = 100.0


def heard(tmst_us: int, sf: int = 7, freq_hz: int = 868_100_000, gateway: int = 1, bw_hz: int = 125_000) -> Uplink:
    eui = gateway.to_bytes(8, "big")
    return Uplink("air", eui.hex(), b"phy", 0.0, Reception(eui, tmst_us, freq_hz, sf, bw_hz, -90.0, 5.0), HEARD_AT_S)


def radio(way: scheduler.Opportunity) -> RadioDownlink:
    assert way.when is not None
    return way.when


def test_rx1_answers_on_the_uplinks_channel_and_rx2_on_its_own() -> None:
    rx1, rx2 = scheduler.class_a(heard(1_000_000, sf=9, freq_hz=867_500_000), RadioState(), 30)
    assert (rx1.window, radio(rx1).freq_hz, radio(rx1).sf, radio(rx1).tmst_us) == ("rx1", 867_500_000, 9, 2_000_000)
    assert (rx2.window, radio(rx2).freq_hz, radio(rx2).sf, radio(rx2).tmst_us) == ("rx2", 869_525_000, 12, 3_000_000)
    assert (rx1.at_s, rx2.at_s) == (HEARD_AT_S + 1, HEARD_AT_S + 2)
    assert (radio(rx1).power_dbm, radio(rx2).power_dbm) == (14, 27), "what each sub-band allows"
    assert all(radio(way).inverted_iq and not radio(way).crc for way in (rx1, rx2))


def test_join_accepts_go_five_and_six_seconds_later() -> None:
    ways = scheduler.join(heard(0), RadioState(), 33)
    assert [(way.window, radio(way).tmst_us) for way in ways] == [("rx1", 5_000_000), ("rx2", 6_000_000)]


@pytest.mark.parametrize(
    ("tmst_us", "rx1_us", "rx2_us"),
    [(2**32 - 1, 999_999, 1_999_999), (2**32 - 1_000_000, 0, 1_000_000), (2**32 - 1_500_000, 2**32 - 500_000, 500_000)],
)
def test_the_concentrators_counter_wraps(tmst_us: int, rx1_us: int, rx2_us: int) -> None:
    ways = scheduler.class_a(heard(tmst_us), RadioState(), 20)
    assert [radio(way).tmst_us for way in ways] == [rx1_us, rx2_us]


def test_the_best_gateways_are_tried_in_order_for_each_window() -> None:
    others = tuple(heard(1000 * number, gateway=number) for number in range(2, 6))
    ways = scheduler.class_a(replace(heard(1000), others=others), RadioState(), 20)
    assert [(way.window, int(way.address, 16)) for way in ways] == [
        ("rx1", 1), ("rx1", 2), ("rx1", 3), ("rx2", 1), ("rx2", 2), ("rx2", 3),
    ]  # fmt: skip
    assert [radio(way).tmst_us for way in ways[:3]] == [1_001_000, 1_002_000, 1_003_000], "each by its own counter"


def test_what_was_agreed_with_the_device_is_used() -> None:
    state = RadioState(rx1_delay_s=5, rx1_dr_offset=2, rx2_dr=3, rx2_hz=869_525_000)
    rx1, rx2 = scheduler.class_a(heard(0, sf=7), state, 20)
    assert (radio(rx1).tmst_us, radio(rx1).sf, radio(rx2).tmst_us, radio(rx2).sf) == (5_000_000, 9, 6_000_000, 9)


def test_a_frame_goes_only_where_it_fits() -> None:
    assert [way.window for way in scheduler.class_a(heard(0, sf=7), RadioState(), 64)] == ["rx1", "rx2"]
    assert [way.window for way in scheduler.class_a(heard(0, sf=7), RadioState(), 65)] == ["rx1"]
    assert scheduler.class_a(heard(0, sf=12), RadioState(), 65) == ()
    assert scheduler.room_bytes(heard(0, sf=7), RadioState()) == 51
    assert scheduler.room_bytes(heard(0, sf=7), RadioState(rx2_dr=3)) == 115


def test_nothing_goes_where_nobody_may_send() -> None:
    assert [way.window for way in scheduler.class_a(heard(0, freq_hz=915_000_000), RadioState(), 20)] == ["rx2"]
    assert [way.window for way in scheduler.class_a(heard(0, sf=5), RadioState(), 20)] == ["rx2"]


def test_class_c_is_reached_at_once_with_the_parameters_of_rx2() -> None:
    (way,) = scheduler.class_c(heard(0), RadioState(), 20)
    assert (way.window, way.at_s, radio(way).tmst_us, radio(way).freq_hz) == ("rxc", None, None, region.RX2_HZ)
    assert scheduler.class_c(heard(0), RadioState(), 65) == ()
    assert scheduler.at_once(RadioState()) == ()
    (way,) = scheduler.at_once(RadioState(link="air", address="0000000000000001"))
    assert (way.link, way.address, radio(way).freq_hz) == ("air", "0000000000000001", region.RX2_HZ)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(7, 12),
    st.sampled_from([*region.DEFAULT_CHANNELS_HZ, 867_900_000]),
    st.integers(1, 15),
    st.integers(0, region.MAX_RX1_DR_OFFSET),
    st.integers(12, 255),
)
def test_every_way_is_allowed_on_air(tmst_us: int, sf: int, freq_hz: int, delay_s: int, offset: int, size: int) -> None:
    uplink = heard(tmst_us, sf, freq_hz)
    for way in scheduler.class_a(uplink, RadioState(rx1_delay_s=delay_s, rx1_dr_offset=offset), size):
        when = radio(way)
        band = region.band_of(when.freq_hz)
        assert band is not None
        assert when.power_dbm <= region.BANDS[band][3]
        dr = region.dr_of(when.sf, when.bw_hz)
        assert dr is not None
        assert size - 13 <= region.DATA_RATES[dr][2]
        wait_us = (delay_s + (way.window == "rx2")) * 1_000_000
        assert ((when.tmst_us or 0) - tmst_us) % 2**32 == wait_us
        assert way.airtime_us(size) > 0
