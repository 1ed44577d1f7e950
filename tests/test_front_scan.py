# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Whose frame a PUSH_DATA carries: the quick look against the plain reading, and whose a device and an address are."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.front.scan import Router
from gateway.links.lora import semtech
from gateway.links.lora.errors import MalformedDatagram
from gateway.network.share import Share, of_address, of_device
from tests import packet_forwarder as other

EUI = bytes.fromhex("aa555a0000000101")
HEADER = bytes.fromhex("02123400") + EUI
MOVED = {0x01020304: 2, 0x04000000: 0}
_PHYS = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda kind, address, rest: bytes([kind << 5]) + address.to_bytes(4, "little") + rest,
        st.sampled_from((0, 2, 4, 6, 7)),
        st.one_of(st.sampled_from(list(MOVED)), st.integers(0, 2**32 - 1)),
        st.binary(max_size=40),
    ),
)
_TEXTS = st.one_of(st.text(max_size=20), st.sampled_from(['"data":"', "{", "}]}", "\\", "AAAAAAAA", "Q==A"]))
_ITEMS = st.one_of(
    st.builds(other.rxpk, _PHYS),
    st.builds(lambda phy, text: {**other.rxpk(phy), "x": text}, _PHYS, _TEXTS),
    st.builds(lambda text: {**other.rxpk(), "data": text}, _TEXTS),
    st.builds(lambda phy: {**other.rxpk(phy), "rsig": [{"ant": 0}]}, _PHYS),
    st.sampled_from([{}, 5, None, [], "data"]),
)


def dumped(root: object, compact: bool) -> bytes:
    return json.dumps(root, separators=(",", ":") if compact else None).encode()


_BODIES = st.one_of(
    st.builds(lambda item: dumped({"rxpk": [item]}, True), _ITEMS),
    st.builds(
        lambda items, stat, compact: dumped({"rxpk": items, **({"stat": {"rxnb": 1}} if stat else {})}, compact),
        st.lists(_ITEMS, max_size=4),
        st.booleans(),
        st.booleans(),
    ),
)


def plain(router: Router, body: bytes) -> dict[int, bytes] | None:
    try:
        return router.split(body)
    except MalformedDatagram:
        return None


def compare(router: Router, body: bytes) -> None:
    """What the quick look finds, the plain reading finds too, unless the worker will refuse all of it."""
    quick = router.quick(HEADER + body)
    found = plain(router, body)
    if quick is not None and found is not None:
        assert found == {quick: body}


@given(_BODIES, st.integers(1, 8))
def test_the_quick_look_says_what_the_plain_reading_says(body: bytes, count: int) -> None:
    compare(Router(count, {address: worker % count for address, worker in MOVED.items()}), body)


def test_it_does_so_for_what_is_damaged_too(rng: random.Random) -> None:
    router = Router(3, MOVED)
    quick = 0
    for _ in range(3000):
        phy = bytes([rng.choice((0x40, 0x80, 0, 0x60))]) + rng.randbytes(rng.randint(0, 30))
        body = dumped({"rxpk": [other.rxpk(phy)]}, True)
        compare(router, body)
        for _ in range(3):
            body = other.mutate(rng, body)
            compare(router, body)
            quick += router.quick(HEADER + body) is not None
    assert quick > 500, "hardly anything of the usual form was compared"


def test_all_that_forwarders_send_the_usual_way_is_found_quickly() -> None:
    for phy in (b"\x40" + bytes.fromhex("04030201") + bytes(20), b"\x80" + bytes.fromhex("05030201") + bytes(20)):
        body = dumped({"rxpk": [other.rxpk(phy)]}, True)
        assert Router(2, {}).quick(HEADER + body) == phy[1] % 2
        assert Router(3, {0x01020304: 2, 0x01020305: 2}).quick(HEADER + body) == 2


@given(st.lists(_ITEMS, min_size=1, max_size=12), st.integers(2, 5), st.booleans())
def test_every_packet_goes_to_one_worker_and_none_is_changed(items: list[object], count: int, stat: bool) -> None:
    root = {"rxpk": items, **({"stat": {"rxnb": 7}} if stat else {})}
    router = Router(count, {})
    found = plain(router, dumped(root, False))
    if found is None:
        return  # half a surrogate pair, which no text is
    parts = {worker: json.loads(body) for worker, body in found.items()}
    assert sorted(json.dumps(each) for part in parts.values() for each in part.get("rxpk", ())) == sorted(
        map(json.dumps, items)
    )
    for worker, part in parts.items():
        assert all(router.owner(each) == worker for each in part.get("rxpk", ()))
        assert part.get("stat") == ({"rxnb": 7} if stat else None)
    assert not stat or set(parts) == set(range(count)), "every worker hears where a forwarder is"


def test_a_join_request_goes_where_its_device_belongs() -> None:
    for number in range(50):
        dev_eui = bytes.fromhex("70b3d57ed000") + number.to_bytes(2, "big")
        phy = bytes(1) + bytes(8) + dev_eui[::-1] + b"\x01\x00" + bytes(4)
        body = dumped({"rxpk": [other.rxpk(phy)]}, True)
        assert Router(3, {}).quick(HEADER + body) is None
        assert Router(3, {}).split(body) == {of_device(dev_eui, 3): body}


def test_whose_a_device_is_stays_the_same_in_every_version() -> None:
    """What a version divides the next one must find: CRC-32 of the DevEUI (IEEE 802.3), modulo the workers."""
    assert [of_device(bytes.fromhex("70b3d57ed00000") + bytes([number]), 3) for number in range(8)] == [
        2, 1, 0, 0, 1, 0, 0, 0,
    ]  # fmt: skip


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.data())
def test_an_address_leads_back_to_whom_it_is_of_and_stays_in_its_network(
    drawn: int, count: int, data: st.DataObject
) -> None:
    share = Share(count, data.draw(st.integers(0, count - 1)))
    address = share.address(drawn)
    assert of_address(address, count) == share.index
    assert address >> 25 == drawn >> 25
    assert share.free(address)
    assert not Share(count, share.index, frozenset({address})).free(address) or count == 1


@pytest.mark.parametrize("body", [b"{}", b'{"rxpk":5}', b'{"rxpk":[' + b"{}," * 200 + b"{}]}", b"\xff", b"[]"])
def test_what_is_damaged_is_refused_as_one_process_does(body: bytes) -> None:
    with pytest.raises(MalformedDatagram):
        Router(2, {}).split(body)
    with pytest.raises(MalformedDatagram):
        semtech.parse(HEADER + body)
