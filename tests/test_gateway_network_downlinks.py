# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The queue of downlinks: order, expiry, confirmation and its repetitions, one at a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import QueueFull
from gateway.network import downlinks
from gateway.network.downlinks import DownlinkQueue, Item
from gateway.network.duty import Priority

DEVICE, OTHER = bytes(8), bytes([1] * 8)


class Told:
    """Remembers what became of each item."""

    def __init__(self) -> None:
        self.fates: list[tuple[bytes, str]] = []

    def __call__(self, item: Item, fate: downlinks.Fate) -> None:
        self.fates.append((item.payload, fate))


def queue_of(*items: Item) -> tuple[DownlinkQueue, Told]:
    told = Told()
    queue = DownlinkQueue(told)
    for item in items:
        queue.put(item)
    return queue, told


def item(payload: bytes, dev_eui: bytes = DEVICE, **options: object) -> Item:
    return Item(dev_eui, 3, payload, **options)  # type: ignore[arg-type]  # a table of keyword arguments


def take(queue: DownlinkQueue, now_s: float = 0.0) -> Item:
    found = queue.take(DEVICE, 51, now_s)
    assert found is not None
    return found


def test_the_most_urgent_goes_first_then_the_oldest() -> None:
    queue, told = queue_of(item(b"1"), item(b"2", priority=Priority.ALARM), item(b"3"))
    for _ in range(3):
        queue.settle(take(queue), 0.0, sent=True)
    assert told.fates == [(b"2", "sent"), (b"1", "sent"), (b"3", "sent")]
    assert not queue.waits(DEVICE)


def test_one_at_a_time() -> None:
    queue, _ = queue_of(item(b"1"), item(b"2"))
    first = take(queue)
    assert queue.take(DEVICE, 51, 0.0) is None
    assert queue.ready(0.0) == []
    queue.settle(first, 0.0, sent=True)
    assert queue.ready(0.0) == [], "the device is given five seconds"
    assert queue.ready(downlinks.CLASS_C_LOCK_S) == [DEVICE]


def test_what_no_gateway_took_waits_again_in_its_place() -> None:
    queue, told = queue_of(item(b"1"), item(b"2"))
    queue.settle(take(queue), 0.0, sent=False)
    assert take(queue).payload == b"1"
    assert told.fates == []


def test_it_is_tried_again_soon_and_then_less_and_less_often() -> None:
    queue, _ = queue_of(item(b"1"))
    now_s, waits = 0.0, []
    for _ in range(9):
        queue.settle(take(queue, now_s), now_s, sent=False)
        waits.append(next(wait_s for wait_s in range(100) if queue.ready(now_s + wait_s)))
        now_s += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_what_does_not_fit_lets_others_pass() -> None:
    queue, _ = queue_of(item(bytes(100)), item(b"short"))
    assert take(queue).payload == b"short"
    assert queue.waits(DEVICE)


def test_a_confirmed_one_is_repeated_until_the_device_confirms() -> None:
    queue, told = queue_of(item(b"1", confirmed=True), item(b"2"))
    for _ in range(2):
        queue.settle(take(queue), 0.0, sent=True)
        assert queue.take(DEVICE, 51, 0.0) is None, "the next waits for the confirmation"
        queue.heard(DEVICE, 1000.0, ack=False)
    queue.settle(take(queue), 1000.0, sent=True)
    assert queue.ready(10_000.0) == [], "a device of class A answers whenever it speaks next"
    queue.heard(DEVICE, 99_999.0, ack=True)
    assert told.fates == [(b"1", "confirmed")]
    assert take(queue).payload == b"2"


def test_class_c_is_given_a_time_to_confirm_and_a_number_of_tries() -> None:
    queue, told = queue_of(item(b"1", confirmed=True))
    now_s = 0.0
    for _ in range(downlinks.MAX_TRIES):
        assert queue.ready(now_s) == [DEVICE]
        queue.settle(take(queue, now_s), now_s, sent=True, confirm_within_s=downlinks.CONFIRM_WITHIN_S)
        assert queue.ready(now_s + downlinks.CONFIRM_WITHIN_S - 0.1) == []
        now_s += downlinks.CONFIRM_WITHIN_S
    assert queue.ready(now_s) == []
    assert told.fates == [(b"1", "unconfirmed")]
    assert not queue


def test_a_device_may_confirm_before_the_gateway_reports() -> None:
    queue, told = queue_of(item(b"1", confirmed=True))
    flying = take(queue)
    queue.heard(DEVICE, 0.0, ack=True)
    queue.settle(flying, 0.0, sent=True)
    assert told.fates == [(b"1", "confirmed")]
    assert not queue


def test_an_acknowledgement_nobody_waits_for_changes_nothing() -> None:
    queue, told = queue_of(item(b"1"))
    queue.heard(DEVICE, 0.0, ack=True)
    queue.heard(OTHER, 0.0, ack=True)
    assert take(queue).payload == b"1"
    queue.heard(DEVICE, 0.0, ack=True)
    assert told.fates == []


def test_what_has_expired_is_not_sent() -> None:
    queue, told = queue_of(item(b"1", expires_at_s=10.0), item(b"2"))
    assert take(queue, 10.0).payload == b"2"
    assert told.fates == [(b"1", "expired")]


def test_a_device_cannot_fill_the_memory() -> None:
    queue, _ = queue_of(*(item(b"%d" % number) for number in range(downlinks.MAX_PER_DEVICE)))
    with pytest.raises(QueueFull):
        queue.put(item(b"one more"))
    queue.put(item(b"another device's", OTHER))


@given(st.lists(st.sampled_from(["put", "confirmed", "take", "sent", "lost", "ack", "nack", "wait"]), max_size=80))
def test_every_item_has_one_fate_and_nothing_stays_behind(steps: list[str]) -> None:
    queue, told = queue_of()
    now_s = 0.0
    put = 0
    flying: Item | None = None
    for step in [*steps, *["lost", "nack", "take", "sent", "ack", "wait"] * (len(steps) + 8)]:
        if step in ("put", "confirmed") and len([*steps]) and put - len(told.fates) < downlinks.MAX_PER_DEVICE - 1:
            queue.put(item(b"%d" % put, confirmed=step == "confirmed"))
            put += 1
        elif step == "take":
            flying = queue.take(DEVICE, 51, now_s) or flying
        elif step in ("sent", "lost") and flying is not None:
            queue.settle(flying, now_s, sent=step == "sent")
            flying = None
        elif step in ("ack", "nack"):
            queue.heard(DEVICE, now_s, ack=step == "ack")
        elif step == "wait":
            now_s += downlinks.CLASS_C_LOCK_S
            queue.ready(now_s)
    assert sorted(payload for payload, _ in told.fates) == sorted(b"%d" % number for number in range(put))
    assert not queue
