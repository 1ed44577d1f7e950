# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The outbox against a model that forgets nothing: random batches, duplicates, lost readings, restarts, publication.

Its parts of gaps have two each, and it remembers three gaps and two devices: all that many gaps do happens with few.
"""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.outbox import devices, gaps, stats
from gateway.outbox.devices import Arrival
from tests.outbox_rig import TestClock, arrival, device, open_outbox, published, took

_DEVICES = st.integers(1, 3)
_SEQS = st.lists(st.integers(1, 40), max_size=6)
_BATCHES = st.lists(st.tuples(_DEVICES, _SEQS, st.none() | st.integers(0, 30)), min_size=1, max_size=4)


class OutboxMachine(RuleBasedStateMachine):
    """Model: for each device a set of numbers, a base, a count of what is gone; and the stream as a list."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.stack.enter_context(self.folder)
        for module, name, value in ((gaps, "PART_GAPS", 2), (devices, "_MAX_REMEMBERED_GAPS", 3)):
            self.stack.enter_context(patch.object(module, name, value))
        self.stack.enter_context(patch.object(devices, "_MAX_REMEMBERED", 2))
        self.path = Path(self.folder.name) / "outbox.db"
        self.clock = TestClock()
        self.held: dict[int, set[int]] = {1: set(), 2: set(), 3: set()}
        self.base = {1: 0, 2: 0, 3: 0}
        self.gone = {1: 0, 2: 0, 3: 0}
        self.stream: list[tuple[bytes, int]] = []
        self.open()

    def open(self) -> None:
        self.outbox = open_outbox(self.path, self.clock, max_batch=3)

    def teardown(self) -> None:
        self.outbox.close()
        self.stack.close()

    @rule(batches=_BATCHES)
    def accept(self, batches: list[tuple[int, list[int], int | None]]) -> None:
        arrivals: list[Arrival] = []
        new = 0
        for number, seqs, oldest in batches:
            arrivals.append(arrival(number, *seqs, oldest=oldest))
            for seq in seqs:
                if seq > self.base[number] and seq not in self.held[number]:
                    self.held[number].add(seq)
                    self.stream.append((device(number), seq))
                    new += 1
            lowest = 0 if oldest is None else oldest
            missing = {seq for seq in range(self.base[number] + 1, lowest) if seq not in self.held[number]}
            self.gone[number] += len(missing)
            self.base[number] = max(self.base[number], lowest - 1)
        assert self.outbox.accept(arrivals).new == new

    @rule()
    def restart(self) -> None:
        self.outbox.close()
        self.open()

    @rule()
    def forget_without_closing(self) -> None:
        """A kill: the file is opened again while nobody closed it, from what was committed."""
        left = self.outbox
        self.open()
        left.close()

    @rule(share=st.floats(0, 1))
    def publish(self, share: float) -> None:
        rows = self.outbox.read(self.outbox.lanes("city").through, 1000)
        rows = rows[: round(len(rows) * share)]
        if rows:
            took(self.outbox, rows[-1].row, sum(row.readings for row in rows))

    @invariant()
    def the_stream_is_the_model(self) -> None:
        assert published(self.outbox) == self.stream

    @invariant()
    def receipts_say_what_is_held(self) -> None:
        for number, seqs in self.held.items():
            contiguous = self.base[number]
            while contiguous + 1 in seqs:
                contiguous += 1
            receipt = self.outbox.receipt(device(number))
            assert (receipt.contiguous, receipt.above) == (contiguous, sorted(s for s in seqs if s > contiguous))

    @invariant()
    def memory_is_bounded(self) -> None:
        known = self.outbox._devices._remembered.values()
        gaps_known = sum(each.held.gaps.count for each in known if isinstance(each, devices.DeviceState))
        assert self.outbox._devices._gaps == gaps_known <= 3
        assert len(known) <= 2

    @invariant()
    def statistics_agree(self) -> None:
        found = stats.read(self.path)
        for number, seqs in self.held.items():
            if (each := found.devices.get(device(number).hex())) is not None:
                above = [seq for first, last in each.runs_above for seq in range(first, last + 1)]
                assert above == sorted(seq for seq in seqs if seq > each.contiguous)
        assert found.durable == len(self.stream)
        assert sum(each.gone for each in found.devices.values()) == sum(self.gone.values())
        done, waiting = found.published.get("city", 0), found.waiting.get("city", found.durable)
        assert done + waiting == found.durable


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
