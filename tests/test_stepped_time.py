# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Time that goes on only while everybody waits: loops, boards, and a thread that looks on."""

import asyncio
import contextlib
import io
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from boards.virtual.board import VirtualBoard
from boards.virtual.stepped import SteppedLoop, SteppedTime, run
from hil_tests.clocks import SteppedClock
from tests.virtual_board_rig import flash

DAY_S = 86400
PROGRAM = """
import asyncio, time
from machine import Timer

def ms(since):
    return time.ticks_diff(time.ticks_ms(), since)

begun = time.ticks_ms()
time.sleep(3600)
print("slept", ms(begun))
begun = time.ticks_ms()
while ms(begun) < 50:
    pass
print("looked", ms(begun))

async def rest(seconds):
    await asyncio.sleep(seconds)

async def main():
    flag = asyncio.ThreadSafeFlag()
    Timer(-1, mode=Timer.ONE_SHOT, period=600000, callback=lambda _: flag.set())
    begun = time.ticks_ms()
    await asyncio.wait_for(flag.wait(), 3600)
    print("timer", ms(begun))
    begun = time.ticks_ms()
    try:
        await asyncio.wait_for(rest(7200), 60)
    except asyncio.TimeoutError:
        print("gave up", ms(begun))
    begun = time.ticks_ms()
    await asyncio.gather(*[rest(seconds) for seconds in (30, 10, 20)])
    print("all", ms(begun))

asyncio.run(main())
"""


def test_a_board_waits_for_hours_in_no_time_and_to_the_millisecond(tmp_path: Path) -> None:
    console = io.BytesIO()

    async def live() -> None:
        image = flash(tmp_path, PROGRAM)
        async with VirtualBoard(image, port=tmp_path / "port", scenario_name="still", console_log=console) as board:
            await board.until(lambda state: state["phase"] == "repl", DAY_S)

    run(live())
    said = [line.rsplit(maxsplit=1) for line in console.getvalue().decode().splitlines() if line[-1:].isdigit()]
    expected = {"slept": 3_600_000, "looked": 50, "timer": 600_000, "gave up": 60_000, "all": 30_000}
    assert {name: round(int(ms), -1) for name, ms in said} == expected, console.getvalue()


def test_time_stands_still_for_who_computes_and_when_none_is_given() -> None:
    busy = [True]
    stepped = SteppedTime()
    stepped.parties.append(lambda: not busy[0])
    began_s = stepped.now_s
    assert not stepped.step(5.0), "nothing was given"
    stepped.give(began_s + 10)
    assert not stepped.step(5.0), "somebody computes"
    busy[0] = False
    assert stepped.step(4.0)
    assert stepped.now_s == began_s + 4
    assert stepped.step(None), "nobody waits for a timer: all that was given passes"
    assert (stepped.now_s, stepped.stands) == (began_s + 10, True)
    stepped.give(began_s + 20)
    stepped.stop()
    assert not stepped.step(1.0)


@contextlib.contextmanager
def _world(stepped: SteppedTime, items: "queue.Queue[int]", clocks: list[SteppedClock]) -> Iterator[None]:
    """A thread in which something comes every 100 s."""
    ended = asyncio.Event()

    async def live() -> None:
        async def deliver() -> None:
            for number in range(1, 100):
                await asyncio.sleep(100)
                clocks[0].came()
                items.put(number)

        task = asyncio.create_task(deliver())
        await ended.wait()
        task.cancel()

    loop = SteppedLoop(stepped)

    def world() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(live())

    thread = threading.Thread(target=world, daemon=True)
    clocks.append(SteppedClock(stepped, thread))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(20)


def test_a_thread_that_looks_on_misses_nothing_and_time_waits_for_it() -> None:
    items: queue.Queue[int] = queue.Queue()
    stepped, clocks = SteppedTime(), list[SteppedClock]()
    began_s = stepped.now_s
    with _world(stepped, items, clocks):
        clock = clocks[0]
        assert clock.take(items, 1000) == 1
        assert clock.now_s() == began_s + 100, "time stopped when it came"
        with pytest.raises(queue.Empty):
            clock.take(items, 50)
        assert clock.now_s() == began_s + 150
        clock.sleep(1000)
        assert clock.now_s() == began_s + 1150
        assert [clock.take(items, 0) for _ in range(10)] == list(range(2, 12))
