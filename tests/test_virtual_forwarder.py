# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The virtual gateway in simulated time: its datagrams, its counter and its queue of frames to send."""

import base64
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boards.virtual.air.frames import Channel, Event, FrameHeard, Modulation
from boards.virtual.air.link_budget import PathLoss
from boards.virtual.air.medium import Medium
from boards.virtual.forwarder import semtech_pdus
from boards.virtual.forwarder.concentrator import Concentrator, TxLimits
from boards.virtual.forwarder.semtech_pdus import Ack, MalformedDatagram, PullResp, Txpk, parse_txpk
from gateway.links.lora import semtech as server_side
from tests.air_rig import downlink

VECTORS = json.loads((Path(__file__).parent / "vectors/semtech/txpk.json").read_text())
EUI = bytes.fromhex("aabbccddeeff0011")
TOKEN = b"\x12\x34"
NOW_US = 5_000_000_000
WRAP = 1 << 32
DATA = bytes(range(20))
STEADY = PathLoss(shadowing_db=0, fading_db=0, drift_db=0)
DOWN = Channel(868_100_000, 7, 125_000, True)


def gateway(counter_start: int = 0, started_us: int = 0) -> tuple[Medium, Concentrator]:
    medium = Medium(1, STEADY)
    concentrator = Concentrator(medium, "gateway", started_us, counter_start)
    concentrator.join(0, 0, started_us)
    medium.add_radio("device", 100, 0)
    return medium, concentrator


def asked(**changes: object) -> Txpk:
    return parse_txpk(downlink(DATA, **changes), 0x34)


def heard_by(events: list[Event], radio: str) -> list[FrameHeard]:
    return [event for event in events if isinstance(event, FrameHeard) and event.radio == radio]


# Datagrams


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_txpk_vectors(case: dict[str, Any]) -> None:
    datagram = bytes((2, *TOKEN, 3)) + json.dumps({"txpk": case["out"]}).encode()
    pdu = semtech_pdus.parse(datagram)
    assert isinstance(pdu, PullResp)
    txpk = parse_txpk(pdu.txpk, 0x34)
    when = case["when"]
    assert txpk.data.hex() == case["phy"]
    assert txpk.modulation.channel[:3] == (when["freq_hz"], when["sf"], when["bw_hz"])
    assert (txpk.power_dbm, txpk.tmst) == (when["power_dbm"], case["out"].get("tmst"))
    assert txpk.imme == case["out"]["imme"]


def test_both_ends_understand_each_other() -> None:
    medium, concentrator = gateway(started_us=1_000)
    medium.transmit("device", NOW_US, Modulation(DOWN._replace(iq=False, sf=9)), 14, DATA)
    (heard,) = heard_by(medium.advance(NOW_US + 10**7), "gateway")
    rxpk = concentrator.rxpk(heard)
    assert rxpk is not None
    stat = {"time": "2014-01-12 08:59:28 GMT", "rxnb": 2, "rxok": 2, "rxfw": 2, "ackr": 100.0, "dwnb": 2, "txnb": 2}
    pushed = server_side.parse(semtech_pdus.push_data(TOKEN, EUI, [rxpk], stat))
    assert isinstance(pushed, server_side.PushData)
    assert (pushed.token, pushed.gateway_eui, pushed.refused) == (0x1234, EUI, {})
    assert len(pushed.packets) == 1
    assert pushed.stat is not None
    assert server_side.parse(semtech_pdus.pull_data(TOKEN, EUI)) == server_side.PullData(0x1234, EUI)
    assert server_side.parse(semtech_pdus.tx_ack(TOKEN, EUI, None)) == server_side.TxAck(0x1234, EUI)
    warned = server_side.parse(semtech_pdus.tx_ack(TOKEN, EUI, {"warn": "TX_POWER", "value": 27}))
    assert warned == server_side.TxAck(0x1234, EUI, "", "TX_POWER", 27)
    assert semtech_pdus.parse(server_side.build_push_ack(0x1234)) == Ack(semtech_pdus.PUSH_ACK, TOKEN)
    assert semtech_pdus.parse(server_side.build_pull_ack(0x1234)) == Ack(semtech_pdus.PULL_ACK, TOKEN)


