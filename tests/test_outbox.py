# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The outbox file: what it accepts, what it refuses, what it keeps, and that it never contradicts itself."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import OutboxFull, StoreUnavailable
from gateway.outbox import devices, stats
from tests.outbox_rig import Sealer, TestClock, arrival, device, open_outbox, published, reading, took

UNLIMITED = 10**9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


def test_a_batch_becomes_envelopes_of_at_most_max_batch(path: Path) -> None:
    with closing(open_outbox(path, max_batch=4)) as outbox:
        accepted = outbox.accept([arrival(1, *range(1, 7)), arrival(2, 1, 2, 3, 4)])
        assert (accepted.new, accepted.duplicates) == (10, 0)
        assert [row.readings for row in outbox.read(0, 10)] == [4, 4, 2]
        assert published(outbox) == [(device(1), seq) for seq in range(1, 7)] + [
            (device(2), seq) for seq in range(1, 5)
        ]


def test_duplicates_are_dropped_within_a_batch_between_batches_and_after_a_restart(path: Path) -> None:
    with closing(open_outbox(path)) as outbox:
        assert outbox.accept([arrival(1, 1, 2), arrival(1, 2, 3)]).duplicates == 1
        assert outbox.accept([arrival(1, 3, 5)]).new == 1
    with closing(open_outbox(path)) as outbox:
        accepted = outbox.accept([arrival(1, 1, 2, 3, 4, 5)])
        assert (accepted.new, accepted.duplicates) == (1, 4)
        assert outbox.receipt(device(1)).contiguous == 5
        assert [seq for _, seq in published(outbox)] == [1, 2, 3, 5, 4]


def test_the_stream_goes_on_after_a_restart(path: Path) -> None:
    streams = set()
    for seq in range(1, 6):
        with closing(open_outbox(path)) as outbox:
            outbox.accept([arrival(1, seq)])
            streams.add(outbox.stream_id)
            published(outbox)
    assert len(streams) == 1
    assert stats.read(path).durable == 5


def test_the_number_after_the_highest_writes_no_gap_and_another_no_more_than_it_changes(path: Path) -> None:
    """A thousand gaps, and each reading costs its row: they came to 23 kB for each reading."""
    gapped = list(range(1, 2001, 2))
    with closing(open_outbox(path)) as outbox:
        outbox.accept([arrival(1, *gapped)])
    with closing(open_outbox(path)) as outbox:
        said: list[str] = []
        outbox._db.set_trace_callback(said.append)
        outbox.accept([arrival(1, 2000)])
        outbox.accept([arrival(1, 2001), arrival(1, 2002)])
        assert not [each for each in said if " gap " in each and "SELECT" not in each]
        assert len(outbox._db.execute("SELECT runs FROM device").fetchone()[0]) < 300
        said.clear()
        outbox.accept([arrival(1, 500)])
        assert len([each for each in said if " gap " in each and "INSERT" in each]) == 1
        said.clear()
        outbox.accept([arrival(1, oldest=1001)])
        assert len([each for each in said if " gap " in each and "INSERT" in each]) == 1
        assert outbox.receipt(device(1)).above[:2] == [1003, 1005]
        outbox._db.set_trace_callback(None)
    with closing(open_outbox(path)) as outbox:
        assert outbox.receipt(device(1)).contiguous == 1001
        assert outbox.accept([arrival(1, *range(1, 2003))]).new == 499
        assert outbox.receipt(device(1)).contiguous == 2002
        assert outbox._db.execute("SELECT count(*) FROM gap").fetchone() == (0,)


def test_a_device_that_lost_readings_gets_a_new_base_and_the_gap_is_counted(path: Path) -> None:
    with closing(open_outbox(path)) as outbox:
        outbox.accept([arrival(1, 1, 2, 8)])
        assert outbox.accept([arrival(1, oldest=7)]).gone == 4
        assert outbox.receipt(device(1)).contiguous == 6
        outbox.accept([arrival(1, 7)])
        assert outbox.receipt(device(1)).contiguous == 8
    assert stats.read(path).devices[device(1).hex()].gone == 4


