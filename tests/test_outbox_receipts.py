# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What is held of one device, against a plain set."""

import random
import tracemalloc
from unittest.mock import patch

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.wire import readings
from gateway.outbox import gaps
from gateway.outbox.receipts import MAX_GAPS, RECEIPT_SPAN, Held, Verdict

_STEPS = st.lists(
    st.tuples(st.just("add"), st.integers(1, 60)) | st.tuples(st.just("oldest"), st.integers(0, 60)), max_size=80
)


def stored(held: Held) -> Held:
    """What a restart would find."""
    return Held.from_row(held.contiguous, held.to_bytes(), [tuple(part) for part in held.parts()])


@given(_STEPS, st.sampled_from([1, 2, 3, 64]))
def test_held_is_a_set_with_a_base(steps: list[tuple[str, int]], part_gaps: int) -> None:
    with patch.object(gaps, "PART_GAPS", part_gaps):
        _check_as_a_set(steps)


def _check_as_a_set(steps: list[tuple[str, int]]) -> None:
    held, model, base, gone = Held(), set[int](), 0, 0
    for step, number in steps:
        if step == "add":
            known = number <= base or number in model
            assert held.add(number) is (Verdict.DUPLICATE if known else Verdict.NEW)
            model.add(number)
        else:
            lost = held.move_base(number)
            assert lost == len({seq for seq in range(base + 1, number) if seq not in model})
            gone += lost
            base = max(base, number - 1)
        while base + 1 in model:
            base += 1
        above = sorted(seq for seq in model if seq > base)
        assert (held.contiguous, held.above(1000)) == (base, above)
        again = stored(held)
        assert (again.contiguous, again.highest, again.runs()) == (held.contiguous, held.highest, held.runs())
        old = Held.from_row(held.contiguous, cbor2.dumps(held.runs()))
        assert (old.contiguous, old.highest, old.runs()) == (held.contiguous, held.highest, held.runs()), "version 5"
        missing = held.gaps.count if held.gaps is not None else 0
        assert missing == len(held.runs()) == (again.gaps.count if again.gaps is not None else 0)
        assert len(held.parts()) <= max(4 * missing // gaps.PART_GAPS, missing > gaps.PART_GAPS), "parts of nothing"
        flat = [seq for first, last in held.runs() for seq in (first, last)]
        assert flat == sorted(flat)
        assert all(b[0] > a[1] + 1 for a, b in zip(held.runs(), held.runs()[1:], strict=False)), "runs touch"


def test_numbers_of_others_devices_are_longer() -> None:
    held = Held()
    for seq in (2**47 + 5, 2**63 - 1, 2**47 + 6):
        assert held.add(seq) is Verdict.NEW
    assert stored(held).runs() == [[2**47 + 5, 2**47 + 6], [2**63 - 1, 2**63 - 1]]
    assert held.move_base(2**47 + 5) == 2**47 + 4
    assert held.contiguous == 2**47 + 6


def test_a_copy_is_apart() -> None:
    held = Held()
    held.add(5)
    other = held.copy()
    for seq in (6, 2, 9):
        other.add(seq)
    assert (held.above(), other.above()) == ([5], [2, 5, 6, 9])


def test_numbers_far_ahead_cost_a_run_each_and_the_runs_are_bounded() -> None:
    held = Held()
    for index in range(MAX_GAPS):
        assert held.add(10 + 2 * index) is Verdict.NEW
    assert held.add(readings.MAX_SEQ) is Verdict.TOO_SPARSE
    assert held.add(readings.MAX_SEQ) is Verdict.TOO_SPARSE, "it is not held"
    assert held.add(11) is Verdict.NEW, "what closes a gap is welcome"
    assert held.add(1) is Verdict.NEW, "what goes on from the base is welcome"
    assert stored(held).runs() == held.runs()


def test_a_number_writes_the_gaps_that_it_changes_and_no_others() -> None:
    held = Held()
    for index in range(MAX_GAPS):
        held.add(10 + 2 * index)
    parts, row = held.parts(), held.to_bytes()
    assert len(parts) == MAX_GAPS // gaps.PART_GAPS - 1
    assert held.add(held.highest + 1) is Verdict.NEW
    assert held.parts() == parts
    assert len(held.to_bytes()) == len(row) < 4 * gaps.PART_GAPS
    closed = held.runs()[300][0] - 1
    assert held.add(closed) is Verdict.NEW
    assert len(set(held.parts()) - set(parts)) == 1
    assert held.add(held.highest + 5) is Verdict.NEW
    assert len(held.parts()) == len(parts) + 1, "a full part is written once, and then another begins"


def test_parts_that_are_lost_or_from_another_time_are_no_gaps_that_closed() -> None:
    held = Held()
    for index in range(200):
        held.add(10 + 3 * index)
    parts: list[tuple[int, bytes]] = [tuple(part) for part in held.parts()]
    before = held.copy()
    assert held.add(300) is Verdict.NEW
    changed = [tuple(part) for part in held.parts()]
    wrong = [[], parts[1:], parts[:-1], parts[::-1], changed, [*parts, parts[-1]], [(9, parts[0][1]), *parts[1:]]]
    for each in wrong:
        with pytest.raises(ValueError, match="parts of the gaps"):
            Held.from_row(before.contiguous, before.to_bytes(), each)
    with pytest.raises(ValueError, match="parts of the gaps"):
        Held.from_row(held.contiguous, held.to_bytes(), parts)


def test_bytes_that_are_no_row_are_refused(rng: random.Random) -> None:
    held = Held()
    for seq in (3, 4, 900, 70_000):
        held.add(seq)
    sound = held.to_bytes()
    assert Held.from_row(0, sound).runs() == [[3, 4], [900, 900], [70_000, 70_000]]
    for _ in range(500):
        data = bytearray(sound[: rng.randrange(len(sound))] if rng.random() < 0.3 else sound)
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        try:
            found = Held.from_row(0, bytes(data))
        except (ValueError, TypeError, cbor2.CBORDecodeError):
            continue
        assert found.gaps is None or 0 < found.gaps.first <= found.gaps.last < found.highest


def test_a_receipt_reaches_as_far_as_its_bitmap() -> None:
    held = Held()
    for seq in (2, RECEIPT_SPAN, RECEIPT_SPAN + 1):
        held.add(seq)
    payload = readings.encode_receipt(held.contiguous, held.above())
    assert readings.decode_receipt(payload) == (0, [2, RECEIPT_SPAN])
    assert held.above() == [2, RECEIPT_SPAN]


def test_gaps_cost_bytes_and_not_objects() -> None:
    """Of an overloaded gateway every device has gaps until it sends again what was dropped."""
    tracemalloc.start()
    try:
        many = [Held() for _ in range(20)]
        before = tracemalloc.get_traced_memory()[0]
        for held in many:
            for index in range(MAX_GAPS):
                held.add(10 + 2 * index)
        kept = [held.copy() for held in many]
        took = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(kept[0].runs()) == MAX_GAPS
    assert took < len(many) * MAX_GAPS * 8