@pytest.mark.parametrize("data", ["AP7/_-8", "AP7//+8=", "AP7__-8="])
def test_base64_of_all_dialects(data: str) -> None:
    assert asked(size=5, data=data).data == bytes.fromhex("00feffffef")


@pytest.mark.parametrize(
    "change",
    [
        {"modu": "FSK"},
        {"datr": 50000},
        {"datr": "SF7"},
        {"codr": "4/9"},
        {"freq": "868.1"},
        {"freq": True},
        {"freq": float("nan")},
        {"data": None},
        {"data": "A"},
        {"data": "a b="},
        {"size": 19},
        {"size": None},
        {"ipol": 1},
        {"tmst": -1},
        {"tmst": WRAP},
        {"tmst": 1.5},
        {"powe": "14"},
    ],
)
def test_malformed_txpk(change: dict[str, object]) -> None:
    with pytest.raises(MalformedDatagram, match=rf"txpk\.{next(iter(change))}"):
        asked(**change)


@given(st.binary(max_size=80))
def test_any_datagram_is_read_or_refused(noise: bytes) -> None:
    for datagram in (noise, b"\x02\x00\x00\x03" + noise, b'\x02\x00\x00\x03{"txpk":' + noise):
        try:
            semtech_pdus.parse(datagram)
        except MalformedDatagram:
            continue


# Reception


@pytest.mark.parametrize(
    ("channel", "chan", "rfch", "freq", "datr"),
    [
        (Channel(868_100_000, 7, 125_000), 0, 1, 868.1, "SF7BW125"),
        (Channel(868_500_000, 12, 125_000), 2, 1, 868.5, "SF12BW125"),
        (Channel(867_900_000, 10, 125_000), 7, 0, 867.9, "SF10BW125"),
        (Channel(868_300_000, 7, 250_000), 8, 1, 868.3, "SF7BW250"),
    ],
)
def test_rxpk(channel: Channel, chan: int, rfch: int, freq: float, datr: str) -> None:
    medium, concentrator = gateway()
    frame = medium.transmit("device", NOW_US, Modulation(channel), 14, DATA)
    (heard,) = heard_by(medium.advance(NOW_US + 10**7), "gateway")
    rxpk = concentrator.rxpk(heard)
    # 14 dBm, 105.75 dB of loss; the noise is at -117.03 dBm in 125 kHz and 3 dB higher in 250 kHz
    assert rxpk == {
        "tmst": frame.until_us % WRAP,
        "freq": freq,
        "chan": chan,
        "rfch": rfch,
        "stat": 1,
        "modu": "LORA",
        "datr": datr,
        "codr": "4/5",
        "rssi": -92,
        "rssis": -92,
        "lsnr": 25.2 if channel.bw_hz == 125_000 else 22.2,
        "size": 20,
        "data": base64.b64encode(DATA).decode(),
    }


def test_downlinks_of_others_and_damaged_frames_are_not_forwarded() -> None:
    medium, concentrator = gateway()
    medium.transmit("device", NOW_US, Modulation(DOWN), 14, DATA)
    assert heard_by(medium.advance(NOW_US + 10**6), "gateway") == []
    medium.add_radio("other", 100, 0)
    frame = medium.transmit("device", NOW_US + 10**6, Modulation(DOWN._replace(iq=False)), 14, DATA)
    medium.transmit("other", frame.header_us + 1, Modulation(DOWN._replace(iq=False)), 14, DATA)
    (heard,) = heard_by(medium.advance(NOW_US + 10**7), "gateway")
    assert concentrator.rxpk(heard) is None
    assert (concentrator.received, concentrator.received_ok) == (1, 0)


