# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""MAC commands (TS001 section 5, RP002 section 2.4). Each test gives back what it has changed."""

import itertools

import pytest

from firmware.wire import macnetwork, region
from firmware.wire.airtime import time_on_air_us
from firmware.wire.maccommands import (
    DEV_STATUS,
    DEVICE_TIME,
    DL_CHANNEL,
    DUTY_CYCLE,
    LINK_ADR,
    NEW_CHANNEL,
    RX_PARAM_SETUP,
    RX_TIMING_SETUP,
    parse,
)
from hil_tests.network import ALL_OK, FASTEST, Network
from hil_tests.semtech_end import Uplink

EXTRA_HZ = 867100000
OTHER_RX1_HZ = 868300000
OTHER_RX2_HZ = 868500000
SHARE = 6  # at most one part in 64 of the time
CLOCK_ERROR_US = 20000


def test_devstatus_is_answered_with_battery_and_snr(joined: Network) -> None:
    answers = joined.ask(macnetwork.dev_status_req())
    assert [cid for cid, _ in answers] == [DEV_STATUS]
    _, snr_db = macnetwork.decode_dev_status_ans(answers[0][1])
    assert -32 <= snr_db <= 31
    assert joined.next_data().commands() == [], "an answer that is given once"


@pytest.mark.slow
def test_linkadr_moves_rate_and_back(joined: Network) -> None:
    assert joined.ask(macnetwork.link_adr_req(4, 1, 0b111)) == [(LINK_ADR, bytes([ALL_OK]))]
    assert joined.next_data().dr == 4
    assert joined.ask(macnetwork.link_adr_req(FASTEST, 0, 0, 6)) == [(LINK_ADR, bytes([ALL_OK]))]
    assert joined.next_data().dr == FASTEST


def test_a_block_of_linkadr_is_all_or_nothing(joined: Network) -> None:
    block = macnetwork.link_adr_req(3, 0, 0b001) + macnetwork.link_adr_req(3, 0, 0b1000)  # there is no channel 3
    status = bytes([ALL_OK & ~macnetwork.LINK_ADR_MASK_OK])
    assert joined.ask(block) == [(LINK_ADR, status), (LINK_ADR, status)]
    assert joined.next_data().dr == FASTEST


@pytest.mark.slow
def test_a_block_of_linkadr_counts_as_one(joined: Network) -> None:
    block = macnetwork.link_adr_req(3, 0, 0b001) + macnetwork.link_adr_req(4, 0, 0b010)
    assert joined.ask(block) == [(LINK_ADR, bytes([ALL_OK]))] * 2
    heard = [joined.exchange() for _ in range(4)]
    assert {(one.dr, one.uplink.freq_hz) for one in heard} == {(4, region.DEFAULT_CHANNELS_HZ[1])}
    assert joined.ask(macnetwork.link_adr_req(FASTEST, 0, 0, 6)) == [(LINK_ADR, bytes([ALL_OK]))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("request_", "refused"),
    [
        (macnetwork.link_adr_req(FASTEST, 0, 0), macnetwork.LINK_ADR_MASK_OK),
        (macnetwork.link_adr_req(FASTEST, 0, 0, 5), macnetwork.LINK_ADR_MASK_OK),
        (macnetwork.link_adr_req(12, 0, 0b111), macnetwork.LINK_ADR_DATA_RATE_OK),
        (macnetwork.link_adr_req(FASTEST, 9, 0b111), macnetwork.LINK_ADR_POWER_OK),
    ],
    ids=["no channel", "no such ChMaskCntl", "no such data rate", "no such power"],
)
def test_linkadr_says_what_it_refuses(joined: Network, request_: bytes, refused: int) -> None:
    ((cid, status),) = joined.ask(request_)
    assert cid == LINK_ADR
    assert not status[0] & refused
    assert joined.next_data().dr == FASTEST


