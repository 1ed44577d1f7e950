# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Slots and counters of the node under power cuts and rotten flash: a number is never given twice."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.node import slots
from firmware.node.counters import ReservedCounter
from firmware.node.errors import StoreCorrupt
from firmware.node.store import Slots
from tests.power import PowerCut, TornFiles


@given(st.integers(0, slots.MAX_GENERATION), st.binary(max_size=300))
def test_a_slot_gives_back_what_was_packed(generation: int, payload: bytes) -> None:
    assert slots.unpack(slots.pack(generation, payload)) == (generation, payload)


@given(st.binary(max_size=60), st.data())
def test_any_changed_byte_makes_a_slot_invalid(payload: bytes, data: st.DataObject) -> None:
    packed = bytearray(slots.pack(7, payload))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    assert slots.unpack(bytes(packed)) is None


@given(st.binary(max_size=60), st.data())
def test_a_slot_of_another_length_is_invalid(payload: bytes, data: st.DataObject) -> None:
    packed = slots.pack(7, payload)
    assert slots.unpack(packed[: data.draw(st.integers(0, len(packed) - 1))]) is None
    assert slots.unpack(packed + data.draw(st.binary(min_size=1, max_size=4))) is None


def test_a_slot_has_the_documented_bytes() -> None:
    assert slots.pack(3, b"abc").hex(" ") == "4c 79 6b 31 03 00 00 00 03 00 61 62 63 08 f3 2c d1"


@pytest.mark.parametrize(("generation", "payload"), [(-1, b""), (1 << 32, b""), (1, bytes(slots.MAX_PAYLOAD + 1))])
def test_what_does_not_fit_a_slot_is_refused(generation: int, payload: bytes) -> None:
    with pytest.raises(ValueError, match="slot"):
        slots.pack(generation, payload)


@given(st.lists(st.tuples(st.binary(max_size=20), st.integers(0, 3)), min_size=1, max_size=20), st.randoms())
def test_a_cut_leaves_the_old_or_the_new_payload(writes: list[tuple[bytes, int]], rng: random.Random) -> None:
    files = TornFiles(rng)
    durable: bytes | None = None
    for payload, budget in writes:
        pair = Slots(files, "x")
        assert pair.payload == durable
        files.budget = budget
        try:
            pair.write(payload)
            durable = payload
        except PowerCut:
            files.budget = None
            found = Slots(files, "x").payload
            assert found in (durable, payload)
            durable = found
        files.budget = None


LIFE = st.tuples(
    st.integers(0, 9),  # numbers taken
    st.integers(0, 6) | st.none(),  # writing operations until the power goes
    st.sampled_from(["", "", "", "x.a", "x.b"]),  # which slot rots afterwards
)


@given(st.lists(LIFE, max_size=25), st.sampled_from([1, 2, 5]), st.integers(0, 3), st.randoms())
def test_no_number_is_given_twice(
    lives: list[tuple[int, int | None, str]], block: int, first: int, rng: random.Random
) -> None:
    files = TornFiles(rng)
    given_out: set[int] = set()
    for takes, budget, rotten in lives:
        files.budget = budget
        try:
            counter = ReservedCounter(files, "x", block, first)
            for _ in range(takes):
                number = counter.take()
                assert number not in given_out
                assert number >= first
                given_out.add(number)
        except PowerCut:
            pass
        except StoreCorrupt:
            return  # a refusal is always allowed: the next test holds that it is rare
        files.budget = None
        healthy = all(slots.unpack(files.content.get(slot, b"")) for slot in ("x.a", "x.b"))
        if rotten in files.content and healthy:
            files.rot(rotten)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), max_size=25), st.sampled_from([1, 5]), st.randoms())
def test_power_cuts_alone_never_cost_a_counter(lives: list[tuple[int, int]], block: int, rng: random.Random) -> None:
    files = TornFiles(rng)
    skipped = last = 0
    for takes, budget in lives:
        files.budget = budget
        try:
            counter = ReservedCounter(files, "x", block)
            for _ in range(takes):
                number = counter.take()
                skipped += number - last
                last = number + 1
        except PowerCut:
            pass
    assert skipped <= 2 * block * len(lives)  # what a cut may skip is bounded


def test_without_cuts_no_number_is_left_out_but_the_rest_of_a_block_at_a_boot() -> None:
    files = TornFiles(random.Random(1))
    counter = ReservedCounter(files, "x", 4)
    assert [counter.take() for _ in range(6)] == [0, 1, 2, 3, 4, 5]
    assert ReservedCounter(files, "x", 4).take() == 8


def test_a_block_of_one_leaves_nothing_out() -> None:
    files = TornFiles(random.Random(1))
    for expected in range(5):
        assert ReservedCounter(files, "x", 1).take() == expected


@pytest.mark.parametrize("lost", [("x.a", "x.b"), ("x.b", "x.a")])
def test_two_damaged_slots_are_refused_and_never_become_zero(lost: tuple[str, str]) -> None:
    files = TornFiles(random.Random(2))
    ReservedCounter(files, "x", 1).take()
    for slot in lost:
        files.rot(slot)
    with pytest.raises(StoreCorrupt):
        ReservedCounter(files, "x", 1)


def test_one_missing_slot_is_a_lost_one() -> None:
    files = TornFiles(random.Random(2))
    counter = ReservedCounter(files, "x", 1)
    given_out = [counter.take() for _ in range(5)]
    for slot in ("x.a", "x.b"):
        alone = TornFiles(random.Random(2))
        alone.content = {slot: files.content[slot]}
        assert ReservedCounter(alone, "x", 1).take() not in given_out


def test_a_counter_that_should_be_there_is_refused_when_it_is_not() -> None:
    files = TornFiles(random.Random(2))
    with pytest.raises(StoreCorrupt):
        ReservedCounter(files, "x", 1, used=True)
    assert files.content == {}  # or the next boot would find a fresh counter and believe it


def test_a_new_counter_is_on_flash_before_it_has_counted() -> None:
    files = TornFiles(random.Random(2))
    ReservedCounter(files, "x", 1)
    assert ReservedCounter(files, "x", 1, used=True).take() == 0


def test_a_jump_survives_a_rotten_slot() -> None:
    for slot in ("x.a", "x.b"):
        files = TornFiles(random.Random(3))
        counter = ReservedCounter(files, "x", 4)
        counter.jump(1000)
        assert counter.take() == 1000
        files.rot(slot)
        assert ReservedCounter(files, "x", 4).take() > 1000
