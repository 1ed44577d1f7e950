# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Who comes first where several platforms catch up: the catch-up of the lower one waits, its live lane does not."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.ends import Built, Ends
from gateway.outbox import feed as feeds
from gateway.outbox.feed import Feed
from gateway.outbox.store import Outbox
from tests.outbox_rig import arrival, open_outbox

PATIENCE_S = 60.0


class Two:
    """An outbox from which two platforms are fed; *way* tells whether the lower one has to give way."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.way = True
        self._seq = 0

        async def call(function: Callable[[Outbox], object]) -> object:
            return function(outbox)

        self.feed = Feed("city", call, lambda: self.way)

    def store(self, count: int) -> None:
        for _ in range(count):
            self._seq += 1
            self.outbox.accept([arrival(1, self._seq)])
        self.feed.wake()

    async def next(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            return (await self.feed.next()).row


def run(path: Path, scenario: Callable[[Two], Any]) -> None:
    async def main() -> None:
        with closing(open_outbox(path, max_batch=1)) as outbox:
            await scenario(Two(outbox))

    asyncio.run(main())


def test_catch_up_gives_way_and_live_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "TRICKLE_S", 3600.0)

    async def scenario(two: Two) -> None:
        two.store(5)
        await two.feed.restart()
        assert await two.next() == 1, "one goes all the same"
        waiting = asyncio.ensure_future(two.feed.next())
        await asyncio.sleep(0.3)
        assert not waiting.done()
        assert not two.feed.idle
        two.store(1)
        assert (await waiting).row == 6, "what is new does not wait"
        waiting = asyncio.ensure_future(two.feed.next())
        await asyncio.sleep(0.3)
        assert not waiting.done()
        two.way = False
        assert (await waiting).row == 2
        assert [await two.next() for _ in range(3)] == [3, 4, 5]

    run(tmp_path / "outbox.db", scenario)


def test_who_has_to_give_way_for_ever_gets_everything_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "TRICKLE_S", 0.01)

    async def scenario(two: Two) -> None:
        two.store(20)
        await two.feed.restart()
        assert [await two.next() for _ in range(20)] == list(range(1, 21))

    run(tmp_path / "outbox.db", scenario)


@pytest.mark.parametrize(
    ("mine", "theirs", "in_flight", "idle", "way"),
    [
        (0, 1, 3, False, True),
        (0, 1, None, False, False),  # it is away
        (0, 1, 3, True, False),  # it has everything
        (1, 1, 3, False, False),
        (2, 1, 3, False, False),
    ],
)
def test_only_one_that_comes_first_and_is_there_is_waited_for(
    mine: int, theirs: int, in_flight: int | None, idle: bool, way: bool
) -> None:
    nothing: Any = None
    ends = Ends(nothing, nothing, nothing, nothing, nothing, nothing)
    low: Any = SimpleNamespace(in_flight=None)
    high: Any = SimpleNamespace(in_flight=in_flight)
    ends.take(Built({}, {"low": (b"", low), "high": (b"", high)}, {"low": mine, "high": theirs}))
    ends.feeds["high"].idle = idle
    assert ends.feeds["low"]._gives_way() is way