@pytest.mark.slow
def test_nbtrans_repeats_until_it_is_answered(joined: Network) -> None:
    assert joined.ask(macnetwork.link_adr_req(FASTEST, 0, 0, 6, 3)) == [(LINK_ADR, bytes([ALL_OK]))]
    joined.fresh()
    copies = [joined.next(copies=True) for _ in range(2)]
    assert [copy.received for copy in copies] == [None, None], "two more copies of one frame"
    joined.exchange(fopts=macnetwork.link_adr_req(FASTEST, 0, 0, 6, 1))
    following = joined.next(copies=True)
    assert following.received is not None, "an answered frame is not repeated"
    assert following.commands() == [(LINK_ADR, bytes([ALL_OK]))]


@pytest.mark.slow
def test_dutycycle_makes_the_device_rarer(joined: Network) -> None:
    assert joined.ask(macnetwork.duty_cycle_req(SHARE)) == [(DUTY_CYCLE, b"")]
    heard = [joined.exchange().uplink for _ in range(3)]  # a device that nobody answers may become rarer by itself
    for before, after in itertools.pairwise(heard):
        silent_us = (after.tmst - before.tmst & 0xFFFFFFFF) - _air_us(after)
        assert silent_us >= ((1 << SHARE) - 1) * _air_us(before) - CLOCK_ERROR_US
    assert joined.ask(macnetwork.duty_cycle_req(0)) == [(DUTY_CYCLE, b"")]


def _air_us(uplink: Uplink) -> int:
    return time_on_air_us(uplink.sf, uplink.bw_hz, len(uplink.phy))


def test_rxparamsetup_is_answered_until_a_downlink_comes(joined: Network) -> None:
    agreed = (RX_PARAM_SETUP, bytes([ALL_OK]))
    assert joined.ask(macnetwork.rx_param_setup_req(1, 3, OTHER_RX2_HZ)) == [agreed]
    joined.rx1_offset, joined.rx2_dr, joined.rx2_hz = 1, 3, OTHER_RX2_HZ
    heard = joined.next_data()
    assert heard.commands() == [agreed], "the network may not have heard the first one"
    joined.answer(heard, 2)
    heard = joined.next_data()
    assert heard.commands() == []
    joined.answer(heard, 1, fopts=macnetwork.rx_param_setup_req(0, 0, region.RX2_HZ))
    heard = joined.next_data()
    assert heard.commands() == [agreed]
    joined.rx1_offset, joined.rx2_dr, joined.rx2_hz = 0, 0, region.RX2_HZ
    joined.answer(heard)


@pytest.mark.slow
def test_rxparamsetup_is_all_or_nothing(joined: Network) -> None:
    ((cid, status),) = joined.ask(macnetwork.rx_param_setup_req(6, 0, region.RX2_HZ))
    assert (cid, status[0] & macnetwork.RX_PARAM_RX1_OFFSET_OK) == (RX_PARAM_SETUP, 0)
    joined.exchange(confirmed=True)
    assert joined.next_data().data.ack, "RX1 is where it was"


@pytest.mark.slow
def test_newchannel_adds_and_removes(joined: Network) -> None:
    status = bytes([macnetwork.CHANNEL_FREQUENCY_OK | macnetwork.NEW_CHANNEL_DATA_RATES_OK])
    request = macnetwork.new_channel_req(3, EXTRA_HZ) + macnetwork.link_adr_req(FASTEST, 0, 0b1000)
    assert joined.ask(request) == [(NEW_CHANNEL, status), (LINK_ADR, bytes([ALL_OK]))]
    assert {joined.exchange().uplink.freq_hz for _ in range(3)} == {EXTRA_HZ}
    request = macnetwork.link_adr_req(FASTEST, 0, 0b111) + macnetwork.new_channel_req(3, 0)
    assert joined.ask(request) == [(LINK_ADR, bytes([ALL_OK])), (NEW_CHANNEL, status)]
    assert joined.next_data().uplink.freq_hz in region.DEFAULT_CHANNELS_HZ


@pytest.mark.slow
@pytest.mark.parametrize(
    "request_",
    [
        macnetwork.new_channel_req(0, EXTRA_HZ),
        macnetwork.new_channel_req(3, 870100000),
        macnetwork.new_channel_req(0, 0),
    ],
    ids=["a default channel", "outside the band", "removing a default channel"],
)
def test_newchannel_refuses(joined: Network, request_: bytes) -> None:
    ((cid, status),) = joined.ask(request_)
    assert cid == NEW_CHANNEL
    assert not status[0] & macnetwork.CHANNEL_FREQUENCY_OK
    assert joined.next_data().uplink.freq_hz in region.DEFAULT_CHANNELS_HZ


