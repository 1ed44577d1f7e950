# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""PUSH_DATA read for speed means what it means to the plain reader, and what is not plainly usual is left to that."""

import dataclasses
import json
import random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.links.lora import quick_rxpk, semtech
from gateway.links.lora.errors import MalformedDatagram
from gateway.quick_record import record

EUI = bytes(range(8))
USUAL = {
    "tmst": 3512348611, "chan": 2, "rfch": 0, "freq": 866.349812, "stat": 1, "modu": "LORA", "datr": "SF7BW125",
    "codr": "4/6", "rssi": -35, "lsnr": 5.1, "size": 32, "data": "LNs4FpkI4+EU0b4CzK9Z7/nv9oTw1Rq1vVjW7tYbWYc=",
}  # fmt: skip
OF_SX1302 = {"jver": 1, "time": "2026-11-22T08:00:00.5Z", "tmms": 1_400_000_000_000, "mid": 8, "rssis": -36, "foff": 1}
SHAPES = [shape.split() for shape in (
    "tmst time tmms chan rfch freq mid stat modu datr codr lsnr rssi size data",
    "tmst chan rfch freq stat modu datr codr lsnr rssi size data",
    "jver tmst time chan rfch freq mid stat modu datr codr rssis lsnr foff rssi size data",
    "tmst freq chan rfch stat modu datr codr rssi lsnr size data",
    "tmst freq chan rfch stat modu datr codr rssi rssis lsnr size data",
)]  # fmt: skip
"""The orders in which packet forwarders write their keys."""
ODD: dict[str, Any] = {
    "stat": st.sampled_from([1, 1.0, True, "1", -1, 0, None]),
    "modu": st.sampled_from(["LORA", "FSK", 1]),
    "freq": st.sampled_from([868.1, 868, 1e400, 99.9, True, "868.1", -0.0]),
    "tmst": st.sampled_from([0, -1, 2**32, 2**32 - 1, 1.0, 10**39, 10**41, False]),
    "tmms": st.sampled_from([None, 0, -1, 2**53, 1.5, "1", True]),
    "time": st.sampled_from([None, 1, "", "2026-11-22T08:00:00Z", "now", "x" * 50, [], "1,2"]),
    "datr": st.sampled_from(["SF7BW125", "SF12BW500", "SF4BW125", 50000, "SF7BW125" * 20]),
    "codr": st.sampled_from(["4/5", "4/8", "1/2", "OFF", "", 1]),
    "rssi": st.sampled_from([-35, -35.5, -301, True, None]),
    "lsnr": st.sampled_from([5.1, -128, 129, False]),
    "size": st.sampled_from([32, 31, 0, 256, True, 32.0]),
    "data": st.sampled_from(["", "AA==", "AA", "-_-_", "A\\u0041==", "é", 5]),
    "rsig": st.sampled_from([[], [{"rssic": -3, "lsnr": 1}], 1]),
    "more": st.sampled_from([float("inf"), float("-inf"), float("nan"), 10**50, {}, [1], "x", "]}", None, 0.1, 'q"']),
}
NUMBERS = (b"1e999", b"-1e999", b"1" * 41, b"0." + b"1" * 39, b"1e5", b"-0", b"01", b"NaN", b"Infinity")


def body_of(*items: Any) -> bytes:
    return json.dumps({"rxpk": items}, ensure_ascii=False, separators=(",", ":")).encode()


def assert_agrees(body: bytes) -> None:
    """The quick one says nothing, or what the plain one says."""
    header = semtech.Header(1, semtech.Identifier.PUSH_DATA, EUI, body)
    quick = quick_rxpk.packets(body, EUI)
    try:
        plain = semtech.plain_push_data(header)
    except MalformedDatagram:
        assert quick is None
        return
    if quick is not None:
        assert (quick, {}, None) == (plain.packets, plain.refused, plain.stat)
        assert repr(quick) == repr(plain.packets)  # 1 and 1.0 are equal, and not the same
    assert semtech.parse_body(header) == plain


@pytest.mark.parametrize(
    "item", [USUAL, OF_SX1302 | USUAL, USUAL | OF_SX1302], ids=["semtech", "sx1302", "other order"]
)
def test_what_forwarders_usually_send_is_read_by_the_quick_one(item: dict[str, Any]) -> None:
    for count in (1, 2, 4):
        body = body_of(*[item] * count)
        found = quick_rxpk.packets(body, EUI)
        assert found is not None
        assert len(found) == count
        assert_agrees(body)
    assert quick_rxpk.packets(json.dumps({"rxpk": [item]}).encode(), EUI) is not None  # with blanks


@given(st.lists(st.fixed_dictionaries({}, optional=ODD), min_size=1, max_size=3), st.permutations(list(USUAL)))
def test_odd_values_mean_the_same_to_both(odd: list[dict[str, Any]], order: list[str]) -> None:
    assert_agrees(body_of(*[{key: USUAL[key] for key in order} | each for each in odd]))


