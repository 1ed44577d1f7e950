# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The whole outbox at once, on a disk that tears and forgets: feed, acknowledgements, receipts, pruning, power cuts.

The model knows what devices were told and what the city holds. A broker may acknowledge what the city never gets.
"""

import asyncio
import contextlib
import random
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import cbor2
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.errors import StoreUnavailable
from gateway.outbox.feed import Feed
from gateway.outbox.receipted import Held
from gateway.outbox.store import Outbox, Row
from gateway.records.envelope import digest
from tests.outbox_rig import TestClock, arrival, device, open_outbox
from tests.simulated_disk import simulated_disk

_DEVICES = 3
_CUTS = st.none() | st.integers(0, 40)
_SEEDS = st.integers(0, 2**32)
_BATCH = st.lists(st.tuples(st.integers(1, _DEVICES), st.integers(1, 6)), min_size=1, max_size=5)
_RECEIPTS = frozenset({"city"})

Reading = tuple[bytes, int]


def readings_of(row: Row) -> list[Reading]:
    return [(dev_eui, seq) for dev_eui, seq in cbor2.loads(row.message)[1]]


class City:
    """What really arrived, by record number; it signs for that and nothing else."""

    def __init__(self) -> None:
        self.records: set[int] = set()
        self.readings: set[Reading] = set()
        self.envelopes: dict[int, bytes] = {}
        """By last record, the digest."""
        self.stream_id = b""

    def take(self, row: Row) -> None:
        (stream_id, first, last, _), _ = cbor2.loads(row.message)
        assert self.stream_id in (b"", stream_id)
        self.stream_id = stream_id
        sha256 = digest(row.message)
        assert self.envelopes.setdefault(last, sha256) == sha256, "what comes again comes byte for byte"
        self.records.update(range(first, last + 1))
        self.readings.update(readings_of(row))

    def receipt(self) -> Held:
        ranges: list[tuple[int, int]] = []
        for number in sorted(self.records):
            if ranges and ranges[-1][1] == number - 1:
                ranges[-1] = (ranges[-1][0], number)
            else:
                ranges.append((number, number))
        return Held(self.stream_id, tuple(ranges), self.envelopes[ranges[0][1]])


class WholeMachine(RuleBasedStateMachine):
    """Every acknowledged reading is in the outbox or in the city, whatever happens in between."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.stack = contextlib.ExitStack()
        self.disk = self.stack.enter_context(simulated_disk(random.Random(7)))
        self.loop = asyncio.new_event_loop()
        self.path = Path(self.folder.name) / "outbox.db"
        self.clock = TestClock()
        self.city = City()
        self.told: list[Reading] = []
        self.next_seq = dict.fromkeys(range(1, _DEVICES + 1), 1)
        self.boot()

    def boot(self) -> None:
        """What was only in memory is gone."""

        async def call(function: Callable[[Outbox], object]) -> object:
            return function(self.outbox)

        self.outbox = open_outbox(self.path, self.clock, max_batch=3, receipts_from=_RECEIPTS)
        self.feed = Feed("city", call)
        self.connected = False
        self.on_way: list[Row] = []

    def teardown(self) -> None:
        try:
            self.everything_arrives()
        finally:
            self.outbox.close()
            self.loop.close()
            self.stack.close()
            self.folder.cleanup()

    def _do(self, work: Callable[[], object], cut: int | None, seed: int) -> bool:
        """Run *work*, perhaps without power from some operation on; True when it returned, and so was promised."""
        self.disk.rng.seed(seed)
        self.disk.cut_after = cut
        try:
            work()
        except StoreUnavailable:
            assert self.disk.off or self.disk.full or self.disk.read_only
            return False
        finally:
            self.disk.cut_after = None
            self._restart_if_off()
        return True

    def _restart_if_off(self) -> None:
        if self.disk.off:
            self.outbox.close()  # the dead process: without power it changes nothing any more
            self.disk.power_on()
            self.disk.full = self.disk.read_only = False
            self.clock.monotonic = 0.0
            self.boot()

    def _run(self, work: Awaitable[object]) -> None:
        self.loop.run_until_complete(asyncio.wait_for(work, 30))

    def _in_outbox(self) -> list[Reading]:
        return [reading for row in self.outbox.read(0, 1_000_000) for reading in readings_of(row)]

    @rule(batch=_BATCH, cut=_CUTS, seed=_SEEDS)
    def accept(self, batch: list[tuple[int, int]], cut: int | None, seed: int) -> None:
        wanted = list(
            dict.fromkeys((number, self.next_seq[number] + at) for number, count in batch for at in range(count))
        )
        arrivals = [arrival(number, seq) for number, seq in wanted]
        told = self._do(lambda: self.feed.offer(self.outbox.accept(arrivals).rows), cut, seed)
        stored = [(device(number), seq) for number, seq in wanted]
        there = set(self._in_outbox()).intersection(stored)
        assert len(there) in (0, len(stored)), "half a batch"
        assert there or not told
        if there:
            self.told += stored
            for number, seq in wanted:
                self.next_seq[number] = max(self.next_seq[number], seq + 1)

    @rule()
    def connect(self) -> None:
        self.on_way.clear()
        self.connected = self._do(lambda: self._run(self.feed.restart()), None, 0)

    async def _next(self) -> Row | None:
        task = asyncio.create_task(self.feed.next())
        while not task.done() and not self.feed.idle:  # noqa: ASYNC110 - steps, no waiting
            await asyncio.sleep(0)
        if task.done():
            return task.result()
        task.cancel()
        return None

    @precondition(lambda self: self.connected)
    @rule(rows=st.integers(1, 8))
    def hand_out(self, rows: int) -> None:
        for _ in range(rows):
            row = self.loop.run_until_complete(self._next())
            if row is None:
                return
            self.on_way.append(row)

    @precondition(lambda self: self.on_way)
    @rule(index=st.integers(0, 20), kept=st.booleans(), acknowledged=st.booleans())
    def arrive(self, index: int, kept: bool, acknowledged: bool) -> None:
        """The city gets it or not, and the broker says that it took it or not."""
        row = self.on_way[index % len(self.on_way)]
        if kept:
            self.city.take(row)
        if acknowledged:
            self.on_way.remove(row)
            self.feed.taken(row)

    @rule(lasting=st.booleans(), cut=_CUTS, seed=_SEEDS)
    def note(self, lasting: bool, cut: int | None, seed: int) -> None:
        self._do(lambda: self._run(self.feed.flush(lasting=lasting)), cut, seed)

    @precondition(lambda self: self.city.records)
    @rule(cut=_CUTS, seed=_SEEDS)
    def receipt(self, cut: int | None, seed: int) -> None:
        self._do(lambda: self._run(self.feed.receipted(self.city.receipt())), cut, seed)

    @precondition(lambda self: self.connected)
    @rule(cut=_CUTS, seed=_SEEDS)
    def send_again(self, cut: int | None, seed: int) -> None:
        self._do(lambda: self._run(self.feed.send_again()), cut, seed)

    @rule(cut=_CUTS, seed=_SEEDS)
    def prune(self, cut: int | None, seed: int) -> None:
        self._do(self.outbox.prune, cut, seed)

    @rule(seed=_SEEDS)
    def cut_now(self, seed: int) -> None:
        self.disk.rng.seed(seed)
        self.disk.off = True
        self._restart_if_off()

    @rule(full=st.booleans(), read_only=st.booleans())
    def trouble(self, full: bool, read_only: bool) -> None:
        self.disk.full, self.disk.read_only = full, read_only

    @rule()
    def everything_arrives(self) -> None:
        """Once the disk and the city are well again the city gets all of it, by itself."""
        self.disk.full = self.disk.read_only = False
        self.accept([(1, 1)], None, 0)  # what lies below it is known to be lacking, and not only on its way
        self.connect()
        for _ in range(4):
            self.hand_out(1000)
            for row in self.on_way:
                self.city.take(row)
                self.feed.taken(row)
            self.on_way.clear()
            self.receipt(None, 0)
            self.send_again(None, 0)
            self.send_again(None, 0)
        assert self.city.readings == set(self.told)
        while self.outbox.prune():
            pass
        assert self._in_outbox() == [], "what the city signed for may go"

    @invariant()
    def nothing_that_a_device_was_told_is_lost(self) -> None:
        there = self._in_outbox()
        assert len(there) == len(set(there)), "stored twice"
        assert set(self.told) <= set(there) | self.city.readings <= set(self.told)
        for number in range(1, _DEVICES + 1):
            held = {seq for dev_eui, seq in self.told if dev_eui == device(number)}
            receipt = self.outbox.receipt(device(number))
            assert {*range(1, receipt.contiguous + 1), *receipt.above} == held


TestWhole = WholeMachine.TestCase
TestWhole.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
