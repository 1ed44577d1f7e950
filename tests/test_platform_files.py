# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Day files: every reading exactly once, whatever call fails and whenever the process is killed."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet as pq

from gateway.errors import PlatformError
from gateway.outbox.recovery import recover
from gateway.platforms import Context
from gateway.platforms.files import Settings, build, parquet
from gateway.platforms.files.days import PROGRESS, DayFiles
from gateway.sqlite_files import condemn
from tests.gateway_rig import ROOT
from tests.output_rig import OutputRig
from tests.releases_rig import Register, facts

DAY = "2026-11-22"


def batch(*numbers: int, day: str = DAY) -> dict[str, list[tuple[str, bytes]]]:
    return {day: [(f"s/{number}", b'{"n":%d}\n' % number) for number in numbers]}


def numbers(folder: Path) -> list[int]:
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        data = path.read_bytes()
        assert not data or data.endswith(b"\n"), "a torn line"
        found += [json.loads(line)["n"] for line in data.splitlines()]
    return found


def opened(folder: Path) -> DayFiles:
    days = DayFiles(folder)
    days.open()
    return days


class Crash(Exception):
    """The power went off here."""


@pytest.fixture
def crash_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Let the power go off at the n-th call that touches the disk; half of what is written gets there."""
    left = [0]

    def dies(real: Callable[..., Any], half: bool = False) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise Crash
            return real(*args, **named)

        return call

    def torn(path: Path, lines: list[bytes]) -> int:
        left[0] -= 1
        data = b"".join(lines)
        with path.open("ab") as file:
            file.write(data[: len(data) // 2] if left[0] == 0 else data)
        if left[0] == 0:
            raise Crash
        return len(data)

    monkeypatch.setattr("gateway.platforms.files.days._add", torn)
    monkeypatch.setattr("gateway.platforms.files.days._sync", dies(lambda _: None))
    monkeypatch.setattr(os, "fsync", dies(os.fsync))
    monkeypatch.setattr(Path, "replace", dies(Path.replace))
    yield lambda call: left.__setitem__(0, call)


@pytest.mark.parametrize("call", range(1, 20))
def test_a_crash_at_any_step_neither_loses_nor_repeats_a_line(
    tmp_path: Path, crash_at: Callable[[int], None], call: int
) -> None:
    taken: set[int] = set()
    batches = [(1, 2, 3), (4, 5), (6,), (7, 8, 9)]
    days = opened(tmp_path)
    crash_at(call)
    crashed = False
    for index, some in enumerate(batches):
        try:
            days.append(batch(*some, day=f"2026-11-{20 + index % 2}"))
        except Crash:
            crashed = True
            days.close()
            days = opened(tmp_path)
            # The outbox heard of nothing since the last note: that and what crashed comes again.
            for again in batches[index - index % 2 : index + 1]:
                days.append(batch(*again, day=f"2026-11-{20 + batches.index(again) % 2}"))
        taken |= set(some)
        assert sorted(numbers(tmp_path)) == sorted(taken)
        if index % 2:
            days.noted()
    assert crashed or call > 15
    days.close()


def test_what_comes_again_in_other_parts_is_written_once(tmp_path: Path) -> None:
    days = opened(tmp_path)
    days.append(batch(1, 2, 3))
    days.close()
    days = opened(tmp_path)
    assert days.append(batch(1)) == 0
    days.noted()
    assert days.append(batch(2, 4)) == 1
    days.close()
    days = opened(tmp_path)  # nobody noted that 2 and 4 came
    assert days.append(batch(2, 3, 4, 5)) == 1
    assert numbers(tmp_path) == [1, 2, 3, 4, 5]
    days.close()


@pytest.mark.apart
def test_a_writer_killed_again_and_again_writes_every_line_once(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    folder, note, lines = tmp_path / "days", tmp_path / "note", 1500
    for attempt in range(4):
        command = [sys.executable, "-m", "tests.day_writer", str(folder), str(note), str(lines), str(seed + attempt)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            added = rng.randint(2, 25) if attempt < 3 else lines
            for line in process.stdout:
                added -= line == "adding\n"
                if not added:
                    time.sleep(rng.uniform(0, 0.02))  # somewhere within what it does next
                    process.kill()
                    break
    assert process.returncode == 0
    assert sorted(numbers(folder)) == list(range(lines))


def test_a_file_that_was_taken_away_begins_anew(tmp_path: Path) -> None:
    days = opened(tmp_path)
    days.append(batch(1, 2))
    days.noted()
    days.path(DAY).rename(tmp_path / "archived")
    days.close()
    days = opened(tmp_path)
    days.append(batch(3))
    assert numbers(tmp_path) == [3]
    days.close()


def test_a_progress_file_that_is_not_ours_stops_the_output_and_changes_nothing(tmp_path: Path) -> None:
    days = opened(tmp_path)
    days.append(batch(1, 2))
    days.close()
    (tmp_path / PROGRESS).write_text("{}")
    with pytest.raises(ValueError, match="written twice"):
        opened(tmp_path)
    assert numbers(tmp_path) == [1, 2]


def test_two_outputs_never_share_a_folder(tmp_path: Path) -> None:
    days = opened(tmp_path)
    with pytest.raises(OSError, match="folder of its own"):
        opened(tmp_path)
    days.close()
    opened(tmp_path).close()


def test_parquet_is_refused_at_the_start_where_it_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    settings = Settings(type="files", name="bulk", path="bulk", parquet=True)
    with pytest.raises(PlatformError, match="make extra"):
        build(settings, Context("0" * 16, b"", tmp_path, lambda _: b"", None, random.Random(1)))  # type: ignore[arg-type]


def test_only_days_that_grew_are_made_again(tmp_path: Path) -> None:
    days = opened(tmp_path)
    line = {"time": "2026-11-22T10:00:00Z", "device": "TRK-1", "kind": "street_light", "seq": 1, "stream": "00",
            "record": 1, "values": {"power": 60.5, "lamp_on": True, "note": "x"}, "units": {"power": "W"}}  # fmt: skip
    days.append({DAY: [("00/1", json.dumps(line).encode() + b"\n")], "2026-11-21": []})
    assert parquet.make(days, lambda: None) == [tmp_path / f"{DAY}.parquet"]
    assert parquet.make(days, lambda: None) == []
    rows = pq.read_table(tmp_path / f"{DAY}.parquet").to_pylist()
    assert [(row["name"], row["unit"], row["value"], row["flag"], row["text"]) for row in rows] == [
        ("power", "W", 60.5, None, None), ("lamp_on", None, None, True, None), ("note", None, None, None, "x")
    ]  # fmt: skip
    assert rows[0]["time"].isoformat() == "2026-11-22T10:00:00+00:00"
    days.close()
    assert opened(tmp_path).made == {DAY: days.lengths[DAY]}


pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_an_output_writes_days_in_both_forms(tmp_path: Path) -> None:
    table = {"type": "files", "path": "bulk", "parquet": True, "parquet_every_s": 1.0}
    register = Register({"0000000000000001": facts("street_light")})
    register.kind = "traffic"
    async with OutputRig(tmp_path, table, register) as rig:
        rig.accept("street_light", 1, {"power_w": 60.5, "door_open": True}, {"power_w": 61.0})
        rig.accept("traffic", 2, {"interval_s": 300, "count_a": 41})
        await rig.all_taken()
        path = tmp_path / "bulk" / "2026-09-21.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [(each["device"], each["record"], each["values"]) for each in lines] == [
            ("TRK-0001", 1, {"power": 60.5}), ("TRK-0001", 2, {"power": 61.0}),
            ("TRK-0002", 3, {"interval": 300, "count_a": 41}),
        ]  # fmt: skip
        assert lines[0]["units"] == {"power": "W"}
        assert (lines[0]["longitude_deg"], lines[0]["latitude_deg"]) == (18.06491, 59.33258)
        made = tmp_path / "bulk" / "2026-09-21.parquet"
        await rig.until(lambda: made.is_file() and pq.read_table(made).num_rows == 4)
        assert rig.counted("fields_dropped_release_level") == 1
        assert rig.platform.in_flight == 0


async def test_a_disk_that_is_full_for_a_while_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([True] * 2)
    real = os.fsync

    def full(descriptor: int) -> None:
        if next(failures, False):
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr("gateway.platforms.files.days.os.fsync", full)
    async with OutputRig(tmp_path, {"type": "files", "path": "bulk"}) as rig:
        rig.lights(range(1, 6), 2)
        await rig.all_taken()
        lines = (tmp_path / "bulk" / "2026-09-21.jsonl").read_text().splitlines()
        records = [json.loads(line)["record"] for line in lines]
        assert sorted(records) == list(range(1, 11))
        assert rig.counted("connection_failed") >= 1


async def test_readers_of_single_readings_see_the_hole_in_the_numbers_of_a_device_and_the_operator_that_none_was_told(
    tmp_path: Path,
) -> None:
    before = OutputRig(tmp_path, {"type": "files", "path": "bulk"})
    for _ in range(3):
        before.lights([1], readings=2)
    before.outbox.close()
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as raw:
        raw.execute("DELETE FROM envelope WHERE id = 2")
        raw.commit()
    condemn(tmp_path / "outbox.db")
    assert recover(tmp_path / "outbox.db", ("city",)) is not None
    after = OutputRig(tmp_path, {"type": "files", "path": "bulk"})
    after.seqs[1] = 6
    after.lights([1])
    async with after:
        await after.all_taken()
    days = sorted((tmp_path / "bulk").glob("*.jsonl"))
    lines = [json.loads(line) for path in days for line in path.read_text().splitlines()]
    assert [line["seq"] for line in lines] == [1, 2, 5, 6, 7]
    assert len({line["stream"] for line in lines}) == 2
    assert after.counted("notices_passed_by") == 1
