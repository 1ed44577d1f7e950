# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What is held of one device, against a plain set."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from firmware.wire import readings
from gateway.outbox.receipts import MAX_RUNS, RECEIPT_SPAN, Held, Verdict

_STEPS = st.lists(
    st.tuples(st.just("add"), st.integers(1, 60)) | st.tuples(st.just("oldest"), st.integers(0, 60)), max_size=80
)


@given(_STEPS)
def test_held_is_a_set_with_a_base(steps: list[tuple[str, int]]) -> None:
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
        again = Held.from_row(held.contiguous, held.to_bytes())
        assert (again.contiguous, again.runs()) == (held.contiguous, held.runs())
        flat = [seq for first, last in held.runs() for seq in (first, last)]
        assert flat == sorted(flat)
        assert all(b[0] > a[1] + 1 for a, b in zip(held.runs(), held.runs()[1:], strict=False)), "runs touch"


def test_numbers_of_others_devices_are_longer() -> None:
    held = Held()
    for seq in (2**47 + 5, 2**63 - 1, 2**47 + 6):
        assert held.add(seq) is Verdict.NEW
    assert Held.from_row(0, held.to_bytes()).runs() == [[2**47 + 5, 2**47 + 6], [2**63 - 1, 2**63 - 1]]
    assert held.move_base(2**47 + 5) == 2**47 + 4
    assert held.contiguous == 2**47 + 6


def test_a_copy_is_apart() -> None:
    held = Held()
    held.add(5)
    held.copy().add(6)
    assert held.above() == [5]


def test_numbers_far_ahead_cost_a_run_each_and_the_runs_are_bounded() -> None:
    held = Held()
    for index in range(MAX_RUNS):
        assert held.add(10 + 2 * index) is Verdict.NEW
    assert held.add(readings.MAX_SEQ) is Verdict.TOO_SPARSE
    assert held.add(readings.MAX_SEQ) is Verdict.TOO_SPARSE, "it is not held"
    assert held.add(11) is Verdict.NEW, "what closes a gap is welcome"
    assert held.add(1) is Verdict.NEW, "what goes on from the base is welcome"
    assert len(held.to_bytes()) < 16 * MAX_RUNS


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
            for index in range(MAX_RUNS):
                held.add(10 + 2 * index)
        kept = [held.copy() for held in many]
        took = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(kept[0].runs()) == MAX_RUNS
    assert took < 2 * len(many) * MAX_RUNS * 32
