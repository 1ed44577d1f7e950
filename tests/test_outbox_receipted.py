# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Platforms that sign for what they hold: rows go when they are receipted, and what a broker lost is sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import OutboxFull, WrongReceipt
from gateway.outbox.feed import Feed
from gateway.outbox.receipted import Held
from gateway.outbox.store import Outbox, Row
from gateway.records.envelope import digest
from tests.outbox_rig import TestClock, arrival, open_outbox, took

SIGNS: dict[str, Any] = {"receipts_from": frozenset({"city"})}


class Platform:
    """Holds what arrives, merges it into ranges and signs for them; a broker before it may lose what it took."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.records: set[int] = set()
        self.ends: dict[int, bytes] = {}
        """Digests of envelopes by their last record."""

        async def call(function: Callable[[Outbox], object]) -> object:
            return function(outbox)

        self.feed = Feed("city", call)

    def take(self, row: Row) -> None:
        (_, first, last, _), _ = cbor2.loads(row.message)
        self.records.update(range(first, last + 1))
        if row.readings:
            self.ends[last] = digest(row.message)

    def receipt(self) -> Held:
        ranges: list[list[int]] = []
        for record in sorted(self.records):
            if ranges and ranges[-1][1] + 1 == record:
                ranges[-1][1] = record
            else:
                ranges.append([record, record])
        top = self.ends.get(ranges[0][1], b"") if ranges else b""
        return Held(self.outbox.stream_id, tuple((first, last) for first, last in ranges), top)

    async def next(self) -> Row | None:
        task = asyncio.create_task(self.feed.next())
        while not task.done() and not self.feed.idle:  # noqa: ASYNC110 - steps, no waiting
            await asyncio.sleep(0)
        if task.done():
            return task.result()
        task.cancel()
        return None


def fill(outbox: Outbox, *seqs: int) -> None:
    for seq in seqs:
        outbox.accept([arrival(1, seq)])


def test_what_is_published_stays_until_it_is_receipted(tmp_path: Path) -> None:
    clock = TestClock()
    with closing(open_outbox(tmp_path / "outbox", clock, max_batch=1, keep_published_s=0.0, **SIGNS)) as outbox:
        fill(outbox, 1, 2, 3)
        took(outbox, 3, 3)
        clock.sleep(1e6)
        assert outbox.prune() == 0
        rows = outbox.read(0, 9)
        outbox.take_receipt("city", Held(outbox.stream_id, ((1, 2),), digest(rows[1].message)))
        assert outbox.prune() == 2
        assert [row.row for row in outbox.read(0, 9)] == [3]


def test_a_full_outbox_waits_for_receipts_and_goes_on_with_them(tmp_path: Path) -> None:
    with closing(open_outbox(tmp_path / "outbox", max_batch=1, max_bytes=262144, **SIGNS)) as outbox:
        seq = 0
        with pytest.raises(OutboxFull):
            while True:
                seq += 1
                outbox.accept([arrival(1, *range(seq * 20, seq * 20 + 20))])
        last = outbox.last()
        took(outbox, last, last)
        with pytest.raises(OutboxFull):
            fill(outbox, 1)
        outbox.take_receipt("city", Held(outbox.stream_id, ((1, last),), b""))
        fill(outbox, 1)


def test_what_the_operator_lets_go_is_said_to_a_platform_that_lost_it(tmp_path: Path) -> None:
    """Taken by the broker, lost there, then given up: the platform gets a notice, not silence."""
    limits: dict[str, Any] = {"max_batch": 1, "max_bytes": 262144, "when_full": "drop", **SIGNS}

    async def main(outbox: Outbox) -> None:
        platform = Platform(outbox)
        await platform.feed.restart()
        for number in range(400):
            accepted = outbox.accept([arrival(1, *range(number * 20, number * 20 + 20))])
            platform.feed.offer(accepted.rows)
            while (row := await platform.next()) is not None:
                platform.feed.taken(row)
                lost_in_the_broker = row.row < 200
                if not lost_in_the_broker:
                    platform.take(row)
            await platform.feed.flush()
        await platform.feed.receipted(platform.receipt())
        await platform.feed.send_again()
        assert await platform.feed.send_again() >= 1
        notices = 0
        while (row := await platform.next()) is not None:
            platform.take(row)
            platform.feed.taken(row)
            notices += row.readings == 0
        assert notices >= 1
        assert platform.receipt().ranges[0][0] == 1
        await platform.feed.receipted(platform.receipt())

    with closing(open_outbox(tmp_path / "outbox", **limits)) as outbox:
        asyncio.run(main(outbox))


def test_a_platform_that_holds_less_than_it_did_gets_what_is_still_here(tmp_path: Path) -> None:
    async def main(outbox: Outbox) -> None:
        platform = Platform(outbox)
        await platform.feed.restart()
        fill(outbox, *range(1, 9))
        platform.feed.wake()
        while (row := await platform.next()) is not None:
            platform.take(row)
            platform.feed.taken(row)
        await platform.feed.receipted(platform.receipt())
        platform.records -= {3, 4, 5}
        await platform.feed.receipted(platform.receipt())
        assert (await platform.feed.send_again(), await platform.feed.send_again()) == (0, 3)
        again = [row.row for _ in range(3) if (row := await platform.next())]
        assert again == [3, 4, 5]

    with closing(open_outbox(tmp_path / "outbox", max_batch=1, **SIGNS)) as outbox:
        asyncio.run(main(outbox))


def test_what_a_platform_lacks_and_nobody_has_any_more_is_counted(tmp_path: Path) -> None:
    async def main(outbox: Outbox) -> None:
        platform = Platform(outbox)
        await platform.feed.restart()
        fill(outbox, *range(1, 9))
        platform.feed.wake()
        while (row := await platform.next()) is not None:
            platform.take(row)
            platform.feed.taken(row)
        await platform.feed.receipted(platform.receipt())
        await platform.feed.flush()
        assert outbox.prune() == 8
        fill(outbox, *range(9, 12))
        platform.feed.wake()
        while (row := await platform.next()) is not None:
            platform.take(row)
            platform.feed.taken(row)
        assert await platform.feed.gone() == 0
        platform.records -= {3, 4, 5, 10}
        await platform.feed.receipted(platform.receipt())
        assert await platform.feed.gone() == 3
        assert (await platform.feed.send_again(), await platform.feed.send_again()) == (0, 1)
        again = await platform.next()
        assert again is not None
        assert again.row == 10

    with closing(open_outbox(tmp_path / "outbox", max_batch=1, keep_published_s=0.0, **SIGNS)) as outbox:
        asyncio.run(main(outbox))


def test_wrong_receipts_change_nothing(tmp_path: Path) -> None:
    with closing(open_outbox(tmp_path / "outbox", max_batch=1, keep_published_s=0.0, **SIGNS)) as outbox:
        fill(outbox, 1, 2)
        for held, said in (
            (Held(bytes(8), ((1, 1),), b""), "no stream 0000000000000000"),
            (Held(outbox.stream_id, ((1, 3),), b""), "the stream ends before 3"),
            (Held(outbox.stream_id, ((1, 2),), bytes(32)), "another digest"),
        ):
            with pytest.raises(WrongReceipt, match=said):
                outbox.take_receipt("city", held)
        assert outbox.prune() == 0


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_the_broker_loses_arrives_in_the_end(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("receipted")

    async def main(outbox: Outbox) -> None:
        platform, seq = Platform(outbox), 0
        await platform.feed.restart()
        for _ in range(data.draw(st.integers(1, 8))):
            count = data.draw(st.integers(1, 5))
            for _ in range(count):
                seq += 1
                platform.feed.offer(outbox.accept([arrival(1, seq)]).rows)
            if data.draw(st.booleans()):
                await platform.feed.restart()
            while (row := await platform.next()) is not None:
                platform.feed.taken(row)
                if data.draw(st.booleans()):
                    platform.take(row)
            await platform.feed.flush()
            await platform.feed.receipted(platform.receipt())
            await platform.feed.send_again()
            outbox.prune()
        for _ in range(3):  # from now on the broker loses nothing, and one more reading shows what is missing
            seq += 1
            platform.feed.offer(outbox.accept([arrival(1, seq)]).rows)
            while (row := await platform.next()) is not None:
                platform.take(row)
                platform.feed.taken(row)
            await platform.feed.receipted(platform.receipt())
            await platform.feed.send_again()
            outbox.prune()
        assert platform.receipt().ranges == ((1, seq),)
        outbox.prune()
        assert outbox.read(0, 100) == []

    with closing(open_outbox(folder / "outbox", max_batch=1, keep_published_s=0.0, **SIGNS)) as outbox:
        asyncio.run(main(outbox))