def test_an_unreadable_reading_is_kept_and_acknowledged_but_not_published(path: Path) -> None:
    clock = TestClock()
    with closing(open_outbox(path, clock)) as outbox:
        assert outbox.accept([arrival(1, 1, 3, bad=[2])]).unreadable == 1
        assert outbox.receipt(device(1)).contiguous == 3
        assert [seq for _, seq in published(outbox)] == [1, 3]
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT seq, raw, at FROM unreadable").fetchall() == [(2, b"\xa0", clock.wall)]


def test_reading_waits_nowhere_and_starts_where_it_is_told(path: Path) -> None:
    with closing(open_outbox(path, max_batch=1)) as outbox:
        outbox.accept([arrival(1, 1, 2, 3)])
        first = outbox.read(0, 2)
        assert [row.row for row in first] == [1, 2]
        assert [row.row for row in outbox.read(2, 2)] == [3]
        assert outbox.read(3, 2) == []


def test_progress_survives_a_restart_and_counts_readings(path: Path) -> None:
    with closing(open_outbox(path, max_batch=2)) as outbox:
        outbox.accept([arrival(1, *range(1, 9))])
        took(outbox, 2, 4)
        took(outbox, 3, 2)
    with closing(open_outbox(path)) as outbox:
        assert outbox.lanes("city").through == 3
        assert outbox.lanes("elsewhere").through == 0
    found = stats.read(path)
    assert (found.published, found.waiting) == ({"city": 6}, {"city": 2})


def test_published_rows_go_when_their_time_has_come_and_ids_are_never_used_again(path: Path) -> None:
    clock = TestClock()
    with closing(open_outbox(path, clock, keep_published_s=3600)) as outbox:
        outbox.accept([arrival(1, 1)])
        outbox.accept([arrival(1, 2)])
        took(outbox, 1, 1)
        clock.sleep(3000)
        assert outbox.prune() == 0
        took(outbox, 2, 1)
        clock.sleep(1000)
        assert outbox.prune() == 1
        clock.sleep(3000)
        assert outbox.prune() == 1
        outbox.accept([arrival(1, 3)])
        assert [row.row for row in outbox.read(outbox.lanes("city").through, 9)] == [3]


def test_what_no_platform_has_is_never_pruned(path: Path) -> None:
    clock = TestClock()
    with closing(open_outbox(path, clock, keep_published_s=0)) as outbox:
        outbox.accept([arrival(1, 1)])
        clock.sleep(10**8)
        assert outbox.prune() == 0


def test_a_clock_that_jumps_changes_neither_order_nor_numbers(path: Path) -> None:
    clock = TestClock()
    with closing(open_outbox(path, clock)) as outbox:
        for seq, jump_s in enumerate((0, -400_000_000, 900_000_000, -900_000_000), start=1):
            clock.wall += jump_s
            outbox.accept([arrival(1, seq)])
            took(outbox, seq, 1)
        assert [seq for _, seq in published(outbox)] == [1, 2, 3, 4]


def test_a_full_outbox_stops_accepting_drops_nothing_and_goes_on_when_there_is_room(path: Path) -> None:
    with closing(open_outbox(path, max_bytes=100_000)) as outbox:
        seq = 0
        with pytest.raises(OutboxFull, match="100000 bytes"):
            while seq < 100_000:
                outbox.accept([arrival(1, *range(seq + 1, seq + 101))])
                seq += 100
        assert seq > 0
        assert outbox.receipt(device(1)).contiguous == seq, "what was refused is not in the receipt"
        assert published(outbox) == [(device(1), number) for number in range(1, seq + 1)]
        took(outbox, outbox.last(), seq)
        outbox.accept([arrival(1, seq + 1)])
        assert outbox.receipt(device(1)).contiguous == seq + 1


def test_a_file_that_an_outage_made_large_is_small_again_when_all_was_delivered(path: Path) -> None:
    clock = TestClock()
    with closing(open_outbox(path, clock, keep_published_s=0.0)) as outbox:
        for seq in range(1, 60_001, 100):
            outbox.accept([arrival(1, *range(seq, seq + 100))])
        outbox._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        large = path.stat().st_size
        took(outbox, outbox.last(), 60_000)
        clock.sleep(60)
        while outbox.prune():
            pass
        outbox._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert path.stat().st_size < large / 5, "what is free was not given back to the file system"
        assert outbox.accept([arrival(1, 60_001)]).new == 1


