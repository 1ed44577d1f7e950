# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The reading queue against a model: nothing that was made is lost, no number stands for two readings."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.node.queue import ReadingQueue
from firmware.node.segments import TIME_UNIX, Record
from tests.power import PowerCut, TornFiles

LIMIT = 1 << 20
SEGMENT = 256


def open_queue(files: TornFiles, limit: int = LIMIT) -> ReadingQueue:
    return ReadingQueue(files, "queue", limit, SEGMENT)


def held(queue: ReadingQueue) -> dict[int, bytes]:
    return {record.seq: record.body for record in queue.read(0, queue.next_seq)}


def fill(queue: ReadingQueue, count: int) -> list[int]:
    return [queue.append(1, TIME_UNIX, 100 + i, b"reading %d" % i) for i in range(count)]


def newest_segment(files: TornFiles) -> str:
    return "queue/" + files.names("queue")[-1]


def test_readings_are_numbered_from_one_and_come_back_as_they_were() -> None:
    files = TornFiles(random.Random(1))
    assert fill(open_queue(files), 30) == list(range(1, 31))
    queue = open_queue(files)
    records: list[Record] = list(queue.read(5, 8))
    assert [(r.seq, r.boot, r.time_kind, r.t, r.body) for r in records] == [
        (seq, 1, TIME_UNIX, 99 + seq, b"reading %d" % (seq - 1)) for seq in (5, 6, 7)
    ]
    assert (queue.held(), queue.oldest, queue.next_seq) == (30, 1, 31)


def test_receipted_readings_are_freed_and_stay_freed() -> None:
    files = TornFiles(random.Random(1))
    queue = open_queue(files)
    fill(queue, 30)
    queue.release(11, [13, 14, 20])
    assert sorted(held(queue)) == [12, 15, 16, 17, 18, 19, *range(21, 31)]
    assert queue.held() == len(held(queue))
    queue.release(20, [])
    assert open_queue(files).oldest == 21
    assert "00000001" not in files.names("queue")


def test_the_newest_segment_stays_so_that_the_number_survives() -> None:
    files = TornFiles(random.Random(1))
    queue = open_queue(files)
    fill(queue, 3)
    queue.release(3, [])
    assert files.names("queue") == ["00000001"]
    again = open_queue(files)
    assert (again.held(), again.oldest) == (0, 4)
    assert fill(again, 1) == [4]


def test_a_full_queue_drops_the_oldest_and_counts_them_for_good() -> None:
    files = TornFiles(random.Random(1))
    queue = open_queue(files, 4 * SEGMENT)
    fill(queue, 100)
    assert queue.dropped == 100 - queue.held() > 0
    assert sum(len(files.content["queue/" + n]) for n in files.names("queue")) <= 4 * SEGMENT
    assert sorted(held(queue)) == list(range(queue.dropped + 1, 101))
    again = open_queue(files, 4 * SEGMENT)
    assert (again.dropped, again.oldest) == (queue.dropped, queue.oldest)


def test_receipted_readings_are_not_counted_as_dropped() -> None:
    files = TornFiles(random.Random(1))
    queue = open_queue(files, 4 * SEGMENT)
    for seq in fill(queue, 100)[:50:2]:
        queue.release(0, [seq])
    total = queue.held() + queue.dropped + sum(1 for seq in range(1, 51, 2) if seq > queue.base)
    assert total <= 100
    before = queue.dropped
    held_before = queue.held()
    fill(queue, 100)
    assert queue.dropped - before + queue.held() == held_before + 100


def test_a_full_flash_costs_the_oldest_not_the_newest() -> None:
    files = TornFiles(random.Random(1))
    queue = open_queue(files)
    fill(queue, 40)
    files.full = True  # until something is removed
    seq = fill(queue, 1)[0]
    assert held(queue)[seq] == b"reading 0"
    assert queue.dropped > 0


def test_a_full_flash_with_nothing_to_drop_is_an_error_and_burns_the_number() -> None:
    files = TornFiles(random.Random(1))
    queue = open_queue(files)
    fill(queue, 1)
    files.full = True
    with pytest.raises(OSError, match="28"):
        queue.append(1, TIME_UNIX, 1, b"x")
    files.full = False
    assert fill(queue, 1) == [3]


