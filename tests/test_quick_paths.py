# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What is written for speed does what the plain implementation does, for good and for bad input alike."""

import random
from collections.abc import Callable
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from firmware.wire import cbor, kinds, readings
from firmware.wire.errors import WireError
from firmware.wire.session import Session
from gateway.network.aes import ecb
from gateway.network.quick_session import QuickSession
from gateway.records import quick_cbor, quick_reading

_KEYS = bytes(range(16)), bytes(range(16, 32))
_ADDRESS = 0x02000001


def outcome(work: Callable[[], Any]) -> object:
    try:
        received = work()
    except WireError as error:
        return type(error), str(error)
    return vars(received)


@given(
    fcnt=st.integers(0, 2**32 - 1),
    ahead=st.integers(-3, 3) | st.integers(-70000, 70000),
    fport=st.none() | st.integers(0, 255),
    payload=st.binary(max_size=200),
    fopts=st.binary(max_size=15),
    confirmed=st.booleans(),
    flip=st.none() | st.tuples(st.integers(0, 400), st.integers(0, 7)),
)
def test_a_quick_session_opens_what_a_plain_one_opens_and_refuses_the_rest_alike(
    fcnt: int,
    ahead: int,
    fport: int | None,
    payload: bytes,
    fopts: bytes,
    confirmed: bool,
    flip: tuple[int, int] | None,
) -> None:
    device = Session(ecb, _ADDRESS, *_KEYS, fcnt_up=min(max(0, fcnt + ahead), 2**32 - 1))
    if fport is None:
        payload = b""
    if fport == 0:
        fopts = b""
    phy = bytearray(device.seal_uplink(fport, payload, confirmed=confirmed, fopts=fopts))
    if flip is not None:
        phy[flip[0] % len(phy)] ^= 1 << flip[1]
    plain, quick = Session(ecb, _ADDRESS, *_KEYS, fcnt_up=fcnt), QuickSession(_ADDRESS, *_KEYS, fcnt, 0)
    assert outcome(lambda: quick.open_uplink(bytes(phy))) == outcome(lambda: plain.open_uplink(bytes(phy)))
    assert quick.fcnt_up == plain.fcnt_up


def unpacked(payload: bytes) -> object:
    try:
        return readings.unpack(payload)
    except WireError:
        return None


_VALUES = st.integers(-(2**32), 2**32 - 1) | st.booleans()
_MAPS = st.dictionaries(st.integers(0, 30), _VALUES, max_size=12)


@given(st.lists(_MAPS, max_size=5), st.none() | st.integers(-5, 2**32 - 1), st.none() | st.integers(0, 10**6))
@example([{}], None, None)
def test_the_quick_reader_of_payloads_agrees_with_the_plain_one_or_leaves_it_to_it(
    maps: list[dict[int, Any]], last: int | None, damage: int | None
) -> None:
    payload = b"".join(cbor.dumps(each) for each in maps) + (b"" if last is None else cbor.dumps(last))
    if damage is not None and payload:
        rng = random.Random(damage)
        at = rng.randrange(len(payload))
        payload = payload[:at] + rng.choice((b"", bytes([rng.randrange(256)]))) + payload[at + rng.randrange(2) :]
    quick = quick_cbor.unpack(payload)
    assert quick is None or quick == unpacked(payload)


@given(st.binary(max_size=30))
def test_no_bytes_mean_more_to_the_quick_reader_than_to_the_plain_one(payload: bytes) -> None:
    quick = quick_cbor.unpack(payload)
    assert quick is None or quick == unpacked(payload)


def test_the_usual_payload_is_quick() -> None:
    usual = readings.pack([cbor.dumps({0: 70000, 1: 1_790_000_000, 3: True, 4: -35, 5: 300})], 69_990)
    assert quick_cbor.unpack(usual) == readings.unpack(usual)


_KINDS = ("street_light", "waste_bin", "traffic")
_RAW = st.integers(-(2**33), 2**33) | st.integers(-5, 300) | st.booleans() | st.none() | st.text(max_size=2)
_ITEMS = st.dictionaries(st.integers(-1, 60) | st.integers(0, 12) | st.text(max_size=1), _RAW, max_size=8)


def judged(kind: str, item: object) -> object:
    try:
        return readings.decode_reading(kinds.load(kind), item)
    except WireError:
        return None


@given(st.sampled_from(_KINDS), _ITEMS | _RAW)
@example("street_light", {0: 0})
@example("street_light", {0: 7, 1: 1_790_000_000, 2: 5})
def test_no_reading_means_anything_else_to_the_quick_judge_than_to_the_plain_one(kind: str, item: object) -> None:
    quick = quick_reading.decode(kind, item)
    assert quick is None or repr(quick) == repr(judged(kind, item))


@given(st.sampled_from(_KINDS), st.data())
def test_every_reading_that_is_plainly_right_is_judged_quickly(kind: str, data: st.DataObject) -> None:
    item: dict[int, Any] = {0: data.draw(st.integers(1, 2**32 - 1))}
    for _, key, scale, low, high in data.draw(st.sets(st.sampled_from(kinds.fields(kinds.load(kind))))):
        item[key] = data.draw(st.booleans() if scale == 0 else st.integers(low, high))
    item |= data.draw(st.sampled_from([{}, {1: 1_790_000_000}, {2: 3600}]))
    quick = quick_reading.decode(kind, item)
    assert quick is not None
    assert repr(quick) == repr(judged(kind, item))
