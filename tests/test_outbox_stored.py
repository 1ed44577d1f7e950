# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An outbox on a disk that takes nothing: read whole, whatever a crash left beside it, and not one byte changed."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import StoreUnavailable
from gateway.outbox.lanes import END, Lanes
from gateway.outbox.recovery import recover
from gateway.outbox.stored import StoredOutbox, takes_writes
from gateway.outbox.waiting import waiting
from tests.outbox_rig import PLATFORMS, arrival, device, open_outbox, took


def crashed(folder: Path, keep: Callable[[str], bool]) -> Path:
    """An outbox of 40 envelopes, 10 taken, as a power cut leaves it; *keep*: which of its files."""
    (folder / "live").mkdir()
    (folder / "left").mkdir()
    with closing(open_outbox(folder / "live" / "outbox.db", max_batch=1)) as outbox:
        outbox.accept([arrival(1, *range(1, 41))])
        took(outbox, 10, 10)
        for path in (folder / "live").iterdir():
            if keep(path.name):
                shutil.copy(path, folder / "left" / path.name)
    return folder / "left" / "outbox.db"


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in folder.iterdir()}


@pytest.mark.parametrize(
    "keep",
    [lambda name: True, lambda name: not name.endswith("-shm")],
    ids=["log and index", "log alone"],
)
def test_what_a_crash_left_is_read_and_nothing_is_written(tmp_path: Path, keep: Callable[[str], bool]) -> None:
    path = crashed(tmp_path, keep)
    assert path.with_name("outbox.db-wal").stat().st_size > 0, "a log that holds what the file does not"
    before = files(path.parent)
    with closing(StoredOutbox(path, {})) as stored:
        assert stored.why_empty == ""
        assert [row.row for row in stored.read(0, 1000)] == list(range(1, 41))
        assert (stored.last(), stored.lanes("city").through, stored.lanes("new").through) == (40, 10, 0)
        assert waiting(stored, "city").envelopes == 30
        assert stored.used_bytes() > 0
        assert len(stored.stream_id) == 8
        with pytest.raises(StoreUnavailable):
            stored.accept([arrival(1, 41)])
        assert stored.receipt(device(1)).contiguous == 0, "nothing may be told to a device"
    assert files(path.parent) == before


def test_a_file_that_was_closed_is_read_and_nothing_is_made_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with closing(open_outbox(path)) as outbox:
        outbox.accept([arrival(1, 1, 2)])
        messages = [row.message for row in outbox.read(0, 9)]
    before = files(tmp_path)
    with closing(StoredOutbox(path, {})) as stored:
        assert [row.message for row in stored.read(0, 9)] == messages
    assert files(tmp_path) == before


def test_what_platforms_take_meanwhile_is_remembered_and_noted_when_it_can_be(tmp_path: Path) -> None:
    path, noted = tmp_path / "outbox.db", dict[str, tuple[Lanes, int]]()
    with closing(open_outbox(path, max_batch=1)) as outbox:
        outbox.accept([arrival(1, *range(1, 11))])
    for through in (4, 7):
        with closing(StoredOutbox(path, noted)) as stored:
            stored.published("city", Lanes([[through, END]]), 3)
            assert stored.lanes("city").through == through
    with closing(open_outbox(path)) as outbox:
        assert outbox.lanes("city").through == 0
        outbox.published_meanwhile(noted)
        assert outbox.lanes("city").through == 7
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT readings FROM lane").fetchall() == [(6,)]


def test_damaged_envelopes_are_passed_by_and_rescued_later(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with closing(open_outbox(path, max_batch=1)) as outbox:
        outbox.accept([arrival(1, *range(1, 11))])
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE envelope SET message = zeroblob(9) WHERE id IN (3, 10)")
        raw.execute("UPDATE lane SET waiting = x'ff'")
        raw.commit()
    with closing(StoredOutbox(path, {})) as stored:
        assert [row.row for row in stored.read(0, 3)] == [1, 2, 4]
        assert [row.row for row in stored.read(4, 100)] == [5, 6, 7, 8, 9]
    assert not list(tmp_path.glob("*.damaged"))


@pytest.mark.parametrize("content", [b"", b"not a database" * 400, None])
def test_what_cannot_be_read_is_an_empty_outbox_that_says_why(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "outbox.db"
    if content is not None:
        path.write_bytes(content)
    before = files(tmp_path)
    with closing(StoredOutbox(path, {})) as stored:
        assert stored.why_empty
        assert (stored.last(), stored.read(0, 9), stored.stream_id) == (0, [], b"")
        assert stored.lanes("city").through == 0
    assert files(tmp_path) == before
    recover(path, PLATFORMS)


def test_a_disk_is_asked_by_writing(tmp_path: Path) -> None:
    assert takes_writes(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not takes_writes(tmp_path / "none")