@pytest.mark.slow
def test_rxtimingsetup_moves_both_windows(joined: Network) -> None:
    for delay_s in (3, 1):
        joined.exchange(fopts=macnetwork.rx_timing_setup_req(delay_s))
        joined.rx1_delay_s = delay_s
        for window in (1, 2):
            heard = joined.next_data()
            assert heard.commands() == ([(RX_TIMING_SETUP, b"")] if window == 1 else [])
            joined.answer(heard, window, confirmed=True)
        assert joined.exchange().data.ack


@pytest.mark.slow
def test_txparamsetup_is_not_for_this_region(joined: Network) -> None:
    assert joined.ask(macnetwork.tx_param_setup_req(True, True, 5)) == []
    joined.exchange(confirmed=True)
    assert joined.next_data().data.ack


@pytest.mark.slow
def test_dlchannel_moves_rx1(joined: Network) -> None:
    first_hz = region.DEFAULT_CHANNELS_HZ[0]
    status = bytes([macnetwork.CHANNEL_FREQUENCY_OK | macnetwork.DL_CHANNEL_UPLINK_EXISTS])
    only_first = macnetwork.link_adr_req(FASTEST, 0, 0b001)
    answers = joined.ask(only_first + macnetwork.dl_channel_req(0, OTHER_RX1_HZ))
    assert answers == [(LINK_ADR, bytes([ALL_OK])), (DL_CHANNEL, status)]
    joined.rx1_hz[first_hz] = OTHER_RX1_HZ
    heard = joined.next_data()
    assert heard.commands() == [(DL_CHANNEL, status)], "repeated until a downlink comes"
    joined.answer(heard, 1, confirmed=True)
    heard = joined.next_data()
    assert heard.data.ack
    all_again = macnetwork.link_adr_req(FASTEST, 0, 0, 6)
    joined.answer(heard, 1, fopts=macnetwork.dl_channel_req(0, first_hz) + all_again)
    joined.rx1_hz.clear()
    heard = joined.next_data()
    assert heard.commands() == [(DL_CHANNEL, status), (LINK_ADR, bytes([ALL_OK]))]
    joined.answer(heard)


@pytest.mark.slow
def test_commands_on_port_0_are_obeyed(joined: Network) -> None:
    joined.exchange(fport=0, payload=macnetwork.dev_status_req())
    assert [cid for cid, _ in joined.next_data().commands()] == [DEV_STATUS]


@pytest.mark.slow
def test_answers_too_long_for_fopts_come_on_port_0(joined: Network) -> None:
    joined.exchange(fport=0, payload=macnetwork.dev_status_req() * 7)  # 21 bytes of answers
    heard = joined.next_data()
    assert heard.data.fport == 0
    assert heard.data.fopts == b""
    assert [cid for cid, _ in heard.commands()] == [DEV_STATUS] * 7


@pytest.mark.slow
def test_what_follows_an_unknown_command_is_not_obeyed(joined: Network) -> None:
    assert joined.ask(macnetwork.dev_status_req() + b"\xf0" + macnetwork.duty_cycle_req(15))[1:] == []


@pytest.mark.slow
def test_the_device_asks_for_the_time_and_is_content(joined: Network) -> None:
    """A device of ours asks once a day; TS009 makes any device ask at once."""
    joined.exchange(fport=224, payload=b"\x21")
    heard = joined.next_data()
    assert (DEVICE_TIME, b"") in parse(heard.data.fopts, True)
    joined.answer(heard)
    assert (DEVICE_TIME, b"") not in parse(joined.next_data().data.fopts, True)


@pytest.mark.slow
def test_linkcheck_is_asked_for(joined: Network) -> None:
    joined.exchange(fport=224, payload=b"\x20")
    heard = joined.next_data()
    assert (2, b"") in parse(heard.data.fopts, True)
    joined.answer(heard)
    assert (2, b"") not in parse(joined.next_data().data.fopts, True)
