# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Roll-outs as rules, and one board of them against a stand-in: what is sent, noted, kept apart and given up."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.wire import cbor, update
from firmware.wire.readings import FPORT_UPDATE
from gateway.updates.job import ABORT, ON_A_LINE, ON_AIR, Job, Message
from provisioning.errors import BoardError
from provisioning.updates import release, rollout
from provisioning.updates.rollout import BoardState, Gates, standing, to_carry, to_withdraw, waves
from provisioning.updates.sender import ASK
from tests.update_rig import KEY, package

ROOM = 100
NEW = release.make(package(2), 5, KEY)
OLD = release.make(package(1), 1, KEY)


def street(*states: str) -> list[BoardState]:
    """Boards in waves of one, of these states."""
    return [BoardState(f"{wave:016x}", wave, state) for wave, state in enumerate(states, 1)]


def state(kept: str, gates: Gates, boards: list[BoardState], now_s: float = 100.0) -> tuple[str, int]:
    found = standing(kept, gates, boards, now_s)
    return found.state, found.wave


def test_a_wave_begins_when_enough_of_the_one_before_have_confirmed() -> None:
    boards = [BoardState(f"{n:016x}", 1 + n // 4) for n in range(8)]
    gates = Gates(confirm_percent=75, max_failed=1)
    assert state(rollout.PLANNED, gates, boards) == (rollout.PLANNED, 0)
    assert state(rollout.STARTED, gates, boards) == (rollout.RUNNING, 1)
    some = [replace(each, state=rollout.CONFIRMED) if n < 2 else each for n, each in enumerate(boards)]
    found = standing(rollout.STARTED, gates, some, 100)
    assert (found.wave, found.why) == (1, "wave 2 waits for 1 more of 3 to confirm")
    assert [each.dev_eui[-1] for each in to_carry(found, some)] == ["2", "3"]
    enough = [replace(each, state=rollout.CONFIRMED) if n < 3 else each for n, each in enumerate(boards)]
    assert state(rollout.STARTED, gates, enough) == (rollout.RUNNING, 2)
    every = [replace(each, state=rollout.CONFIRMED) for each in boards]
    assert state(rollout.STARTED, gates, every) == (rollout.DONE, 2)


def test_a_wave_rests_before_the_next_begins() -> None:
    boards = [replace(street(rollout.CONFIRMED)[0], changed_at_s=1000), *street("x", rollout.WAITING)[1:]]
    gates = Gates(rest_s=60)
    assert standing(rollout.STARTED, gates, boards, 1030).why == "wave 2 waits 30 s more"
    assert state(rollout.STARTED, gates, boards, 1060) == (rollout.RUNNING, 2)


def test_too_many_failures_stop_it_and_what_is_half_sent_is_withdrawn() -> None:
    boards = street(rollout.FAILED, rollout.TRIAL, rollout.SENDING, rollout.WAITING)
    boards = [replace(each, wave=1) for each in boards]
    assert state(rollout.STARTED, Gates(max_failed=1), boards) == (rollout.RUNNING, 1)
    for kept, gates, name in (
        (rollout.STARTED, Gates(), rollout.STOPPED),
        (rollout.ABORTED, Gates(max_failed=1), rollout.ABORTED),
    ):
        found = standing(kept, gates, boards, 100)
        assert found.state == name
        assert [each.state for each in to_carry(found, boards)] == [rollout.TRIAL], "a trial settles itself"
        assert [each.state for each in to_withdraw(found, boards)] == [rollout.SENDING]


@given(st.lists(st.sampled_from(rollout.BOARD_STATES), min_size=1, max_size=12), st.integers(0, 3), st.integers(1, 100))
def test_no_board_of_a_wave_that_has_not_begun_is_touched(states: list[str], max_failed: int, percent: int) -> None:
    boards = [replace(each, wave=1 + at // 3) for at, each in enumerate(street(*states))]
    found = standing(rollout.STARTED, Gates(percent, max_failed), boards, 0)
    touched = to_carry(found, boards)
    assert not [each for each in touched if each.state in rollout.ENDED]
    assert not [each for each in touched if each.wave > found.wave and each.state in (rollout.WAITING, rollout.SENDING)]
    if found.tally[rollout.FAILED] > max_failed:
        assert not [each for each in touched if each.state in (rollout.WAITING, rollout.SENDING)]


def test_waves_are_numbers_or_shares_and_the_rest() -> None:
    assert waves("1,10%", 50) == [1, 5, 44]
    assert waves("1,10%", 1) == [1]
    assert waves("", 7) == [7]
    assert waves("100%", 7) == [7]
    assert sum(waves("3,3,50%,9", 20)) == 20
    for wrong in ("0", "ten", "101%", "-1", "1.5"):
        with pytest.raises(BoardError, match="A wave is"):
            waves(wrong, 10)


class Board:
    """What a board answers, without its flash."""

    def __init__(self) -> None:
        self.build = OLD.manifest[update.M_BUILD]
        self.phase, self.problem, self.have, self.session = update.IDLE, update.NONE, 0, b""
        self.offered = b""
        self.installs = 0

    def take(self, payload: bytes) -> bytes | None:
        what = payload[0] & ~update.ANSWER
        answers = what in (update.ASK, update.INSTALL, update.ABORT) or bool(payload[0] & update.ANSWER)
        if what == update.OFFER:
            at = int.from_bytes(payload[1:3], "big")
            self.offered = self.offered[:at] + payload[5:] if at <= len(self.offered) else self.offered
            if self.offered == NEW.signed:
                self.phase, self.session, answers = update.RECEIVING, NEW.session, True
        elif what == update.BLOCK and int.from_bytes(payload[3:7], "big") == self.have:
            self.have += len(payload) - 7
            self.phase = update.COMPLETE if self.have == len(NEW.bundle) else self.phase
        elif what == update.INSTALL:
            self.installs += 1
            self.phase = update.TRIAL
        elif what == update.ABORT:
            self.phase, self.have, self.session = update.IDLE, 0, b""
        return self.status() if answers else None

    def status(self) -> bytes:
        total = len(NEW.bundle) if self.session else 0
        return cbor.dumps(dict(enumerate((self.phase, self.problem, self.session, self.have, total, 0, self.build))))


def on_update(payload: bytes) -> list[Message]:
    return [Message(FPORT_UPDATE, payload)]


def carry(job: Job, board: Board, now_s: float, rng: random.Random | None = None, rounds: int = 4000) -> float:
    """Send, lose some, hear; note at once. Until the board is on trial."""
    for _ in range(rounds):
        waiting = job.due(now_s, ON_A_LINE)
        while waiting:
            answers = [board.take(each.payload) for each in waiting if rng is None or rng.random() > 0.2]
            waiting = []
            for answer in [each for each in answers if each is not None and (rng is None or rng.random() > 0.2)]:
                waiting += job.heard(answer, ROOM, now_s, ON_A_LINE)
            note = job.note(now_s)
            waiting += [] if note is None else job.noted(note, now_s)
        if job.board.state == rollout.TRIAL:
            return now_s
        now_s += 1
    raise AssertionError(job.board)


def job_of(state_name: str = rollout.WAITING) -> Job:
    return Job("all", (NEW.signed, NEW.bundle), BoardState("00" * 8, 1, state_name))


def test_a_board_gets_it_whatever_is_lost_and_is_told_to_install_after_that_is_noted(rng: random.Random) -> None:
    for lossy in (None, rng):
        job, board = job_of(), Board()
        now_s = carry(job, board, 0.0, lossy)
        assert board.have == len(NEW.bundle)
        board.build, board.phase = NEW.manifest[update.M_BUILD], update.CONFIRMED
        assert job.heard(board.status(), ROOM, now_s, ON_A_LINE) == []
        note = job.note(now_s)
        assert note is not None
        assert (note.state, job.ended) == (rollout.CONFIRMED, True)
        assert job.due(now_s + 1e6, ON_A_LINE) == []


def test_it_is_not_told_to_install_before_the_register_knows() -> None:
    job, board = job_of(), Board()
    board.phase, board.have, board.session = update.COMPLETE, len(NEW.bundle), NEW.session
    assert job.due(0.0, ON_A_LINE) == on_update(ASK)
    assert job.heard(board.status(), ROOM, 0.0, ON_A_LINE) == []
    assert job.due(1e6, ON_A_LINE) == [], "the register does not answer: it waits"
    note = job.note(1e6)
    assert note is not None
    assert note.state == rollout.INSTALLING
    assert job.noted(note, 1e6) == on_update(update.install(NEW.session))
    again = job_of(rollout.INSTALLING)  # the gateway was killed before it sent that
    assert again.due(0.0, ON_A_LINE) == on_update(ASK)
    assert again.heard(board.status(), ROOM, 0.0, ON_A_LINE) == on_update(update.install(NEW.session))
    back = job_of(rollout.TRIAL)  # and after: the board has undone it meanwhile
    board.phase, board.session, board.have = update.ROLLED_BACK, b"", 0
    assert back.heard(board.status(), ROOM, 0.0, ON_A_LINE) == []
    assert (back.board.state, back.board.problem) == (rollout.FAILED, "unhealthy")


def test_what_is_said_twice_is_not_answered_twice() -> None:
    job, board = job_of(), Board()
    board.phase, board.have, board.session = update.RECEIVING, 0, NEW.session
    assert len(job.heard(board.status(), ROOM, 0.0, ON_A_LINE)) == 3
    assert job.heard(board.status(), ROOM, 0.1, ON_A_LINE) == []
    assert job.due(7.0, ON_A_LINE) == on_update(ASK)
    assert len(job.heard(board.status(), ROOM, 7.1, ON_A_LINE)) == 3, "it was asked: something was lost"


@pytest.mark.parametrize("problem", [update.NO_SLOT, update.UNKNOWN_KEY, update.OTHER_BOARD])
def test_a_refusal_is_heard_though_nothing_else_of_the_answer_is_new(problem: int) -> None:
    job, board = job_of(), Board()
    assert job.due(0.0, ON_A_LINE) == on_update(ASK)
    assert job.heard(board.status(), ROOM, 0.1, ON_A_LINE) != [], "it is offered"
    board.problem = problem
    assert job.heard(board.status(), ROOM, 0.2, ON_A_LINE) == []
    assert (job.board.state, job.board.problem) == (rollout.FAILED, update.PROBLEM[problem])


def test_a_board_that_is_silent_is_asked_ever_more_seldom_and_gives_its_turn_away() -> None:
    job, asked = job_of(), []
    for second in range(20000):
        if job.due(float(second), ON_A_LINE):
            asked.append(second)
    gaps = [after - before for before, after in pairwise(asked)]
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1], job.silent) == (6, 900, True)


def test_a_board_that_polls_in_vain_is_asked_at_once_but_not_for_ever() -> None:
    job, board = job_of(rollout.SENDING), Board()
    board.phase, board.have, board.session = update.RECEIVING, 0, NEW.session
    assert job.due(0.0, ON_AIR) == on_update(ASK)
    assert job.heard(board.status(), ROOM, 1.0, ON_AIR) != []
    job.spoke(10.0, 11.0)  # the frame behind which the last of it went
    assert job.due(11.0, ON_AIR) == [], "perhaps its answer is on its way"
    job.spoke(10.0, 12.0)
    assert job.due(12.0, ON_AIR) == []
    asked, heard_at_s = 0, 12.0
    while not job.silent:
        heard_at_s += 2.5
        job.spoke(heard_at_s, heard_at_s)
        asked += len(job.due(heard_at_s, ON_AIR))
    assert asked == 3
    assert job.under_way
    assert job_of(rollout.TRIAL).under_way is False, "that is not hurried"
    assert job.heard(board.status(), ROOM, heard_at_s, ON_AIR) != []
    assert job.silent is False


def test_a_board_that_has_half_of_a_withdrawn_release_forgets_it() -> None:
    job, board = job_of(rollout.SENDING), Board()
    job.withdrawn = True
    board.phase, board.have, board.session = update.RECEIVING, 7, NEW.session
    assert job.heard(board.status(), ROOM, 0.0, ON_A_LINE) == [], "no more of it is sent"
    assert job.due(10.0, ON_A_LINE) == on_update(ABORT)
    answer = board.take(ABORT)
    assert answer is not None
    assert job.heard(answer, ROOM, 10.0, ON_A_LINE) == []
    assert job.board.state == rollout.WITHDRAWN
