# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A bundle in fragments (TS004): the gateway's job against the board's own code, over losses, cuts and restarts."""

import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.node import lazy
from firmware.node import update_stage as stage
from firmware.node.update_fragments import Transport
from firmware.wire import cbor, fragments, update
from firmware.wire.readings import FPORT_FRAGMENTS, FPORT_UPDATE
from gateway.updates.job import ON_AIR, Job, Message
from provisioning.updates import release, rollout
from provisioning.updates.fragmented import MOST_FRAGMENTS, Fragmented
from provisioning.updates.rollout import BoardState
from tests.test_node_app import run
from tests.test_update_fragments import PowerCut, Store
from tests.update_rig import KEY, on_disk, package

ROOM = 100
OLD = release.make(package(1), 1, KEY)
NEW = release.make(package(2, files=8), 5, KEY)  # some 14 KB
NARROW = 33  # bytes of a frame at SF12 beside MAC commands: two pieces and more


class Board:
    """A board's answers on both ports; what comes in fragments goes through its own code."""

    runs = ""

    def __init__(self, store: Store | None = None, takes_fragments: bool = True) -> None:
        self.store = store or Store()
        self._takes = takes_fragments
        self.phase, self.session, self.size = update.IDLE, b"", 0
        self.build = OLD.manifest[update.M_BUILD]
        self.offered = b""
        self.starts()

    def starts(self) -> None:
        """After a power cut: what is on flash is all there is."""
        self.have = stage.have(self.store)
        self.transport = Transport(self.store, "", self)

    def grown(self) -> None:
        self.have = stage.have(self.store)

    def take(self, message: Message) -> Message | None:
        if message.fport == FPORT_FRAGMENTS:
            answer = self.transport.take(message.payload) if self._takes else b""
            return Message(FPORT_FRAGMENTS, answer) if answer else None
        payload, what = message.payload, message.payload[0] & ~update.ANSWER
        answers = what in (update.ASK, update.INSTALL) or bool(payload[0] & update.ANSWER)
        if what == update.OFFER:
            at = int.from_bytes(payload[1:3], "big")
            self.offered = self.offered[:at] + payload[5:]
            if self.offered == NEW.signed:
                self.phase, self.session, self.size = update.RECEIVING, NEW.session, len(NEW.bundle)
                self.transport, answers = Transport(self.store, "", self), True
        elif what == update.BLOCK and int.from_bytes(payload[3:7], "big") == self.have:
            self.store.append(stage.BUNDLE, payload[7:])
            self.grown()
        elif what == update.INSTALL:
            self.phase = update.TRIAL
        return Message(FPORT_UPDATE, self.status()) if answers else None

    def status(self) -> bytes:
        phase = update.COMPLETE if self.phase == update.RECEIVING and self.have == self.size else self.phase
        return cbor.dumps(dict(enumerate((phase, 0, self.session, self.have, self.size, 0, self.build))))


def job_of(state: str = rollout.WAITING) -> Job:
    return Job("all", (NEW.signed, NEW.bundle), BoardState("00" * 8, 1, state))


class Air:
    """Sends what a job says, one frame at a time; `loss` of all frames is lost, whichever way they go."""

    def __init__(self, rng: random.Random, loss: float, room: int) -> None:
        self.rng, self.loss, self.room = rng, loss, room
        self.now_s, self.sent, self.busy = 0.0, 0, 0

    def hears(self) -> bool:
        return self.rng.random() >= self.loss

    def round(self, job: Job, board: Board) -> None:
        """Ask if it is time, and answer answers until nobody says anything more."""
        waiting = job.due(self.now_s, ON_AIR)
        while waiting:
            message = waiting.pop(0)
            self.sent += 1
            answer = board.take(message) if self.hears() else None
            if answer is not None and self.hears():
                take = job.heard if answer.fport == FPORT_UPDATE else job.heard_fragments
                waiting += take(answer.payload, self.room, self.now_s, ON_AIR)
            note = job.note(self.now_s)
            waiting += [] if note is None else job.noted(note, self.now_s)
        self.now_s += 1000


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from([0, 10, 25, 40]), st.sampled_from([NARROW, ROOM, 200]))
def test_a_bundle_arrives_whatever_is_lost(seed: int, loss_pct: int, room: int) -> None:
    rng = random.Random(seed)
    job, board, air = job_of(), Board(), Air(rng, loss_pct / 100, room)
    for number in range(4000):
        air.round(job, board)
        if number % 7 == 6:
            board.starts()
        if rng.random() < 0.02:
            job = job_of(job.board.state)  # the gateway begins anew, and knows nothing
        if job.board.state == rollout.TRIAL:
            break
    assert board.phase == update.TRIAL
    assert bytes(board.store.files[stage.BUNDLE]) == NEW.bundle
    assert set(board.store.files) == {stage.BUNDLE} or loss_pct, "nothing else is left on flash"


