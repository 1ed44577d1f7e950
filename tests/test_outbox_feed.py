# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Two lanes to a platform: live first, late in the rest, each in order; a row waits or was taken, after a kill too."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import StoreUnavailable
from gateway.outbox import feed as feeds
from gateway.outbox import stats
from gateway.outbox.feed import Feed
from gateway.outbox.lanes import END, MAX_SPANS, Lanes
from gateway.outbox.store import Outbox, Row
from tests.outbox_rig import arrival, open_outbox


class Platform:
    """Takes what a feed hands out, and remembers."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.on_way: list[Row] = []
        self.got: list[int] = []
        self.seq = 0
        self.boot()

    def boot(self) -> None:
        """What was only in memory is gone."""

        async def call(function: Callable[[Outbox], object]) -> object:
            return function(self.outbox)

        self.feed = Feed("city", call)
        self.on_way.clear()

    async def connect(self) -> None:
        self.on_way.clear()
        self.handed: list[int] = []
        await self.feed.restart()

    def store(self, rows: int, *, tell: bool = True) -> None:
        accepted = self.outbox.accept([arrival(1, *range(self.seq + 1, self.seq + rows + 1))])
        self.seq += rows
        if tell:
            self.feed.offer(accepted.rows)
        else:
            self.feed.wake()

    async def take(self) -> int | None:
        """Hand one out, if there is one."""
        task = asyncio.create_task(self.feed.next())
        while not task.done() and not self.feed.idle:  # noqa: ASYNC110 - steps, no waiting
            await asyncio.sleep(0)
        if not task.done():
            task.cancel()
            return None
        row = task.result()
        assert row.row not in self.handed, "handed out twice on one connection"
        self.handed.append(row.row)
        self.on_way.append(row)
        return row.row

    def arrive(self, index: int) -> None:
        row = self.on_way.pop(index % len(self.on_way))
        self.got.append(row.row)
        self.feed.taken(row)


def run(path: Path, scenario: Callable[[Platform], object]) -> None:
    async def main() -> None:
        with closing(open_outbox(path, max_batch=1)) as outbox:
            await scenario(Platform(outbox))  # type: ignore[misc]

    asyncio.run(main())


def test_what_is_new_overtakes_what_an_outage_left(tmp_path: Path) -> None:
    async def scenario(platform: Platform) -> None:
        platform.store(500)
        await platform.connect()
        assert [await platform.take() for _ in range(3)] == [1, 2, 3]
        platform.store(2)
        assert [await platform.take() for _ in range(4)] == [501, 502, 4, 5], "also over what was read ahead"
        assert platform.feed.late

    run(tmp_path / "outbox.db", scenario)


def test_a_second_outage_leaves_two_spans_and_both_are_caught_up_oldest_first(tmp_path: Path) -> None:
    async def scenario(platform: Platform) -> None:
        platform.store(5)
        await platform.connect()
        platform.store(3)
        assert [await platform.take() for _ in range(4)] == [6, 7, 8, 1]
        for _ in range(4):
            platform.arrive(0)
        await platform.feed.flush()
        platform.boot()
        platform.store(2)
        await platform.connect()
        assert platform.outbox.lanes("city").spans() == [(1, 5), (8, END)]
        assert [await platform.take() for _ in range(6)] == [2, 3, 4, 5, 9, 10]
        for _ in range(6):
            platform.arrive(-1)
        assert not platform.feed.late
        await platform.feed.flush()
        assert platform.outbox.lanes("city").spans() == [(10, END)]

    run(tmp_path / "outbox.db", scenario)


def test_a_live_lane_that_falls_far_behind_starts_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "_MAX_LIVE_LAG", 300)
    monkeypatch.setattr(feeds, "_MAX_OFFERED", 100)

    async def scenario(platform: Platform) -> None:
        await platform.connect()
        platform.store(1000)
        first = await platform.take()
        platform.store(1)
        order = [first] + [await platform.take() for _ in range(1000)]
        assert sorted(order) == list(range(1, 1002))
        assert order.index(1001) < order.index(1000)
        for _ in range(1001):
            platform.arrive(0)
        await platform.feed.flush()
        assert platform.outbox.lanes("city").spans() == [(1001, END)]

    run(tmp_path / "outbox.db", scenario)


def test_an_outbox_that_cannot_take_a_note_still_gives_what_it_holds(tmp_path: Path) -> None:
    async def scenario(platform: Platform) -> None:
        platform.store(5)
        platform.outbox._db.execute("PRAGMA query_only = ON")  # every write fails as on a read-only disk
        for _ in range(3):
            await platform.connect()
            assert await platform.take() is not None
            platform.arrive(0)
            with pytest.raises(OSError, match="readonly"):
                await platform.feed.flush()
        platform.outbox._db.execute("PRAGMA query_only = OFF")
        await platform.feed.flush()
        assert platform.outbox.lanes("city").through == 3

    run(tmp_path / "outbox.db", scenario)


def test_a_note_goes_on_when_the_connection_that_asked_for_it_breaks(tmp_path: Path) -> None:
    async def scenario(platform: Platform) -> None:
        disk_is_free = asyncio.Event()

        async def slow_call(function: Callable[[Outbox], object]) -> object:
            await disk_is_free.wait()
            return function(platform.outbox)

        platform.store(3)
        await platform.connect()
        for _ in range(3):
            await platform.take()
        platform.arrive(0)
        platform.feed._call = slow_call
        asked = asyncio.create_task(platform.feed.flush())
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait([asked])
        platform.arrive(0)
        disk_is_free.set()
        await platform.feed.flush()
        assert platform.outbox.lanes("city").through == 2
        assert stats.read(tmp_path / "outbox.db").published == {"city": 2}

    run(tmp_path / "outbox.db", scenario)


def test_a_note_that_fails_while_the_next_connection_opens_is_not_forgotten(tmp_path: Path) -> None:
    async def scenario(platform: Platform) -> None:
        disk_fails, disk_is_free = asyncio.Event(), asyncio.Event()
        usual = platform.feed._call

        async def failing(_: Callable[[Outbox], object]) -> object:
            await disk_fails.wait()
            raise StoreUnavailable("full")

        async def slow(function: Callable[[Outbox], object]) -> object:
            await disk_is_free.wait()
            return await usual(function)

        platform.store(3)
        await platform.connect()
        await platform.take()
        platform.arrive(0)
        platform.feed._call = failing
        asked = asyncio.create_task(platform.feed.flush())
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait([asked])
        platform.feed._call = slow
        connects = asyncio.create_task(platform.connect())
        await asyncio.sleep(0)
        disk_fails.set()
        for _ in range(5):
            await asyncio.sleep(0)
        disk_is_free.set()
        await connects
        await platform.feed.flush()
        assert stats.read(tmp_path / "outbox.db").published == {"city": 1}

    run(tmp_path / "outbox.db", scenario)


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["store", "whisper"]), st.integers(1, 6)),
        st.tuples(st.just("take"), st.integers(1, 5)),
        st.tuples(st.just("arrive"), st.integers(0, 9)),
        st.tuples(st.sampled_from(["connect", "flush", "kill"]), st.just(0)),
    ),
    max_size=60,
)


async def _do(platform: Platform, step: str, amount: int) -> None:
    if step in ("store", "whisper"):
        platform.store(amount, tell=step == "store")
    elif step == "take":
        for _ in range(amount):
            await platform.take()
    elif step == "arrive" and platform.on_way:
        platform.arrive(amount)
    elif step == "flush":
        await platform.feed.flush()
    elif step in ("kill", "connect"):
        if step == "kill":
            platform.boot()
        await platform.connect()


@settings(max_examples=60)
@given(steps=_STEPS, lag=st.integers(2, 12), ahead=st.integers(1, 4))
def test_every_row_waits_or_was_taken(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], lag: int, ahead: int
) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.connect()
        for step, amount in [*steps, ("connect", 0)]:
            await _do(platform, step, amount)
            waiting = {row for row in range(1, platform.seq + 1) if platform.outbox.lanes("city").waits(row)}
            assert set(range(1, platform.seq + 1)) - waiting <= set(platform.got), "nothing is taken that was not"
        while await platform.take() is not None or platform.on_way:
            if platform.on_way:
                platform.arrive(-1)
        await platform.feed.flush()
        assert set(platform.got) == set(range(1, platform.seq + 1))
        assert platform.outbox.lanes("city").spans() == [(platform.seq, END)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feeds, "_MAX_LIVE_LAG", lag)
        patch.setattr(feeds, "_READ_AHEAD", ahead)
        run(tmp_path_factory.mktemp("feed") / "outbox.db", scenario)


def test_spans_stay_few_and_only_what_they_wrote_is_read() -> None:
    lanes = Lanes()
    assert [lanes.cut(last) for last in range(1, 100)].count(True) == MAX_SPANS - 1
    assert Lanes.from_bytes(lanes.to_bytes()).spans() == lanes.spans()
    for bad in (b"", b"\xff", b"\x80", b"\x81\x82\x05\x01", b"\x81\x01", Lanes([[0, 5]]).to_bytes()):
        with pytest.raises(ValueError, match="not the spans"):
            Lanes.from_bytes(bad)


def test_notes_wait_for_the_disk_once_a_second_where_they_need_not_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasting: list[bool] = []

    async def scenario(platform: Platform) -> None:
        outbox, now_s = platform.outbox, 100.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now_s)
        published, soon = outbox.published, outbox.published_soon

        def noted(*what: object) -> None:
            lasting.append(True)
            published(*what)  # type: ignore[arg-type]

        def noted_soon(*what: object) -> None:
            soon(*what)  # type: ignore[arg-type]
            lasting[-1:] = [False]

        monkeypatch.setattr(outbox, "published", noted)
        monkeypatch.setattr(outbox, "published_soon", noted_soon)

        async def note() -> list[bool]:
            lasting.clear()
            await platform.feed.flush(lasting=False)
            return lasting.copy()

        await platform.connect()
        platform.store(3)
        for said in ([True], [False], [False]):
            assert await platform.take() is not None
            platform.arrive(0)
            assert await note() == said
        assert outbox.lanes("city").spans() == [(3, END)]
        now_s = 100.5
        assert await note() == [], "nothing is new"
        now_s = 101.0
        assert await note() == [True], "what may be lost is put on disk, though nothing is new"
        now_s = 102.0
        assert await note() == []
        platform.store(1)
        assert await platform.take() is not None
        platform.arrive(0)
        assert await note() == [True]

    run(tmp_path / "outbox.db", scenario)
