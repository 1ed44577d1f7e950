# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What is written for speed does what the plain implementation does, for good and for bad input alike."""

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from firmware.wire import cbor, kinds, readings
from firmware.wire.errors import WireError
from firmware.wire.frame import DataFrame
from firmware.wire.session import Session
from gateway.network.aes import ecb
from gateway.network.quick_session import QuickSession, address_of
from gateway.records import quick_payload

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


_KINDS = ("street_light", "waste_bin", "traffic")


def judged(kind: str, payload: bytes) -> object:
    """What the plain implementation says: nothing where it refuses the payload, or a reading in it."""
    try:
        items, oldest = readings.unpack_payload(payload)
        return [readings.decode_reading(kinds.load(kind), item) for item in items], oldest
    except WireError:
        return None


def assert_agrees(kind: str, payload: bytes) -> None:
    quick = quick_payload.read(kind, payload)
    assert quick is None or repr(quick) == repr(judged(kind, payload))


_RAW = (
    st.integers(-(2**32), 2**32 - 1) | st.integers(-5, 300) | st.integers(0, 25) | st.booleans() | st.none()
    | st.text(max_size=2) | st.binary(max_size=2)
)  # fmt: skip
_MAPS = st.dictionaries(st.integers(-1, 60) | st.integers(0, 12), _RAW, max_size=12)


@given(
    st.sampled_from(_KINDS),
    st.lists(_MAPS, max_size=5),
    st.none() | st.integers(-5, 2**32 - 1),
    st.none() | st.integers(0, 10**6),
)
@example("street_light", [{}], None, None)
@example("street_light", [{0: 0}], None, None)
@example("street_light", [{0: 7, 1: 1_790_000_000, 2: 5}], None, None)
@example("street_light", [{0: True}], None, None)
@example("street_light", [{0: 7, 1: -1}], None, None)
def test_the_quick_reader_of_payloads_agrees_with_the_plain_one_or_leaves_it_to_it(
    kind: str, maps: list[dict[int, Any]], last: int | None, damage: int | None
) -> None:
    payload = b"".join(cbor.dumps(each) for each in maps) + (b"" if last is None else cbor.dumps(last))
    if damage is not None and payload:
        rng = random.Random(damage)
        at = rng.randrange(len(payload))
        payload = payload[:at] + rng.choice((b"", bytes([rng.randrange(256)]))) + payload[at + rng.randrange(2) :]
    assert_agrees(kind, payload)


@given(st.sampled_from(_KINDS), st.binary(max_size=30))
def test_no_bytes_mean_more_to_the_quick_reader_than_to_the_plain_one(kind: str, payload: bytes) -> None:
    assert_agrees(kind, payload)


@given(st.sampled_from(_KINDS), st.data())
def test_every_reading_that_is_plainly_right_is_read_quickly(kind: str, data: st.DataObject) -> None:
    items = []
    for _ in range(data.draw(st.integers(1, 3))):
        item: dict[int, Any] = {0: data.draw(st.integers(1, 2**32 - 1))}
        item |= data.draw(st.sampled_from([{}, {1: 1_790_000_000}, {2: 3600}]))
        fields = data.draw(st.sets(st.sampled_from(kinds.all_fields(kinds.load(kind))), max_size=12))
        for _, key, scale, low, high in sorted(fields, key=lambda field: field[1]):
            item[key] = data.draw(st.booleans() if scale == 0 else st.integers(low, high))
        items.append(cbor.dumps(item))
    payload = readings.pack(items, data.draw(st.none() | st.integers(0, 2**32 - 1)))
    assert quick_payload.read(kind, payload) is not None
    assert_agrees(kind, payload)


@given(st.binary(min_size=12, max_size=14), st.integers(0, 255), st.integers(0, 255))
def test_a_header_is_taken_apart_alike(rest: bytes, mhdr: int, fctrl: int) -> None:
    """Also where the frame is too short for its FOpts, or of another type, or for somebody else."""
    phy = bytes([mhdr]) + _ADDRESS.to_bytes(4, "little") + bytes([fctrl]) + rest[6:]
    plain, quick = Session(ecb, _ADDRESS, *_KEYS), QuickSession(_ADDRESS, *_KEYS, 0, 0)
    assert outcome(lambda: quick.open_uplink(phy)) == outcome(lambda: plain.open_uplink(phy))
    for size in range(13):
        with suppress(WireError):
            assert address_of(phy[:size]) == DataFrame(phy[:size]).dev_addr