def test_forward_error_correction_repairs_what_one_board_lost(rng: random.Random) -> None:
    job, board, air = job_of(), Board(), Air(rng, 0.0, ROOM)
    air.loss = 0.0
    dropped = 0
    for _ in range(200):
        waiting = job.due(air.now_s, ON_AIR)
        while waiting and job.board.state != rollout.TRIAL:
            message = waiting.pop(0)
            if message.payload[:1] == bytes([fragments.DATA_CID]) and rng.random() < 0.2:
                dropped += 1
                continue
            air.sent += 1
            answer = board.take(message)
            if answer is not None:
                take = job.heard if answer.fport == FPORT_UPDATE else job.heard_fragments
                waiting += take(answer.payload, ROOM, air.now_s, ON_AIR)
            note = job.note(air.now_s)
            waiting += [] if note is None else job.noted(note, air.now_s)
        air.now_s += 1000
    whole = -(-len(NEW.bundle) // (ROOM - 3))
    assert dropped > 10
    assert job.board.state == rollout.TRIAL
    assert air.sent < 1.5 * whole, "each lost fragment costs about one more, and a question in twelve"


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1 << 32))
def test_the_power_goes_at_any_flash_operation(seed: int) -> None:
    rng = random.Random(seed)
    job, board, air, cuts = job_of(), Board(), Air(rng, 0.1, NARROW), 0
    while job.board.state != rollout.TRIAL:
        board.store.budget = rng.randrange(1, 120)
        try:
            air.round(job, board)
        except PowerCut:
            cuts += 1
            board.store.budget = 1 << 30
            board.starts()
        assert NEW.bundle.startswith(bytes(board.store.files.get(stage.BUNDLE, b"")))
    assert cuts > 3
    assert bytes(board.store.files[stage.BUNDLE]) == NEW.bundle


def test_a_board_that_takes_no_fragments_gets_blocks(rng: random.Random) -> None:
    job, board, air = job_of(), Board(takes_fragments=False), Air(rng, 0.0, ROOM)
    for _ in range(200):
        air.round(job, board)
    assert job.board.state == rollout.TRIAL
    assert bytes(board.store.files[stage.BUNDLE]) == NEW.bundle


def test_a_board_without_room_refuses_and_that_is_told(monkeypatch: pytest.MonkeyPatch, rng: random.Random) -> None:
    monkeypatch.setattr(stage.os, "statvfs", lambda _path: (512, 0, 0, 20))
    job, air = job_of(), Air(rng, 0.0, ROOM)
    for _ in range(5):
        air.round(job, Board())
    assert (job.board.state, job.board.problem) == (rollout.FAILED, "no room")


def announced(have: int = 0, **changed: int) -> bytes:
    found = {"index": 0, "count": 10, "size": 20, "padding": 0} | changed
    return fragments.setup_req(*found.values(), NEW.session + have.to_bytes(2, "little"))


def test_what_cannot_be_is_refused() -> None:
    board = Board()
    board.session, board.size = NEW.session, len(NEW.bundle)
    take = board.transport.take
    assert take(announced()) == fragments.setup_ans(0, 0)
    assert take(announced(index=1)) == fragments.setup_ans(1, fragments.INDEX_UNSUPPORTED)
    assert take(announced(have=5)) == fragments.setup_ans(0, fragments.WRONG_DESCRIPTOR)
    for wrong in ({"count": 0}, {"size": 0}, {"count": 9999}, {"padding": 20}):
        assert take(announced(**wrong)) == fragments.setup_ans(0, fragments.WRONG_DESCRIPTOR), wrong
    setup = bytearray(announced())
    setup[5] = 0x08
    assert take(bytes(setup)) == fragments.setup_ans(0, fragments.ENCODING_UNSUPPORTED)
    assert take(fragments.version_req()) == fragments.version_ans()
    assert take(fragments.data(1, 1, bytes(20))) == b""
    assert take(fragments.status_req(0)) == fragments.status_ans(0, 0, 10, False), "what was refused changed nothing"
    assert take(fragments.data(0, 1, NEW.bundle[:20])) == b""
    assert take(announced() + fragments.status_req(0)) == fragments.setup_ans(0, 0) + fragments.status_ans(
        0, 1, 9, False
    )
    assert take(fragments.status_req(1)) == b""
    assert take(fragments.delete_req(1)) == fragments.delete_ans(1, True)
    assert take(fragments.delete_req(0)) == fragments.delete_ans(0, False)
    assert take(fragments.delete_req(0)) == fragments.delete_ans(0, True)
    assert not board.store.files
    board.session = b""
    assert take(announced()) == fragments.setup_ans(0, fragments.WRONG_DESCRIPTOR), "nothing was offered"


def test_a_piece_is_small_enough_for_a_boards_memory_and_the_last_is_no_crumb() -> None:
    sizes = []
    for length in range(1, 40000, 997):
        sender = Fragmented(b"ab", bytes(length))
        have = 0
        while have < length:
            (frame,) = sender.begin(have, NARROW)
            body = next(body for cid, body in fragments.parse(frame, up=False) if cid == fragments.SETUP_CID)
            _, count, size, _, padding, _ = fragments.decode_setup(body)
            sizes.append(count)
            have += count * size - padding
        assert have == length
    assert max(sizes) == MOST_FRAGMENTS


def test_the_boards_desk_takes_fragments_on_littlefs(micropython: Path, tmp_path: Path, seed: int) -> None:
    small = release.make(package(2), 7, KEY)
    run(micropython, "update_by_fragments.py", os.fspath(on_disk(tmp_path / "files", package(1), small)), str(seed))


def test_code_that_was_borrowed_for_long_goes_when_there_is_no_memory_for_other_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    freed: list[str] = []

    def load(name: str, *rest: Any) -> Any:
        if not freed:
            raise MemoryError
        return __import__(name, *rest)

    monkeypatch.setattr(lazy, "__import__", load, raising=False)
    with pytest.raises(MemoryError), lazy.borrowed("jitter"):
        pass

    def spare() -> None:
        freed.append("back")
        lazy.borrowed.spare = None

    monkeypatch.setattr(lazy.borrowed, "spare", spare)
    with lazy.borrowed("jitter") as jitter:
        assert jitter.jitter(0) == 0
    assert freed == ["back"]
