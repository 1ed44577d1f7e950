# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The test port of certification laboratories (TS009), FPort 224, on devices whose identity opens it."""

import struct
from itertools import pairwise

import pytest

from firmware.wire import macnetwork
from firmware.wire.airtime import time_on_air_us
from firmware.wire.frame import CONFIRMED_UP
from firmware.wire.maccommands import DEVICE_TIME, LINK_ADR, LINK_CHECK, parse
from hil_tests.conftest import Devices
from hil_tests.network import FASTEST, TRIES, Network

FPORT = 224
PACKAGE_VERSION = b"\x00"
DUT_RESET = b"\x01"
DUT_JOIN = b"\x02"
SWITCH_CLASS = 0x03
ADR_BIT_CHANGE = 0x04
TX_PERIODICITY = 0x06
TX_FRAMES_CTRL = 0x07
ECHO = b"\x08"
RX_APP_CNT = b"\x09"
RX_APP_CNT_RESET = b"\x0a"
DUTY_CYCLE_CTRL = 0x05
TX_CW = 0x7D
HOUR_S = 3600
DISABLE = b"\x7e"
DUT_VERSIONS = b"\x7f"
FIVE_S = 1


def _tell(network: Network, command: bytes) -> None:
    network.exchange(fport=FPORT, payload=command)


def _ask(network: Network, command: bytes) -> bytes:
    """Return the answer: what comes on the test port next, within a few frames."""
    for _ in range(TRIES):  # the question may be missed
        _tell(network, command)
        for _ in range(3):
            heard = network.exchange()
            if heard.data.fport == FPORT:
                return heard.data.payload
    raise AssertionError(f"no answer to {command.hex()} on FPort 224")


def test_echo_adds_one_to_each_byte(joined: Network) -> None:
    assert _ask(joined, ECHO + bytes((0, 1, 254, 255))) == ECHO + bytes((1, 2, 255, 0))


@pytest.mark.slow
def test_package_version(joined: Network) -> None:
    assert _ask(joined, PACKAGE_VERSION) == bytes((0, 6, 1))


@pytest.mark.slow
def test_versions_are_those_of_lorawan_1_0_4(joined: Network) -> None:
    answer = _ask(joined, DUT_VERSIONS)
    assert len(answer) == 13
    assert answer[:1] == DUT_VERSIONS
    assert answer[5:9] == bytes((1, 0, 4, 0))
    assert answer[9] == 2, "RP002"


@pytest.mark.slow
def test_frames_for_the_application_are_counted(joined: Network) -> None:
    _tell(joined, RX_APP_CNT_RESET)
    before = struct.unpack("<BH", _ask(joined, RX_APP_CNT))[1]
    _tell(joined, ECHO)
    after = struct.unpack("<BH", _ask(joined, RX_APP_CNT))[1]
    assert before >= 1, "the question itself"
    assert after > before + 1


@pytest.mark.slow
def test_frames_become_confirmed_and_unconfirmed(joined: Network) -> None:
    _tell(joined, bytes((TX_FRAMES_CTRL, 2)))
    heard = joined.exchange()
    assert heard.uplink.phy[0] >> 5 == CONFIRMED_UP
    _tell(joined, bytes((TX_FRAMES_CTRL, 1)))
    assert joined.exchange().uplink.phy[0] >> 5 != CONFIRMED_UP


@pytest.mark.slow
def test_without_adr_the_device_keeps_its_rate(joined: Network) -> None:
    _tell(joined, bytes((ADR_BIT_CHANGE, 0)))
    heard = joined.next_data()
    assert not heard.data.adr
    joined.answer(heard, fopts=macnetwork.link_adr_req(0, 0, 0b111, 0, 3))
    heard = joined.next_data()
    assert heard.dr == 5
    ((cid, status),) = heard.commands()
    assert (cid, status[0] & macnetwork.LINK_ADR_DATA_RATE_OK) == (LINK_ADR, 0), "what is not obeyed is not accepted"
    assert status[0] & macnetwork.LINK_ADR_MASK_OK
    assert joined.next(copies=True).received is not None, "nor is NbTrans obeyed: it is the device's own"
    joined.exchange(fport=FPORT, payload=bytes((ADR_BIT_CHANGE, 1)))
    assert joined.exchange().data.adr


