# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The outbox's log is written back beside the commits, and nothing is lost or held up by it."""

from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path

import pytest

from gateway.outbox.store import Outbox
from gateway.outbox.write_back import LOG_PAGES, WriteBack, write_back
from tests.gateway_rig import until
from tests.outbox_rig import arrival, open_outbox, published

_DEVICES, _FRAMES = 20, 800
_WAIT_S = 30.0


def _filled(path: Path, frames: int) -> tuple[Outbox, list[tuple[bytes, int]]]:
    outbox = open_outbox(path)
    outbox.let_log_grow(LOG_PAGES)
    arrivals = [arrival(number % _DEVICES, 1 + number // _DEVICES) for number in range(frames)]
    for start in range(0, frames, 40):
        outbox.accept(arrivals[start : start + 40])
    return outbox, [(each.dev_eui, each.payload.readings[0].seq) for each in arrivals]


def _after_power_cut(path: Path, folder: Path, *, with_log: bool = True) -> list[tuple[bytes, int]]:
    """What is found on a copy of the files, taken while they are open."""
    folder.mkdir()
    copy = folder / path.name
    shutil.copy(path, copy)
    if with_log:
        shutil.copy(f"{path}-wal", f"{copy}-wal")
    outbox = open_outbox(copy)
    try:
        return published(outbox)
    finally:
        outbox.close()


def test_the_file_holds_what_was_written_back(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox, accepted = _filled(path, _FRAMES)
    assert _after_power_cut(path, tmp_path / "before", with_log=False) == []
    write_back(path)
    assert _after_power_cut(path, tmp_path / "after", with_log=False) == accepted
    outbox.close()


def test_nothing_is_lost_where_it_is_written_back_all_the_time(tmp_path: Path) -> None:
    path, stop, times = tmp_path / "outbox.db", threading.Event(), []
    _filled(path, 1)[0].close()

    def beside() -> None:
        while not stop.is_set():
            write_back(path)
            times.append(1)

    thread = threading.Thread(target=beside)
    thread.start()
    try:
        outbox = open_outbox(path)
        outbox.let_log_grow(50)  # so that the commits do it too
        accepted = [(bytes(8), 1)]
        while len(accepted) < _FRAMES or len(times) < 10:
            seq = len(accepted) + 1
            outbox.accept([arrival(0, seq)])
            accepted.append((bytes(8), seq))
    finally:
        stop.set()
        thread.join(_WAIT_S)
    assert published(outbox) == accepted
    assert _after_power_cut(path, tmp_path / "cut") == accepted
    outbox.close()


def test_it_waits_for_no_open_transaction_and_none_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox, accepted = _filled(path, 40)
    writer = outbox._db
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE stream SET next_record = next_record")
    write_back(path)
    writer.execute("ROLLBACK")
    assert _after_power_cut(path, tmp_path / "cut", with_log=False) == accepted
    outbox.close()


def test_a_log_that_nobody_writes_back_stays_bounded(tmp_path: Path) -> None:
    outbox, _ = _filled(tmp_path / "outbox.db", 40)
    outbox.let_log_grow(50)
    for seq in range(1000, 1000 + _FRAMES):
        outbox.accept([arrival(1, seq)])
    assert (tmp_path / "outbox.db-wal").stat().st_size < 200 * 4120
    outbox.close()


def test_enough_commits_have_it_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, times = tmp_path / "outbox.db", list[Path]()
    outbox, accepted = _filled(path, 40)

    async def enough() -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def noted(where: Path) -> None:
            times.append(where)
            write_back(where)
            loop.call_soon_threadsafe(done.set)

        monkeypatch.setattr("gateway.outbox.write_back.write_back", noted)
        beside = WriteBack(path)
        task = asyncio.create_task(beside.run())
        beside.look(outbox)  # it was little so far
        outbox.rows_written += 10_000
        beside.look(outbox)
        beside.look(outbox)  # nothing more since then
        await asyncio.wait_for(done.wait(), _WAIT_S)
        task.cancel()

    asyncio.run(enough())
    assert times == [path]
    assert _after_power_cut(path, tmp_path / "cut", with_log=False) == accepted
    outbox.close()


def test_a_file_that_cannot_be_written_does_not_end_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "nowhere" / "outbox.db"
    outbox, _ = _filled(tmp_path / "outbox.db", 40)

    async def twice() -> None:
        beside = WriteBack(path)
        task = asyncio.create_task(beside.run())
        outbox.rows_written += 10_000
        beside.look(outbox)
        await asyncio.to_thread(until, lambda: "not_written_back" in caplog.text, "it to fail", _WAIT_S)
        path.parent.mkdir()
        shutil.copy(tmp_path / "outbox.db-wal", f"{path}-wal")
        shutil.copy(tmp_path / "outbox.db", path)
        outbox.rows_written += 10_000
        beside.look(outbox)
        log = path.with_name("outbox.db-wal")
        await asyncio.to_thread(until, lambda: not log.exists(), "whoever closes it last to take the log", _WAIT_S)
        task.cancel()

    asyncio.run(twice())
    outbox.close()
