# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The board's duty cycle: never too much in any hour, whatever is sent, whenever the power goes."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.node import slots
from firmware.node.lorawan.duty import Duty
from firmware.wire import region
from tests.power import PowerCut, TornFiles

HOUR_MS = 3600000
MINUTE_MS = 60000
FREQUENCIES = (863500000, 867100000, 868100000, 868300000, 869000000, 869525000, 869800000)


@dataclass
class Board:
    """A board on flash that loses power; ``now_ms`` is true time, which the board cannot see."""

    files: TornFiles
    now_ms: int = 0
    sent: list[tuple[int, int, int]] = field(default_factory=list)  # band, begin, end
    booted_ms: int = 0

    def boot(self) -> None:
        self.booted_ms = self.now_ms
        self.files.budget = None
        self.duty = Duty(self.files, lambda: self.now_ms - self.booted_ms + 12345)

    def send(self, freq_hz: int, air_ms: int, join: bool = False) -> bool:
        """Send if the board thinks that it may; return whether."""
        if self.duty.wait_ms(freq_hz, air_ms) or (join and self.duty.join_wait_ms(air_ms)):
            return False
        self.duty.spend(freq_hz, air_ms, 0, join)  # PowerCut: the frame does not leave
        band = region.band_of(freq_hz)
        assert band is not None
        self.sent.append((band, self.now_ms, self.now_ms + air_ms))
        self.now_ms += air_ms
        return True

    def check(self) -> None:
        for band, limits in enumerate(region.BANDS):
            frames = [(begin, end) for b, begin, end in self.sent if b == band]
            for i, (_, hour_end) in enumerate(frames):
                used = sum(max(0, end - max(begin, hour_end - HOUR_MS)) for begin, end in frames[: i + 1])
                assert used <= HOUR_MS // limits[2], (band, hour_end, used)


SEND = st.tuples(st.just("send"), st.sampled_from(FREQUENCIES), st.integers(1, 2794))
BURST = st.tuples(st.just("burst"), st.sampled_from(FREQUENCIES), st.integers(300, 2794))
WAIT = st.tuples(st.just("wait"), st.just(0), st.integers(0, 90 * MINUTE_MS))
RESET = st.tuples(st.just("reset"), st.integers(0, 20), st.integers(0, 20 * MINUTE_MS))  # power off for
CUT = st.tuples(st.just("cut"), st.integers(0, 3), st.integers(0, 20 * MINUTE_MS))  # at a later write
ROT = st.tuples(st.just("rot"), st.integers(0, 1), st.integers(0, 20 * MINUTE_MS))


def play(board: Board, step: tuple[str, int, int]) -> None:
    kind, first, second = step
    if kind == "send":
        board.send(first, second)
    elif kind == "burst":
        for _ in range(60):
            board.send(first, second)
    elif kind == "wait":
        until = board.now_ms + second
        while board.now_ms < until:
            board.now_ms = min(until, board.now_ms + 5 * MINUTE_MS)
            board.duty.tick()
    elif kind == "cut":
        board.files.budget = first
    else:
        board.now_ms += second
        slot = ("duty.a", "duty.b")[first % 2]
        if kind == "rot" and slot in board.files.content:
            board.files.rot(slot)
        board.boot()


@pytest.mark.timeout(600)  # two seconds of a processor, which a busy computer may not give
@settings(max_examples=300)
@given(st.lists(st.one_of(SEND, BURST, BURST, WAIT, RESET, CUT), max_size=40), st.randoms(use_true_random=False))
def test_no_hour_has_too_much_whatever_happens(steps: list[tuple[str, int, int]], rng: random.Random) -> None:
    board = Board(TornFiles(rng))
    board.boot()
    for step in steps:
        try:
            play(board, step)
        except PowerCut:
            board.now_ms += 1000
            board.boot()
    board.check()


@settings(max_examples=200)
@given(st.lists(st.one_of(BURST, WAIT), max_size=12), ROT, st.lists(BURST, max_size=6), st.randoms())
def test_a_rotten_record_gives_nothing_away(
    before: list[tuple[str, int, int]], rot: tuple[str, int, int], after: list[tuple[str, int, int]], rng: random.Random
) -> None:
    board = Board(TornFiles(rng))
    board.boot()
    for step in [*before, rot, *after]:
        play(board, step)
    board.check()


def full(board: Board, freq_hz: int = 868100000, air_ms: int = 1500) -> int:
    count = 0
    while board.send(freq_hz, air_ms):
        count += 1
    return count


def board() -> Board:
    made = Board(TornFiles(random.Random(1)))
    made.boot()
    return made


def test_the_whole_budget_can_be_used_and_comes_back() -> None:
    one = board()
    assert full(one) == 24  # 36 s
    assert full(one, 867100000) == 24  # another band
    wait = one.duty.wait_ms(868100000, 1500)
    assert HOUR_MS - MINUTE_MS <= wait <= HOUR_MS + 5 * MINUTE_MS
    one.now_ms += wait
    assert one.duty.wait_ms(868100000, 1500) == 0
    assert full(one) == 24
    one.check()


