# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The outbox on a disk that is cut off, filled and made read-only, against a model of what was acknowledged."""

import contextlib
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.errors import StoreUnavailable
from gateway.outbox import gaps
from gateway.outbox.lanes import END, Lanes
from gateway.outbox.receipts import RECEIPT_SPAN
from tests.outbox_rig import TestClock, arrival, device, open_outbox, published
from tests.simulated_disk import simulated_disk

_DEVICES = 3
_CUTS = st.none() | st.integers(0, 40)
_SEEDS = st.integers(0, 2**32)
_BATCH = st.lists(
    st.tuples(st.integers(1, _DEVICES), st.integers(1, 6), st.sampled_from([1, 1, 2, 3])), min_size=1, max_size=5
)
"""Devices, how many numbers of each, and how far apart: what lies between them is a gap."""


class DiskMachine(RuleBasedStateMachine):
    """Model: the stream that was acknowledged, how far it was published, and what the last cut leaves open."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.stack = contextlib.ExitStack()
        self.disk = self.stack.enter_context(simulated_disk(random.Random(7)))
        self.stack.enter_context(patch.object(gaps, "PART_GAPS", 2))  # so that few gaps have rows of their own
        self.path = Path(self.folder.name) / "outbox.db"
        self.clock = TestClock()
        self.stream: list[tuple[bytes, int]] = []
        self.next_seq = dict.fromkeys(range(1, _DEVICES + 1), 1)
        self.through = 0
        self.perhaps = {0}
        """What a cut may leave of it: notes that no commit has come after."""
        self.boot()

    def boot(self) -> None:
        self.outbox = open_outbox(self.path, self.clock, max_batch=3)

    def teardown(self) -> None:
        self.disk.off = self.disk.full = self.disk.read_only = False
        self.disk.cut_after = None
        with contextlib.suppress(StoreUnavailable):
            self.outbox.close()
        self.stack.close()
        self.folder.cleanup()

    def _seeded(self, seed: int) -> None:
        self.disk.rng.seed(seed)

    def _do(self, work: Callable[[], object], cut: int | None) -> bool:
        """Run *work*, perhaps without power from some operation on; True when it returned, and so was promised."""
        self.disk.cut_after = cut
        try:
            work()
        except StoreUnavailable:
            assert self.disk.off or self.disk.full or self.disk.read_only
            return False
        finally:
            self.disk.cut_after = None
        return True

    def _restart_if_off(self) -> bool:
        if not self.disk.off:
            return False
        self.outbox.close()  # the dead process: without power it changes nothing any more
        self.disk.power_on()
        self.disk.read_only = False  # a start needs a disk that it can write to
        self.clock.monotonic = 0.0
        try:
            self.boot()
        except StoreUnavailable:
            assert self.disk.full
            assert not self.stream, "what is stored is served from a full disk too, also after a restart"
            self.disk.full = False
            self.boot()
        noted = self.outbox.lanes("city").through
        assert noted in self.perhaps
        self.through, self.perhaps = noted, {noted}
        return True

    @rule(batch=_BATCH, cut=_CUTS, seed=_SEEDS)
    def accept(self, batch: list[tuple[int, int, int]], cut: int | None, seed: int) -> None:
        wanted = [
            (number, self.next_seq[number] + offset * step) for number, count, step in batch for offset in range(count)
        ]
        self._offer(list(dict.fromkeys(wanted)), cut, seed)

    @rule(number=st.integers(1, _DEVICES), places=st.lists(st.integers(0, 30), min_size=1), cut=_CUTS, seed=_SEEDS)
    def send_again(self, number: int, places: list[int], cut: int | None, seed: int) -> None:
        """What the gateway lacks comes, some of it."""
        held = {seq for dev_eui, seq in self.stream if dev_eui == device(number)}
        lacks = [seq for seq in range(1, self.next_seq[number]) if seq not in held]
        if lacks:
            self._offer(list(dict.fromkeys((number, lacks[place % len(lacks)]) for place in places)), cut, seed)

    def _offer(self, wanted: list[tuple[int, int]], cut: int | None, seed: int) -> None:
        self._seeded(seed)
        arrivals = [arrival(number, seq) for number, seq in wanted]
        told = self._do(lambda: self.outbox.accept(arrivals), cut)
        stored = [(device(number), seq) for number, seq in wanted]
        if told:
            self.perhaps = {self.through}
        restarted = self._restart_if_off()
        found = published(self.outbox)
        if told or (restarted and found == self.stream + stored):  # a cut after the commit, before the answer
            self.stream += stored
            for number, seq in wanted:
                self.next_seq[number] = max(self.next_seq[number], seq + 1)
        assert found == self.stream

    @precondition(lambda self: self.stream)
    @rule(share=st.floats(0, 1), soon=st.booleans(), cut=_CUTS, seed=_SEEDS)
    def publish(self, share: float, soon: bool, cut: int | None, seed: int) -> None:
        self._seeded(seed)
        rows = self.outbox.read(self.through, 1000)
        through = rows[round((len(rows) - 1) * share)].row if rows else self.through
        lanes = Lanes([[through, END]])
        note = self.outbox.published_soon if soon else self.outbox.published
        told = self._do(lambda: note("city", lanes, 1), cut)
        if told:
            assert self.disk.off or self.outbox.lanes("city").through == through
            self.through = through
        self.perhaps = {through} if told and not soon else self.perhaps | {through}
        self._restart_if_off()

    @rule(cut=_CUTS, seed=_SEEDS)
    def reopen(self, cut: int | None, seed: int) -> None:
        self._seeded(seed)

        self._do(self.outbox.close, cut)
        self.disk.off |= cut is not None
        if not self._restart_if_off():
            self.disk.full = self.disk.read_only = False
            self.boot()

    @rule(seed=_SEEDS)
    def cut_now(self, seed: int) -> None:
        self._seeded(seed)
        self.disk.off = True
        self._restart_if_off()

    @rule(full=st.booleans(), read_only=st.booleans())
    def trouble(self, full: bool, read_only: bool) -> None:
        self.disk.full, self.disk.read_only = full, read_only

    @rule()
    def relief(self) -> None:
        """It recovers by itself: the very next batch is taken."""
        self.disk.full = self.disk.read_only = False
        seq = self.next_seq[1]
        self.outbox.accept([arrival(1, seq)])
        self.stream.append((device(1), seq))
        self.next_seq[1] = seq + 1
        self.perhaps = {self.through}

    @invariant()
    def what_was_acknowledged_is_there_in_its_order(self) -> None:
        assert published(self.outbox) == self.stream
        for number in range(1, _DEVICES + 1):
            held = {seq for dev_eui, seq in self.stream if dev_eui == device(number)}
            receipt = self.outbox.receipt(device(number))
            assert {*range(1, receipt.contiguous + 1), *receipt.above} == {
                seq for seq in held if seq <= receipt.contiguous + RECEIPT_SPAN
            }


TestDisk = DiskMachine.TestCase
TestDisk.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize(("setting", "loses"), [("OFF", True), ("NORMAL", True), ("FULL", False)])
def test_the_simulated_disk_finds_a_store_that_does_not_sync(tmp_path: Path, setting: str, loses: bool) -> None:
    """The test of the test: without FULL, a cut takes what was acknowledged."""
    lost = 0
    for seed in range(20):
        with simulated_disk(random.Random(seed)) as disk:
            outbox = open_outbox(tmp_path / "outbox.db")
            outbox._db.execute(f"PRAGMA synchronous = {setting}")
            outbox.accept([arrival(1, 1, 2, 3)])
            disk.off = True
            outbox.close()
            disk.power_on()
            with contextlib.closing(open_outbox(tmp_path / "outbox.db")) as again:
                lost += published(again) != [(device(1), seq) for seq in (1, 2, 3)]
    assert (lost > 0) == loses


@pytest.mark.parametrize("more", [False, True])
def test_a_note_that_waits_for_nothing_is_on_disk_with_the_next_commit(tmp_path: Path, more: bool) -> None:
    lost = 0
    for seed in range(20):
        with simulated_disk(random.Random(seed)) as disk:
            outbox = open_outbox(tmp_path / "outbox.db")
            outbox.accept([arrival(1, 1, 2, 3)])
            outbox.published_soon("city", Lanes([[1, END]]), 3)
            if more:
                outbox.accept([arrival(1, 4)])
            disk.off = True
            outbox.close()
            disk.power_on()
            with contextlib.closing(open_outbox(tmp_path / "outbox.db")) as again:
                assert published(again) == [(device(1), seq) for seq in range(1, 5 if more else 4)]
                lost += again.lanes("city").through != 1
    assert (lost == 0) == more, "a note that is never lost has waited for the disk"