def test_a_rotten_record_costs_itself_only() -> None:
    files = TornFiles(random.Random(1))
    fill(open_queue(files), 12)
    name = files.names("queue")[0]
    data = files.content["queue/" + name]
    start = data.find(b"reading 3")
    files.content["queue/" + name] = data[:start] + b"X" + data[start + 1 :]
    queue = open_queue(files)
    assert sorted(held(queue)) == [seq for seq in range(1, 13) if seq != 4]
    assert queue.damaged == 1
    queue.release(3, [])
    assert queue.oldest == 5  # the gateway hears that 4 does not exist any more


def test_behind_a_rotten_tail_counting_goes_on_where_nothing_was_ever_sent() -> None:
    files = TornFiles(random.Random(1))
    fill(open_queue(files), 5)
    name = newest_segment(files)
    files.content[name] = files.content[name][:-3]
    queue = open_queue(files)
    seq = fill(queue, 1)[0]
    assert seq > 5
    assert sorted(held(queue)) == [1, 2, 3, 4, seq]
    queue.release(4, [])
    assert queue.oldest == seq


def test_a_wholly_rotten_newest_segment_does_not_bring_numbers_back() -> None:
    files = TornFiles(random.Random(1))
    last = fill(open_queue(files), 12)[-1]
    files.content[newest_segment(files)] = b"\xff" * 40
    for _ in range(3):  # boots without a reading in between
        queue = open_queue(files)
        assert queue.next_seq > last
    assert fill(queue, 1)[0] > last
    assert open_queue(files).next_seq > last + 1


def test_a_byte_that_rots_and_reads_well_again_does_not_bring_numbers_back() -> None:
    files = TornFiles(random.Random(1))
    queue = open_queue(files)
    last = fill(queue, 3)[-1]
    queue.release(last, [])
    name = newest_segment(files)
    sound = files.content[name]
    files.content[name] = b"\xff" * len(sound)
    skipped = open_queue(files).next_seq
    assert skipped > last + 1
    files.content[name] = sound
    seq = fill(open_queue(files), 1)[0]
    assert seq >= skipped
    assert list(held(open_queue(files))) == [seq]


def test_a_wiped_board_renumbers_what_it_holds() -> None:
    files = TornFiles(random.Random(1))
    queue = open_queue(files)
    fill(queue, 20)
    before = list(held(queue).values())
    queue.renumber(5000)
    assert list(held(queue).values()) == before
    assert sorted(held(queue)) == list(range(5001, 5021))
    again = open_queue(files)
    assert sorted(held(again)) == list(range(5001, 5021))
    assert (again.oldest, again.damaged, again.held()) == (5001, 0, 20)


LIFE = st.tuples(
    st.lists(st.sampled_from(["make", "make", "make", "release"]), max_size=14),
    st.integers(0, 16) | st.none(),
    st.booleans(),  # a byte of the newest segment's tail rots
)


@settings(max_examples=300)
@given(st.lists(LIFE, max_size=12), st.booleans(), st.randoms())
def test_nothing_made_is_lost_and_no_number_stands_for_two_readings(
    lives: list[tuple[list[str], int | None, bool]], atomic: bool, rng: random.Random
) -> None:
    files = TornFiles(rng, atomic)
    made: dict[int, bytes] = {}  # what was reported as made, and is not receipted
    seen: dict[int, bytes] = {}  # every content that ever stood under a number: it may have been sent
    serial = 0
    for actions, budget, rots in lives:
        files.budget = budget
        try:
            queue = open_queue(files)
            for seq, body in held(queue).items():
                assert seen.setdefault(seq, body) == body
            for action in actions:
                if action == "make":
                    serial += 1
                    body = b"reading %d" % serial
                    seq = queue.append(1, TIME_UNIX, serial, body)
                    assert seq not in seen
                    seen[seq] = made[seq] = body
                else:
                    contiguous = rng.randrange(queue.next_seq)
                    above = [s for s in made if s > contiguous and rng.random() < 0.3]
                    made = {s: b for s, b in made.items() if s > contiguous and s not in above}
                    queue.release(contiguous, above)
        except PowerCut:
            pass
        files.budget = None
        after = held(open_queue(files))
        assert made.items() <= after.items()
        if rots and files.names("queue"):
            name = newest_segment(files)
            files.rot(name)
            survivors = held(open_queue(files))
            assert len(made.keys() - survivors.keys()) <= 2  # a rotten delimiter costs the records on both its sides
            made = {s: b for s, b in made.items() if s in survivors}