def test_both_slots_lost_means_an_hour_of_silence() -> None:
    one = board()
    one.send(868100000, 1000)
    one.files.rot("duty.a")
    one.files.rot("duty.b")
    one.boot()
    assert all(one.duty.wait_ms(hz, 100) >= HOUR_MS for hz in FREQUENCIES)
    one.now_ms += HOUR_MS + 5 * MINUTE_MS
    assert one.send(868100000, 100)


def test_time_spent_awake_counts_across_resets() -> None:
    one = board()
    full(one)
    for _ in range(9):  # nine lives of ten minutes
        one.boot()
        for _ in range(11):
            one.now_ms += MINUTE_MS
            one.duty.tick()
    one.boot()
    assert one.send(868100000, 1500)
    one.check()


def test_what_was_not_written_yet_counts_as_used() -> None:
    one = board()
    for _ in range(30):  # a few short frames in each life
        for _ in range(15):
            one.send(868100000, 100)
        one.boot()
    full(one, air_ms=100)
    one.check()


def test_a_rotten_newest_record_counts_as_the_most_it_can_have_been() -> None:
    one = board()
    for _ in range(3):
        one.send(868100000, 2700)
    newest = max(one.files.content, key=lambda name: slots.unpack(one.files.content[name]) or (0, b""))
    one.files.rot(newest)
    one.boot()
    full(one, air_ms=100)
    one.check()


def test_resets_alone_cost_nothing() -> None:
    one = board()
    one.send(868100000, 1500)
    used = []
    for _ in range(40):
        one.boot()
        used.append(one.duty.used_ms(2))
    assert used == [used[0]] * 40
    assert 1500 <= used[0] <= 3500


def test_few_frames_cost_a_write() -> None:
    one = board()
    before = one.files.writes
    for _ in range(100):
        one.send(868100000, 60)
        one.now_ms += 1000
    assert one.files.writes - before <= 2 * 8


def test_an_order_to_be_silent_holds_in_all_bands_and_across_a_reset() -> None:
    one = board()
    one.duty.spend(868100000, 1000, 6)  # 1/64
    assert one.duty.wait_ms(869525000, 10) == 64 * 1000
    one.now_ms += 1000
    one.boot()
    assert one.duty.wait_ms(869525000, 10) >= 63 * 1000
    one.duty.resume(6)
    one.now_ms += 6 * MINUTE_MS
    one.duty.tick()
    assert one.duty.wait_ms(869525000, 10) == 0
    one.boot()
    one.duty.resume(2)
    assert one.duty.wait_ms(869525000, 10) == 10000  # a short silence may have been going on


def test_a_certification_test_may_switch_it_off() -> None:
    one = board()
    full(one)
    one.duty.enforced = False
    assert one.send(868100000, 1500)
    one.duty.enforced = True
    assert one.duty.wait_ms(868100000, 100) > 0


def joins(one: Board, until_ms: int) -> list[tuple[int, int]]:
    """Try to join all the time; return (moment, air time) of the requests."""
    made = []
    while one.now_ms < until_ms:
        freq_hz = region.DEFAULT_CHANNELS_HZ[len(made) % 3]
        if one.send(freq_hz, 1483, join=True):
            made.append((one.sent[-1][1], 1483))
        else:
            one.now_ms += MINUTE_MS
            one.duty.tick()
    return made


def air(made: list[tuple[int, int]], begin_h: int, end_h: int) -> int:
    return sum(air_ms for at, air_ms in made if begin_h * HOUR_MS <= at < end_h * HOUR_MS)


def test_joining_has_its_own_budget_by_the_hour() -> None:
    one = board()
    made = joins(one, 84 * HOUR_MS)
    assert 34000 <= air(made, 0, 1) <= 36000
    assert 34000 <= air(made, 1, 11) <= 36000
    for day in range(3):
        assert 7000 <= air(made, 11 + 24 * day, 35 + 24 * day) <= 8700


@given(st.lists(st.integers(1, 200 * MINUTE_MS), min_size=1, max_size=12))
@settings(max_examples=30)
def test_power_cuts_do_not_begin_the_hours_of_joining_anew(lives: list[int]) -> None:
    one = board()
    made = []
    for life in lives:
        made += joins(one, one.now_ms + life)
        one.boot()
    assert air(made, 0, 1) <= 36000
    assert air(made, 0, 11) <= 72000
    assert air(made, 0, 35) <= 80700


def test_a_joined_board_starts_with_a_fresh_budget_next_time() -> None:
    one = board()
    joins(one, HOUR_MS // 2)
    assert one.duty.join_wait_ms(1483) > 0
    one.duty.joined()
    assert one.duty.join_wait_ms(1483) == 0
    one.boot()
    assert one.duty.join_wait_ms(1483) == 0
