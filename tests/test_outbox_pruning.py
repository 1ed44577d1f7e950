# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What may go from the outbox goes in small steps, with rests between, and before readings have to wait for room."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from gateway.outbox import pruning, retention
from gateway.outbox.store import Outbox
from tests.outbox_rig import TestClock, arrival, open_outbox, took


def _fill(outbox: Outbox, envelopes: int) -> None:
    for seq in range(1, envelopes + 1):
        outbox.accept([arrival(1, seq)])


def test_between_two_steps_the_writer_is_free_for_four_times_as_long(tmp_path: Path) -> None:
    clock = TestClock()
    with closing(open_outbox(tmp_path / "outbox.db", clock, keep_published_s=0.0)) as outbox:
        _fill(outbox, 250)
        took(outbox, 240, 240)
        steps: list[tuple[int, float]] = []
        rests: list[float] = []

        async def call(step: Callable[[Outbox], tuple[int, float]]) -> tuple[int, float]:
            clock.sleep(30.0)  # others' turn, which is not counted
            steps.append(step(outbox))
            return steps[-1]

        async def rest(seconds: float) -> None:
            rests.append(seconds)
            outbox.accept([arrival(2, len(rests))])

        plain, ms = outbox.prune, iter((3, 5, 1, 1))

        def slow() -> int:
            clock.sleep(next(ms) / 1000)
            return plain()

        outbox.prune = slow  # type: ignore[method-assign]
        assert asyncio.run(pruning.prune(call, clock, rest)) == 240
        assert [pruned for pruned, _ in steps] == [100, 100, 40, 0]
        assert [round(each, 6) for each in rests] == [0.012, 0.02, 0.004]
        left = [row.row for row in outbox.read(0, 1000)]
        assert left == list(range(241, 251 + len(rests))), "what nobody took, and what came meanwhile"


def test_a_step_is_small_and_the_next_commit_waits_for_the_disk_again(tmp_path: Path) -> None:
    clock = TestClock()
    with closing(open_outbox(tmp_path / "outbox.db", clock, keep_published_s=0.0)) as outbox:
        _fill(outbox, retention.ROWS_AT_A_TIME + 1)
        took(outbox, outbox.last(), 1)
        clock.sleep(1.0)
        assert [outbox.prune(), outbox.prune(), outbox.prune()] == [retention.ROWS_AT_A_TIME, 1, 0]
        full = 2
        assert outbox._db.execute("PRAGMA synchronous").fetchone() == (full,)


def test_room_is_made_before_readings_wait_for_it_and_not_more_than_that(tmp_path: Path) -> None:
    most = 400_000
    with closing(open_outbox(tmp_path / "outbox.db", max_bytes=most)) as outbox:
        seq = 0
        while outbox.used_bytes() < most * 0.97:
            outbox.accept([arrival(1, seq := seq + 1)])
            took(outbox, outbox.last() - 1, 1)
        while outbox.prune():
            pass
        assert most * 0.85 < outbox.used_bytes() < most * 0.95
        assert [row.row for row in outbox.read(seq - 2, 9)] == [seq - 1, seq]
