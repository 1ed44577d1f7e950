# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Semtech UDP datagrams: the protocol's own examples, symmetry with an independent encoder, whatever else arrives."""

import base64
import json
import random
import tracemalloc
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.links.lora import semtech
from gateway.links.lora.errors import MalformedDatagram, NotStrictJson, PacketRefused
from gateway.links.lora.radio_json import Packet, Stat, decode_base64, parse_rxpk
from gateway.radio import RadioDownlink, Reception
from tests import packet_forwarder as other

VECTORS = Path(__file__).parent / "vectors" / "semtech"
EUI = bytes.fromhex("aa555a0000000101")


def _load(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


def _cases(name: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in _load(name)["cases"]]


def _packet(expected: dict[str, Any]) -> Packet:
    fields = dict(expected)
    return Packet(bytes.fromhex(fields.pop("phy")), Reception(gateway_eui=EUI, **fields))


@pytest.mark.parametrize("case", _cases("upstream"))
def test_the_documents_own_examples(case: dict[str, Any]) -> None:
    pdu = semtech.parse(bytes.fromhex(case["datagram"]))
    assert (pdu.token, pdu.gateway_eui) == (0xA1B2, EUI)
    if case["kind"] == "push_data":
        assert isinstance(pdu, semtech.PushData)
        assert pdu.packets == tuple(_packet(expected) for expected in case["packets"])
        assert pdu.refused == case["refused"]
        assert pdu.stat == (None if case["stat"] is None else Stat(**case["stat"]))
    elif case["kind"] == "tx_ack":
        assert isinstance(pdu, semtech.TxAck)
        assert (pdu.error, pdu.warning, pdu.value) == (case["error"], case["warning"], case["value"])
    else:
        assert isinstance(pdu, semtech.PullData)


@pytest.mark.parametrize("case", _cases("rxpk"))
def test_rxpk(case: dict[str, Any]) -> None:
    if "refused" in case:
        with pytest.raises(PacketRefused) as refusal:
            parse_rxpk(case["rxpk"], EUI)
        assert refusal.value.why == case["refused"]
    else:
        assert parse_rxpk(case["rxpk"], EUI) == _packet(case["out"])


@pytest.mark.parametrize("case", _cases("malformed"))
def test_malformed(case: dict[str, Any]) -> None:
    with pytest.raises(MalformedDatagram) as refusal:
        semtech.parse(bytes.fromhex(case["datagram"]))
    assert refusal.value.reason == case["reason"]


@pytest.mark.parametrize("case", _cases("txpk"))
def test_txpk(case: dict[str, Any]) -> None:
    datagram = semtech.build_pull_resp(0xBEEF, bytes.fromhex(case["phy"]), RadioDownlink(**case["when"]))
    assert datagram[:4] == bytes.fromhex("02beef03")
    assert json.loads(datagram[4:]) == {"txpk": case["out"]}
    assert f'"freq":{case["freq_text"]},'.encode() in datagram


def test_acknowledgements_echo_the_token() -> None:
    assert semtech.build_push_ack(0x01FE) == bytes.fromhex("0201fe01")
    assert semtech.build_pull_ack(0xFE01) == bytes.fromhex("02fe0104")


def test_a_datagram_over_the_limit_is_not_read() -> None:
    body = other.push_body(stat={"time": "x" * 40}).ljust(semtech.MAX_DATAGRAM_BYTES - 12)
    assert isinstance(semtech.parse(other.datagram(0, 1, EUI, body)), semtech.PushData)
    with pytest.raises(MalformedDatagram) as refusal:
        semtech.parse(other.datagram(0, 1, EUI, body + b" "))
    assert refusal.value.reason == "wrong_length"


def test_one_bad_packet_does_not_cost_the_others() -> None:
    body = other.push_body(other.rxpk(b"a"), 7, other.rxpk(b"b", size=2), other.rxpk(b"c", stat=-1), other.rxpk(b"d"))
    pdu = semtech.parse(other.datagram(0, 1, EUI, body))
    assert isinstance(pdu, semtech.PushData)
    assert [packet.phy for packet in pdu.packets] == [b"a", b"d"]
    assert pdu.refused == {"rxpk_not_object": 1, "size_mismatch": 1, "crc_failed": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"freq_hz": 99_999_999},
        {"sf": 13},
        {"bw_hz": 125},
        {"power_dbm": -1},
        {"tmst_us": 1 << 32},
        {"tmst_us": -1},
        {"gps_ms": -1},
        {"tmst_us": 0, "gps_ms": 0},
        {"coding_rate": 9},
        {"preamble_symbols": 5},
        {"rf_chain": 2},
    ],
    ids=str,
)
def test_a_downlink_that_no_gateway_could_send_cannot_be_made(change: dict[str, Any]) -> None:
    fine: dict[str, Any] = {"freq_hz": 868_100_000, "sf": 7, "bw_hz": 125_000, "power_dbm": 14}
    RadioDownlink(**fine)
    with pytest.raises(ValueError, match=next(iter(change))):
        RadioDownlink(**{**fine, **change})