def test_what_was_pruned_is_room_for_what_comes_and_moves_no_page(path: Path) -> None:
    """To give it back, and take it again a minute later, was half of what a busy gateway wrote to its disk."""
    clock = TestClock()
    with closing(open_outbox(path, clock, keep_published_s=0.0)) as outbox:
        outbox.accept([arrival(1, *range(1, 9001))])
        pages = outbox._db.execute("PRAGMA page_count").fetchone()[0]
        took(outbox, outbox.last() * 2 // 5, 3600)
        clock.sleep(60)
        while outbox.prune():
            pass
        assert outbox._db.execute("PRAGMA page_count").fetchone()[0] == pages
        assert outbox._db.execute("PRAGMA freelist_count").fetchone()[0] > pages / 5
        outbox.accept([arrival(1, *range(9001, 11_001))])
        assert outbox._db.execute("PRAGMA page_count").fetchone()[0] == pages


def test_a_full_disk_changes_nothing_and_passes(path: Path) -> None:
    """SQLite itself says `database or disk is full` when the file may not grow: the same error as ENOSPC."""
    with closing(open_outbox(path)) as outbox:
        outbox.accept([arrival(1, 1)])
        pages = outbox._db.execute("PRAGMA page_count").fetchone()[0]
        outbox._db.execute(f"PRAGMA max_page_count = {pages}")
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="full"):
                outbox.accept([arrival(1, *range(2, 500))])
        assert outbox.receipt(device(1)).contiguous == 1
        assert published(outbox) == [(device(1), 1)]
        outbox._db.execute("PRAGMA max_page_count = 1000000")
        assert outbox.accept([arrival(1, *range(2, 500))]).new == 498
        assert len(published(outbox)) == 499


def test_a_sealer_that_fails_leaves_no_trace(path: Path) -> None:
    with closing(open_outbox(path)) as outbox:
        outbox.accept([arrival(1, 1)])
        sound = outbox._sealer

        class Broken(Sealer):
            def seal(self, readings: object, position: object) -> bytes:
                raise ZeroDivisionError

        outbox._sealer = Broken()
        with pytest.raises(ZeroDivisionError):
            outbox.accept([arrival(1, 2)])
        outbox._sealer = sound
        assert outbox.accept([arrival(1, 2)]).new == 1
        assert published(outbox) == [(device(1), 1), (device(1), 2)]


def test_batches_that_fail_leave_no_devices_in_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_MAX_REMEMBERED", 2)
    with closing(open_outbox(path)) as outbox:
        outbox._db.execute("PRAGMA max_page_count = 1")
        for number in range(1, 20):
            with pytest.raises(StoreUnavailable, match="full"):
                outbox.accept([arrival(number, *range(1, 500))])
        assert len(outbox._devices._remembered) <= 3


def test_commits_are_durable_when_they_return(path: Path) -> None:
    with closing(open_outbox(path)) as outbox:
        assert outbox._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert outbox._db.execute("PRAGMA synchronous").fetchone() == (2,), "2 is FULL"


def test_statistics_can_be_read_while_the_outbox_is_open_and_after(path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no outbox"):
        stats.read(path)
    path.touch()  # as a daemon that just starts leaves it
    with pytest.raises(StoreUnavailable, match="no tables yet"):
        stats.read(path)
    path.unlink()
    with closing(open_outbox(path)) as outbox:
        outbox.accept([arrival(1, 1, 2, 5), arrival(2, 1)])
        during = stats.read(path)
    assert during == stats.read(path)
    assert during.durable == 4
    assert list(during.streams.values()) == [4]
    assert (during.devices[device(1).hex()].contiguous, during.devices[device(1).hex()].runs_above) == (2, [[5, 5]])
    assert reading(1, 1).dev_eui == device(1)
