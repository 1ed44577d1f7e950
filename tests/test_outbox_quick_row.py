# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What one batch leaves on disk is the same whether a device's row is made at once or by its state; and how often the
outbox writes down how old it is.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import CannotSign
from gateway.outbox import devices, gaps, quick_row
from gateway.outbox.devices import Arrival, Devices
from gateway.outbox.schema import prepare
from gateway.outbox.store import Limits, Outbox
from gateway.records.reading import Payload, Unreadable
from tests.outbox_rig import PLATFORMS, Sealer, TestClock, arrival, device, reading

_SESSIONS = [b"", bytes(8), b"\x01" * 8]


@st.composite
def _arrivals(draw: st.DrawFn) -> Arrival:
    number, first = draw(st.integers(1, 3)), draw(st.integers(1, 12))
    count = draw(st.sampled_from([1, 1, 1, 1, 0, 2, 3]))
    bad = draw(st.sampled_from([(), (), (), (Unreadable(device(number), first + count, b"\xa0", "test"),)]))
    oldest = draw(st.sampled_from([None, None, 1, first - 1 or None, first, first + 1, first + 4]))
    read = tuple(reading(number, seq) for seq in range(first, first + count))
    payload = Payload(read, bad, oldest, draw(st.booleans()))
    return Arrival(device(number), payload, draw(st.sampled_from(_SESSIONS)), draw(st.integers(0, 2**32)))


def _next(
    held: dict[int, int], number: int, more: int | None = None, bad: int = 0, session: bytes = bytes(8)
) -> Arrival:
    """The next reading. The device holds nothing below *more* beyond it; with *bad*, one comes that is not readable."""
    seq = held[number] = held.get(number, 0) + 1
    unreadable = (Unreadable(device(number), seq + 1, b"\xa0", "test"),) * bad
    oldest = None if more is None else max(1, seq + more)
    return Arrival(device(number), Payload((reading(number, seq),), unreadable, oldest), session, seq)


_NEXT = st.tuples(
    st.integers(1, 3),
    st.sampled_from([None, None, None, -2, 0, 1, 3]),
    st.sampled_from([0, 0, 0, 1]),
    st.sampled_from([*_SESSIONS, bytes(8), bytes(8)]),
)


class _Table:
    """The devices of one outbox, and what they say of each batch."""

    def __init__(self) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        prepare(self.db)
        self.devices = Devices(self.db)

    def take(self, arrivals: Sequence[Arrival], *, kept: bool) -> object:
        """Return what a batch was, and all that is on disk after it."""
        self.db.execute("BEGIN")
        draft = self.devices.draft(arrivals)
        self.devices.save(draft, 1.0)
        self.db.execute("COMMIT" if kept else "ROLLBACK")
        if kept:
            self.devices.keep(draft)
        numbers = draft.duplicates, draft.too_sparse, draft.gone
        rows = [
            self.db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()  # noqa: S608
            for table in ("device", "gap", "unreadable")
        ]
        states = [self.devices.state(device(number)) for number in range(1, 4)]
        return draft.fresh, draft.unreadable, numbers, rows, [(vars_of(each), each.held.runs()) for each in states]


def vars_of(state: devices.DeviceState) -> tuple[object, ...]:
    """What a state says beside what is held."""
    return state.held.contiguous, state.readings, state.gone, state.unreadable, state.session, state.fcnt_up


@settings(deadline=None)
@given(st.lists(st.tuples(st.lists(_arrivals() | _NEXT, max_size=40), st.booleans()), max_size=6))
def test_a_row_made_at_once_is_the_row_of_the_state(batches: list[tuple[list[Any], bool]]) -> None:
    plain, quick = _Table(), _Table()
    held: dict[int, int] = {}
    with closing(plain.db), closing(quick.db), patch.object(gaps, "PART_GAPS", 2):
        for batch, kept in batches:
            arrivals = [_next(held, *each) if isinstance(each, tuple) else each for each in batch]
            with patch.object(devices, "_MAX_REMEMBERED", 2):
                with patch.object(quick_row, "after", lambda *_: None):
                    said = plain.take(arrivals, kept=kept)
                assert quick.take(arrivals, kept=kept) == said


def test_what_nearly_every_frame_brings_is_a_row_at_once() -> None:
    table = _Table()
    with closing(table.db):
        arrivals = [_next({}, number) for number in range(1, 101)]
        table.take(arrivals, kept=True)
        before = table.db.execute("SELECT * FROM device ORDER BY dev_eui").fetchone()
        after = quick_row.after(before, Arrival(device(1), Payload((reading(1, 2),), (), 1), bytes(8), 2))
        assert after is not None
        assert devices.DeviceState.from_row(after).held.contiguous == 2
        assert table.db.execute("SELECT count(*) FROM device").fetchone() == (100,)


def _ran_s(path: Path) -> float:
    with closing(sqlite3.connect(path)) as file:
        return float(file.execute("SELECT seconds FROM ran").fetchone()[0])


def test_the_age_of_an_outbox_is_on_disk_to_the_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, clock, sealer = tmp_path / "outbox.db", TestClock(), Sealer()
    with closing(Outbox(path, sealer, PLATFORMS, Limits(), clock)) as outbox:
        found = []
        for seq, wait_s in enumerate((0.0, 0.4, 0.7, 0.2, 0.9), 1):
            clock.sleep(wait_s)
            outbox.accept([arrival(1, seq)])
            found.append(_ran_s(path))
        assert found == pytest.approx([0.0, 0.0, 1.1, 1.1, 2.2])
        clock.sleep(5.0)
        save = outbox._age.save

        def fail(db: sqlite3.Connection) -> float:
            save(db)
            raise CannotSign("the last step fails")

        monkeypatch.setattr(outbox._age, "save", fail)
        with pytest.raises(CannotSign):
            outbox.accept([arrival(1, 6)])
        monkeypatch.undo()
        outbox.accept([arrival(1, 6)])
        assert _ran_s(path) == pytest.approx(7.2), "what was rolled back was not written down"