@pytest.mark.parametrize("phy", [b"", bytes(256)], ids=len)
def test_a_downlink_has_the_length_of_a_lora_frame(phy: bytes) -> None:
    with pytest.raises(ValueError, match="1 to 255 bytes"):
        semtech.build_pull_resp(1, phy, RadioDownlink(868_100_000, 7, 125_000, 14))


# ---- symmetry with the independent encoder and decoder

_FREQ = st.integers(100_000_000, 3_000_000_000)
_SF = st.integers(5, 12)
_BW = st.sampled_from([125_000, 250_000, 500_000])
_TOKEN = st.integers(0, 0xFFFF)
_EUI = st.binary(min_size=8, max_size=8)
_PHY = st.binary(min_size=1, max_size=255)
_NUMBER = st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9)
_MOMENT = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@st.composite
def _packets(draw: st.DrawFn, eui: bytes) -> tuple[Packet, dict[str, object]]:
    """Return a packet and the rxpk that means it, written in one of the ways that forwarders have."""
    phy = draw(_PHY)
    moment = draw(st.none() | _MOMENT)
    reception = Reception(
        gateway_eui=eui,
        tmst_us=draw(st.integers(0, 0xFFFFFFFF)),
        freq_hz=draw(_FREQ),
        sf=draw(_SF),
        bw_hz=draw(_BW),
        rssi_dbm=draw(st.integers(-150, 20)),
        snr_db=draw(st.integers(-250, 250)) / 10,
        coding_rate=draw(st.integers(5, 8)),
        time_s=None if moment is None else moment.timestamp(),
        gps_ms=draw(st.none() | st.integers(0, 1 << 50)),
    )
    encode = draw(st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]))
    data = encode(phy).decode()
    item: dict[str, object] = {
        "tmst": reception.tmst_us,
        "freq": float(f"{reception.freq_hz / 1e6:.6f}"),
        "stat": 1,
        "modu": "LORA",
        "datr": f"SF{reception.sf}BW{reception.bw_hz // 1000}",
        "codr": f"4/{reception.coding_rate}",
        "rssi": reception.rssi_dbm,
        "lsnr": reception.snr_db,
        "size": len(phy),
        "data": data.rstrip("=") if draw(st.booleans()) else data,
        **({"time": moment.isoformat().replace("+00:00", "Z")} if moment else {}),
        **({"tmms": reception.gps_ms} if reception.gps_ms is not None else {}),
    }
    return Packet(phy, reception), item


