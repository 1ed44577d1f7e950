# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Clock steps, logs, counters and the lock: what the operator relies on."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.clock import MIN_PLAUSIBLE_S, StepDetector, plausible
from gateway.errors import AlreadyRunning
from gateway.operate import counters, logs
from gateway.operate.lock import only_one
from tests.outbox_rig import TestClock


@pytest.fixture
def restored_logging() -> Iterator[None]:
    logger = logging.getLogger("lykta.gateway")
    before = logger.handlers[:], logger.propagate, logger.level
    yield
    logger.handlers[:], logger.propagate, logger.level = before


def test_a_clock_that_is_set_is_noticed_once_and_a_slow_one_never() -> None:
    clock = TestClock()
    steps = StepDetector(clock)
    for _ in range(1000):
        clock.sleep(1)
        clock.wall += 0.0005  # NTP slews at most 500 ppm
        assert steps.step_s() is None
    for jump_s in (-3600.0, 86400.0, -2.5):
        clock.wall += jump_s
        assert steps.step_s() == pytest.approx(jump_s, abs=0.01)
        assert steps.step_s() is None


def test_a_clock_that_was_never_set_is_told_apart() -> None:
    assert not plausible(0.0)
    assert not plausible(MIN_PLAUSIBLE_S - 1)
    assert plausible(TestClock().wall)


@pytest.mark.usefixtures("restored_logging")
def test_logs_are_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("json", "info")
    log = logs.EventLog("links.serial")
    log.debug("hidden")
    log.warning("serial_absent", port=Path("/dev/x"), dev_eui=b"\x01\xff", text="å\n")
    try:
        int("seen")
    except ValueError:
        log.exception("failed")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (first["event"], first["level"], first["area"]) == ("serial_absent", "warning", "links.serial")
    assert (first["port"], first["dev_eui"], first["text"]) == ("/dev/x", "01ff", "å\n")
    assert first["time"].endswith("+00:00")
    assert "seen" in second["traceback"]


@pytest.mark.usefixtures("restored_logging")
def test_logs_for_people_are_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("text", "debug")
    logs.EventLog("daemon").info("ready", why="two words", count=3)
    assert capsys.readouterr().err.rstrip().endswith('info    daemon: ready why="two words" count=3')
    logs.EventLog("daemon").info("open", at=Path("/dev/x"), eui=b"\x01\xff", why=OSError("not there"))
    assert capsys.readouterr().err.rstrip().endswith('open at=/dev/x eui=01ff why="not there"')


@pytest.mark.usefixtures("restored_logging")
def test_whoever_watches_on_a_terminal_gets_text_and_a_file_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.set_up("auto")
    logs.EventLog("daemon").info("ready")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    logs.set_up("auto")
    logs.EventLog("daemon").info("ready")
    entry, line = capsys.readouterr().err.splitlines()
    assert json.loads(entry)["event"] == "ready"
    assert line.endswith("info    daemon: ready")


def test_the_same_event_over_and_over_is_logged_seldom_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1000.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now_s[0])
    seldom = logs.Seldom(interval_s=10, burst=3)
    assert seldom.allow("a") == 0
    assert [seldom.allow("a") for _ in range(5)] == [None] * 5
    assert seldom.allow("b") == 0
    now_s[0] += 11
    assert seldom.allow("a") == 5
    passed = [key for key in range(100_000) if seldom.allow(key) is not None]
    assert len(passed) == 2, "with the one before, three"
    assert len(seldom._seen) < 10
    now_s[0] += 11
    assert seldom.allow("c") == 0


def test_counters_are_saved_and_found_again(tmp_path: Path) -> None:
    assert counters.load(tmp_path) == {}
    made = counters.Counters()
    made.add("refused", "replayed")
    made.add("refused", "replayed", 2)
    made.add("frames", "heard", 0)
    made.save(tmp_path)
    assert counters.load(tmp_path) == {"refused": {"replayed": 3}}
    made.save(tmp_path / "gone")  # a disk that fails is no reason to stop
    (tmp_path / "counters.json").write_text("{half")
    assert counters.load(tmp_path) == {}


def test_the_lock_holds_as_long_as_its_process_does(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(AlreadyRunning, match="Another gateway"), only_one(tmp_path):
        pytest.fail("two at a time")
    with only_one(tmp_path):
        pass