@given(start=st.integers(0, WRAP - 1), at_us=st.integers(0, 2**50), offset_us=st.integers(-(2**31), 2**31 - 1))
def test_counter_and_moment_are_inverse_across_the_wrap(start: int, at_us: int, offset_us: int) -> None:
    _, concentrator = gateway(start, 1_000)
    assert concentrator.moment(concentrator.counter(at_us + offset_us), at_us) == at_us + offset_us


# Sending


@pytest.mark.parametrize("before_wrap_us", [0, 1, 500_000, 999_999, 1_000_000, 1_000_001, 2_000_000])
def test_a_device_hears_its_downlink_one_second_after_its_uplink_across_the_wrap(before_wrap_us: int) -> None:
    medium, concentrator = gateway()
    uplink = medium.transmit("device", NOW_US, Modulation(DOWN._replace(iq=False)), 14, DATA)
    concentrator._counter_at_zero = WRAP - before_wrap_us - uplink.until_us
    (heard,) = heard_by(medium.advance(uplink.until_us), "gateway")
    rxpk = concentrator.rxpk(heard)
    assert rxpk is not None
    outcome = concentrator.schedule(asked(tmst=(rxpk["tmst"] + 1_000_000) % WRAP), uplink.until_us + 50_000)
    assert (outcome.answer, outcome.at_us) == (None, uplink.until_us + 1_000_000)
    medium.listen("device", uplink.until_us + 1_000_000, frozenset({DOWN}))
    (received,) = heard_by(medium.advance(NOW_US + 10**8), "device")
    assert (received.data, received.crc_ok, received.frame.at_us) == (DATA, True, uplink.until_us + 1_000_000)
    assert received.frame.modulation.crc is False


@pytest.mark.parametrize(
    ("ahead_us", "error"),
    [
        (-2_000_000_000, "TOO_LATE"),
        (-1, "TOO_LATE"),
        (0, "TOO_LATE"),
        (42_500, "TOO_LATE"),
        (42_501, None),
        (512_000_000, None),
        (512_000_001, "TOO_EARLY"),
        (2_000_000_000, "TOO_EARLY"),
    ],
)
@pytest.mark.parametrize("counter_now", [0, 41_000, 3_000_000_000, WRAP - 1, WRAP - 42_500])
def test_too_late_and_too_early(ahead_us: int, error: str | None, counter_now: int) -> None:
    medium, concentrator = gateway(counter_now, NOW_US)
    outcome = concentrator.schedule(asked(tmst=(counter_now + ahead_us) % WRAP), NOW_US)
    assert outcome.error == error
    assert medium.frame_count == concentrator.sent == (1 if error is None else 0)


def test_one_transmitter_sends_one_frame_at_a_time() -> None:
    medium, concentrator = gateway(0, NOW_US)
    length_us = 51_456  # 20 bytes at SF7 without CRC
    apart_us = 42_500
    assert concentrator.schedule(asked(tmst=1_000_000), NOW_US).error is None
    for tmst, error in (
        (1_000_000, "COLLISION_PACKET"),
        (1_000_000 + length_us + apart_us - 1, "COLLISION_PACKET"),
        (1_000_000 - length_us - apart_us + 1, "COLLISION_PACKET"),
        (1_000_000 + length_us + apart_us, None),
        (1_000_000 - length_us - apart_us, None),
    ):
        assert concentrator.schedule(asked(tmst=tmst), NOW_US).error == error, tmst
    later_us = NOW_US + 2_000_000
    assert concentrator.schedule(asked(tmst=2_100_000), later_us).error is None
    assert medium.frame_count == 4


def test_immediate_frames_follow_each_other() -> None:
    _, concentrator = gateway(0, NOW_US)
    taken = concentrator.schedule(asked(tmst=1_200_000), NOW_US)
    moments = [concentrator.schedule(asked(imme=True), NOW_US).at_us for _ in range(3)]
    assert taken.at_us == NOW_US + 1_200_000
    first = NOW_US + 1_000_000
    step = 51_456 + 42_500
    assert moments == [first, first + step, NOW_US + 1_200_000 + step]