@given(data=st.data(), token=_TOKEN, eui=_EUI)
def test_push_data_means_what_was_sent(data: st.DataObject, token: int, eui: bytes) -> None:
    pairs = data.draw(st.lists(_packets(eui), max_size=4))
    numbers = data.draw(st.lists(_NUMBER, min_size=10, max_size=10))
    keys = ("lati", "long", "alti", "rxnb", "rxok", "rxfw", "ackr", "dwnb", "txnb", "temp")
    stat = {"time": "2014-01-12 08:59:28 GMT", **dict(zip(keys, numbers, strict=True))}
    root = {"rxpk": [item for _, item in pairs], "stat": stat}
    body = json.dumps(root, indent=data.draw(st.sampled_from([None, 1]))).encode()
    sent = semtech.PushData(
        token, eui, tuple(packet for packet, _ in pairs), Counter(), Stat("2014-01-12 08:59:28 GMT", *numbers)
    )
    assert semtech.parse(other.datagram(other.PUSH_DATA, token, eui, body)) == sent


@given(
    token=_TOKEN,
    eui=_EUI,
    error=st.from_regex(r"[A-Z0-9_]{1,32}", fullmatch=True),
    value=st.none() | st.integers(-100, 100) | st.text("abc 0", max_size=32),
)
def test_pull_data_and_tx_ack_mean_what_was_sent(token: int, eui: bytes, error: str, value: Any) -> None:
    assert semtech.parse(other.datagram(other.PULL_DATA, token, eui)) == semtech.PullData(token, eui)
    assert semtech.parse(other.datagram(other.TX_ACK, token, eui)) == semtech.TxAck(token, eui)
    body = json.dumps({"txpk_ack": {"error": error, "warn": "TX_POWER", "value": value}}).encode()
    expected = semtech.TxAck(token, eui, "" if error == "NONE" else error, "TX_POWER", value)
    assert semtech.parse(other.datagram(other.TX_ACK, token, eui, body)) == expected


@st.composite
def _downlinks(draw: st.DrawFn) -> RadioDownlink:
    timing = draw(st.sampled_from(["tmst_us", "gps_ms", None]))
    ticks = draw(st.integers(0, 0xFFFFFFFF))
    return RadioDownlink(
        freq_hz=draw(_FREQ),
        sf=draw(_SF),
        bw_hz=draw(_BW),
        power_dbm=draw(st.integers(0, 30)),
        coding_rate=draw(st.integers(5, 8)),
        preamble_symbols=draw(st.integers(6, 100)),
        inverted_iq=draw(st.booleans()),
        crc=draw(st.booleans()),
        rf_chain=draw(st.integers(0, 1)),
        **({timing: ticks} if timing else {}),
    )


@given(token=_TOKEN, phy=_PHY, when=_downlinks())
def test_a_forwarder_reads_the_downlink_that_was_meant(token: int, phy: bytes, when: RadioDownlink) -> None:
    datagram = semtech.build_pull_resp(token, phy, when)
    assert datagram[:4] == bytes([2, *token.to_bytes(2, "big"), other.PULL_RESP])
    txpk = json.loads(datagram[4:])["txpk"]
    sf, bw_khz = txpk["datr"].removeprefix("SF").split("BW")
    assert base64.b64decode(txpk["data"], validate=True) == phy
    assert txpk["size"] == len(phy)
    assert txpk["modu"] == "LORA"
    assert txpk["imme"] is (when.tmst_us is None and when.gps_ms is None)
    read = RadioDownlink(
        freq_hz=round(txpk["freq"] * 1e6),
        sf=int(sf),
        bw_hz=int(bw_khz) * 1000,
        power_dbm=txpk["powe"],
        tmst_us=txpk.get("tmst"),
        gps_ms=txpk.get("tmms"),
        coding_rate=int(txpk["codr"].removeprefix("4/")),
        preamble_symbols=txpk["prea"],
        inverted_iq=txpk["ipol"],
        crc=not txpk["ncrc"],
        rf_chain=txpk["rfch"],
    )
    assert read == when


@given(phy=st.binary(max_size=255), url_safe=st.booleans(), padding=st.integers(0, 2))
def test_base64_in_either_alphabet(phy: bytes, url_safe: bool, padding: int) -> None:
    digits = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(phy).decode().rstrip("=")
    assert decode_base64(digits + "=" * padding) == phy


# ---- whatever arrives