@pytest.mark.parametrize("keys", SHAPES)
def test_the_orders_of_usual_forwarders_are_known_by_sight(keys: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick_rxpk, "_any_order", lambda *_: None)
    item = OF_SX1302 | USUAL
    body = body_of({key: item[key] for key in keys})
    for _ in range(2):
        assert (
            quick_rxpk.packets(body, EUI)
            == semtech.plain_push_data(semtech.Header(1, semtech.Identifier.PUSH_DATA, EUI, body)).packets
        )


@given(st.sampled_from(SHAPES), st.fixed_dictionaries({}, optional=ODD), st.sampled_from([*NUMBERS, b""]))
def test_odd_values_in_a_known_order_mean_the_same_to_both(keys: list[str], odd: dict[str, Any], number: bytes) -> None:
    item = OF_SX1302 | USUAL | odd
    assert_agrees(body_of({key: item[key] for key in keys}).replace(b"866.349812", number or b"866.349812"))


@given(st.integers(0, 2**32), st.integers(1, 4), st.sampled_from([list(OF_SX1302 | USUAL), *SHAPES]))
@example(0, 1, SHAPES[0])
def test_damaged_text_means_the_same_to_both(damage: int, changes: int, keys: list[str]) -> None:
    rng = random.Random(damage)
    item = OF_SX1302 | USUAL
    body = bytearray(body_of({key: item[key] for key in keys}))
    for _ in range(changes):
        at = rng.randrange(len(body))
        body[at : at + rng.choice([0, 1, 1, 5])] = rng.choice(
            [b"", b'"', b"\\", b",", b" ", b"0", b"\n", b"}", *NUMBERS]
        )
    assert_agrees(bytes(body))


LOOKED_UP = ("0", "-0.0", "1", "1.0", "999", "1e-9", "4294967295", "4294967296", "12345678901234", '"4/5"', '"9/9"',
             '"SF7BW250"', '""', '"a,b"', '"/"', "null", *map(bytes.decode, NUMBERS))  # fmt: skip


@pytest.mark.parametrize("keys", SHAPES)
@pytest.mark.parametrize("key", ["rssi", "lsnr", "freq", "chan", "codr", "datr", "size", "tmst", "tmms"])
def test_each_part_that_is_cut_out_or_looked_up_is_judged(keys: list[str], key: str) -> None:
    item = OF_SX1302 | USUAL | {key: 77777}
    body = body_of({each: item[each] for each in keys})
    for value in LOOKED_UP * 2:
        assert_agrees(body.replace(b"77777", value.encode()))


def test_what_is_known_of_texts_is_bounded_and_what_means_nothing_is_not_kept() -> None:
    known = quick_rxpk.Known(lambda text: int(text) if text.isdigit() else None, most=10)
    for number in range(95):
        assert known[b"%d" % number] == number
        assert known[b"-%d" % number] is None
        assert len(known) <= 10
    assert set(known.values()) == set(range(90, 95))


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("key", ["tmst", "freq", "chan", "foff", "size"])
def test_numbers_that_readers_differ_on_are_left_to_the_plain_one(key: str, number: bytes) -> None:
    text = json.dumps({"rxpk": [OF_SX1302 | USUAL | {key: 77777}]}).encode()
    assert_agrees(text.replace(b"77777", number))
    assert_agrees(text.replace(b"77777", number).replace(b" ", b""))


@pytest.mark.parametrize("twice", [b'"freq":866.4', b'"data":""', b'"more":1,"more":1', b'"more":"","more":""'])
def test_a_key_that_is_given_twice_is_refused(twice: bytes) -> None:
    for body in (body_of(USUAL).replace(b'"stat"', twice + b',"stat"'), body_of(USUAL)[:-1] + b',"rxpk":[]}'):
        assert quick_rxpk.packets(body, EUI) is None
        with pytest.raises(MalformedDatagram):
            semtech.parse_body(semtech.Header(1, semtech.Identifier.PUSH_DATA, EUI, body))


def test_a_record_is_made_fast_and_is_a_frozen_dataclass_otherwise() -> None:
    class Plain:
        name: str
        number: int = 3

    frozen: Any = dataclasses.dataclass(frozen=True, slots=True)(Plain)
    quick: Any = record(type("Plain", (), {"__annotations__": Plain.__annotations__, "number": 3}))
    for arguments in (("a",), ("a", 4), ("b", 3)):
        one, other = frozen(*arguments), quick(*arguments)
        assert hash(one) == hash(other)
        assert repr(one).rpartition(".")[2] == repr(other).rpartition(".")[2]
        assert dataclasses.astuple(one) == dataclasses.astuple(other)
        assert dataclasses.replace(other, number=9) == quick(arguments[0], 9) != other
        assert not hasattr(other, "__dict__")