def test_queue_is_bounded() -> None:
    _, concentrator = gateway(0, NOW_US)
    errors = [concentrator.schedule(asked(imme=True), NOW_US).error for _ in range(34)]
    assert errors == [None] * 32 + ["COLLISION_PACKET"] * 2
    assert concentrator.schedule(asked(imme=True), NOW_US + 10**8).error is None


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"freq": 862.9}, {"error": "TX_FREQ"}),
        ({"freq": 1.0}, {"error": "TX_FREQ"}),
        ({"freq": 915.0}, {"error": "TX_FREQ"}),
        ({"freq": 869.525, "datr": "SF12BW125"}, None),
        ({"powe": 27}, None),
        ({"powe": 30}, {"warn": "TX_POWER", "value": 27}),
        ({"powe": -3}, {"warn": "TX_POWER", "value": 0}),
        ({"tmms": 1_000_000_000_000}, {"error": "GPS_UNLOCKED"}),
        ({"tmms": 1_000_000_000_000, "imme": True}, None),
        ({"tmms": 1_000_000_000_000, "tmst": 1_000_000}, None),
        ({"imme": True, "tmst": 1}, None),
        ({"imme": False, "tmst": 1}, {"error": "TOO_LATE"}),
    ],
)
def test_answers(changes: dict[str, object], answer: dict[str, object] | None) -> None:
    medium, concentrator = gateway(0, NOW_US)
    assert concentrator.schedule(asked(**changes), NOW_US).answer == answer
    sent = answer is None or "warn" in answer
    assert medium.frame_count == (1 if sent else 0)


def test_power_that_is_sent_is_the_one_that_is_answered() -> None:
    medium, concentrator = gateway(0, NOW_US)
    medium.listen("device", NOW_US, frozenset({DOWN}))
    concentrator.schedule(asked(powe=30, imme=True), NOW_US)
    (heard,) = heard_by(medium.advance(NOW_US + 10**8), "device")
    assert heard.frame.power_dbm == 27


@pytest.mark.parametrize("changes", [{"datr": "SF6BW125"}, {"datr": "SF7BW062"}, {"prea": 2}])
def test_what_no_lora_chip_sends_is_malformed(changes: dict[str, object]) -> None:
    medium, concentrator = gateway(0, NOW_US)
    with pytest.raises(MalformedDatagram):
        concentrator.schedule(asked(**changes), NOW_US)
    assert medium.frame_count == 0


def test_a_gateway_does_not_hear_while_it_sends() -> None:
    medium, concentrator = gateway(0, NOW_US)
    outcome = concentrator.schedule(asked(imme=True), NOW_US)
    assert outcome.at_us is not None
    uplink = Modulation(Channel(867_100_000, 7, 125_000))
    medium.transmit("device", outcome.at_us - 20_000, uplink, 14, DATA)
    medium.transmit("device", outcome.at_us + 100_000, uplink, 14, DATA)
    heard = heard_by(medium.advance(NOW_US + 10**8), "gateway")
    assert [event.frame.at_us for event in heard] == [outcome.at_us + 100_000]


def test_a_thousand_devices_in_simulated_time(seed: int) -> None:
    rng = random.Random(seed)
    medium = Medium(seed)
    concentrator = Concentrator(medium, "gateway", 0, limits=TxLimits())
    concentrator.join(0, 0, 0)
    for n in range(1000):
        medium.add_radio(f"device {n}", rng.uniform(-2000, 2000), rng.uniform(-2000, 2000))
    channels = [Channel(freq_hz, 7, 125_000) for freq_hz in (868_100_000, 868_300_000, 868_500_000)]
    forwarded = 0
    for n in range(3000):
        at_us = n * 60_000
        for event in heard_by(medium.advance(at_us), "gateway"):
            forwarded += concentrator.rxpk(event) is not None
        medium.transmit(f"device {n % 1000}", at_us, Modulation(rng.choice(channels)), 14, DATA)
    assert 500 < forwarded <= 3000
    assert medium.duty.violation_count == 0