_REASONS = {"wrong_length", "unknown_version", "unknown_identifier", "not_strict_json", "wrong_content"}


def _outcome(datagram: bytes) -> list[str]:
    """Return what became of a datagram, in names. Anything but a PDU or MalformedDatagram fails the test."""
    try:
        pdu = semtech.parse(datagram)
    except MalformedDatagram as refusal:
        assert refusal.reason in _REASONS
        return [refusal.reason]
    if not isinstance(pdu, semtech.PushData):
        return [type(pdu).__name__]
    for packet in pdu.packets:
        assert 1 <= len(packet.phy) <= 255
        assert 0 <= packet.reception.tmst_us < 1 << 32
        assert 100_000_000 <= packet.reception.freq_hz <= 3_000_000_000
    return ["uplink"] * len(pdu.packets) + list(pdu.refused) or ["PushData"]


@given(
    datagram=st.binary(max_size=200)
    | st.builds(lambda kind, body: b"\x02ab" + bytes([kind]) + EUI + body, st.integers(0, 5), st.binary(max_size=100))
)
def test_any_bytes_are_a_pdu_or_malformed(datagram: bytes) -> None:
    assert _outcome(datagram)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
_KEYS = (*other.rxpk(), "time", "tmms", "rsig", "rssic")


@given(item=st.dictionaries(st.sampled_from(_KEYS), _JSON), base=st.booleans(), ack=_JSON, stat=_JSON)
def test_any_json_is_a_pdu_or_malformed(item: dict[str, object], base: bool, ack: object, stat: object) -> None:
    packet = {**other.rxpk(), **item} if base else item
    assert _outcome(other.datagram(other.PUSH_DATA, 1, EUI, json.dumps({"rxpk": [packet], "stat": stat}).encode()))
    assert _outcome(other.datagram(other.PUSH_DATA, 1, EUI, json.dumps({"rxpk": [packet], "stat": {}}).encode()))
    assert _outcome(other.datagram(other.TX_ACK, 1, EUI, json.dumps({"txpk_ack": ack}).encode()))


def test_100_000_mutations_are_accepted_or_refused_by_reason(rng: random.Random) -> None:
    seeds = other.originals(EUI)
    seen: Counter[str] = Counter()
    for _ in range(90_000):
        seen.update(_outcome(other.mutate(rng, rng.choice(seeds))))
    tracemalloc.start()
    try:
        before = 0
        for number in range(10_000):
            if number == 2_000:
                before = tracemalloc.get_traced_memory()[0]
            seen.update(_outcome(other.mutate(rng, rng.choice(seeds))))
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 65_536
    # The mutations reach all of the parser, or they would prove nothing.
    fields = {
        f"rxpk_{field}" for field in ("tmst", "freq", "stat", "modu", "datr", "codr", "rssi", "lsnr", "size", "data")
    }
    others = {
        "PullData",
        "TxAck",
        "PushData",
        "uplink",
        "crc_failed",
        "no_crc",
        "size_mismatch",
        "unsupported_modulation",
    }
    assert _REASONS | fields | others <= set(seen), seen
    assert min(seen["uplink"], seen["not_strict_json"]) > 5_000


@pytest.mark.parametrize("unit", ['"', '\\"', '"\\', "[", "{", '":', "\\", '["'])
def test_the_longest_bodies_are_refused(unit: str) -> None:
    body = ('{"stat":' + unit * semtech.MAX_DATAGRAM_BYTES)[: semtech.MAX_DATAGRAM_BYTES - 12]
    with pytest.raises(NotStrictJson):
        semtech.parse(other.datagram(other.PUSH_DATA, 1, EUI, body.encode()))


def test_depth_is_found_in_one_pass() -> None:
    """A string without its end takes the rest. Searched again from each quote in it, the cost would be quadratic."""
    with pytest.raises(NotStrictJson, match="Unterminated string"):
        semtech.parse(other.datagram(other.PUSH_DATA, 1, EUI, b'{"stat":"' + b'\\"[' * 1000))