@pytest.mark.slow
def test_a_carrier_is_sent_and_ends(joined: Network) -> None:
    """TxCwReq. What a spectrum analyser would show, tests/test_virtual_radio.py shows; here, that life goes on."""
    seconds, freq_hz, dbm = 4, 869_525_000, 0
    payload = struct.pack("<BHI", TX_CW, seconds, freq_hz // 100)[:-1] + struct.pack("b", dbm)
    told = joined.tell(FPORT, payload)
    heard = joined.exchange()
    assert heard.data.fcnt == told.data.fcnt + 1
    assert _ask(joined, ECHO + b"\x01") == ECHO + b"\x02"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_duty_cycle_is_switched_off_and_on(joined: Network, devices: Devices) -> None:
    """RegionalDutyCycleCtrlReq: more than the 36 s of an hour, at SF12; then silence. On a bench: in a shielded box."""
    devices.forget()
    joined.rig.air_log()  # a bench, where the next test would have to wait for an hour, skips it here
    joined.tell(FPORT, bytes((DUTY_CYCLE_CTRL, 0)))
    joined.go_at(0)
    sent_us = 0
    while sent_us <= HOUR_S * 1_000_000 // 100:
        uplink = joined.exchange().uplink
        sent_us += time_on_air_us(uplink.sf, uplink.bw_hz, len(uplink.phy))
    for _ in range(TRIES):  # a device that heard it has nothing left to say so with
        _tell(joined, bytes((DUTY_CYCLE_CTRL, 1)))
        if joined.silent_for(45):
            return
    raise AssertionError("the device goes on sending")


@pytest.mark.slow
def test_frames_come_at_the_period_that_was_asked_for(joined: Network) -> None:
    """A device that reports more often than that goes on to do so: its own frames are not counted."""
    _tell(joined, bytes((TX_PERIODICITY, FIVE_S)))
    moments = [joined.exchange().uplink.at_s for _ in range(4)]
    assert max(later - earlier for earlier, later in pairwise(moments)) < 8
    _tell(joined, bytes((TX_PERIODICITY, 0)))


@pytest.mark.slow
def test_it_can_become_class_c_and_class_a_again(joined: Network) -> None:
    _tell(joined, bytes((SWITCH_CLASS, 2)))
    assert joined.session is not None
    heard = joined.exchange(fopts=macnetwork.rx_param_setup_req(0, 5, joined.rx2_hz))
    joined.rx2_dr = 5
    heard = joined.exchange()
    heard = joined.next_data()
    phy = joined.session.seal_downlink(None, b"", confirmed=True)
    joined.send(phy, heard, 2, delay_s=0.4)
    assert joined.next_data().data.ack, "heard between the end of the uplink and RX1"
    _tell(joined, bytes((SWITCH_CLASS, 0)))
    heard = joined.exchange(fopts=macnetwork.rx_param_setup_req(0, 0, joined.rx2_hz))
    joined.rx2_dr = 0
    joined.exchange()
    assert joined.next_data().received is not None


@pytest.mark.slow
def test_it_goes_on_after_a_reset(joined: Network) -> None:
    fcnt = joined.exchange(fport=FPORT, payload=DUT_RESET).data.fcnt
    assert joined.exchange().data.fcnt > fcnt


@pytest.mark.slow
def test_it_joins_again_when_told_to(joined: Network) -> None:
    _tell(joined, DUT_JOIN)
    joined.join()
    joined.go_at(FASTEST)
    assert joined.dev_nonces == sorted(set(joined.dev_nonces))


@pytest.mark.slow
def test_the_port_closes_for_good(devices: Devices, joined: Network) -> None:
    devices.forget()
    _tell(joined, DISABLE)
    joined.exchange()
    _tell(joined, ECHO + b"\x01")
    assert joined.exchange().data.fport != FPORT
    assert joined.exchange().data.fport != FPORT


@pytest.mark.slow
@pytest.mark.parametrize(("cid", "command"), [(0x20, LINK_CHECK), (0x21, DEVICE_TIME)])
def test_it_asks_the_network_when_told_to(joined: Network, cid: int, command: int) -> None:
    _tell(joined, bytes([cid]))
    heard = joined.exchange()
    assert command in [found for found, _ in parse(heard.data.fopts, True)]


@pytest.mark.slow
def test_what_a_device_without_class_b_does_not_know_changes_nothing(joined: Network) -> None:
    """PingSlotInfoReq (0x22) and SwitchClass to B: no answer, no other class, and the next command is obeyed."""
    for command in (bytes((0x22, 0x00)), bytes((SWITCH_CLASS, 1)), b"\x55"):
        _tell(joined, command)
    assert _ask(joined, ECHO + b"\x07") == ECHO + b"\x08"
