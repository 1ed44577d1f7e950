# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a technician sees of `lykta enroll`: a row for each board on a terminal, plain lines elsewhere; and is asked."""

import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, as_completed
from functools import partial
from pathlib import Path

import pytest
from rich import progress
from rich.console import Console

from provisioning.bench import batch
from provisioning.bench.enrolment import REPLACE
from provisioning.bench.install import Progress
from provisioning.city import create_city
from provisioning.cli import rows
from provisioning.demo import life
from tests.terminal import shown

ROOT = Path(__file__).resolve().parent.parent
pytestmark = [pytest.mark.apart, pytest.mark.timeout(300)]


def on_a_terminal(folder: Path, *words: str) -> str:
    """All that `lykta` wrote on a terminal of 160 columns, without its colours."""
    return shown(["-m", "provisioning.cli", "-C", "city", *words], folder, 160)


def test_each_board_has_its_row_with_speed_and_time_left(tmp_path: Path) -> None:
    create_city(tmp_path / "city", "Teststad")
    said = on_a_terminal(tmp_path, "enroll", "--virtual", "2", "--kind", "waste_bin")
    ended = re.findall(r"(\S+) is ([0-9a-f]{16})", said)
    assert len(set(ended)) == 2, said
    for port in {port for port, _ in ended}:
        assert re.search(re.escape(port) + r" install virtual", said), said
        assert re.search(re.escape(port) + r" .*\d [kM]?B/s +\d+:\d\d:\d\d", said), said


def test_a_row_fits_into_80_columns_and_names_stay_unique() -> None:
    long = "/dev/serial/by-id/usb-Silicon_Labs_CP2102_USB_to_UART_Bridge_Controller_0001-if00-port0"
    console = Console(width=80, file=io.StringIO(), force_terminal=True)
    with progress.Progress(*rows.columns(), console=console, auto_refresh=False) as display:
        shown = rows.Rows(display, [long, "/dev/a/board1.port", "/dev/b/board2.port"])
        shown.moved(long, Progress(50, 100, "x"))
        shown.ended(long, f"is {'f' * 16}")
        lines = "".join(each.text for each in console.render(display.get_renderable())).splitlines()
    assert len(lines) == 3, lines
    assert lines[0].startswith(f"{long[-16:]} is ffffffffffffffff "), lines
    assert re.search(r"-:--:--|\d:\d\d:\d\d", lines[0]), lines
    assert rows.short(["/dev/a/one-long-name-of-a-port", "/dev/b/one-long-name-of-a-port"]) == {
        f"/dev/{each}/one-long-name-of-a-port": f"/dev/{each}/one-long-name-of-a-port" for each in "ab"
    }


def test_lines_elsewhere(tmp_path: Path) -> None:
    create_city(tmp_path / "city", "Teststad")
    command = [sys.executable, "-m", "provisioning.cli", "-C", "city", "enroll", "--virtual", "1"]
    options = ["--kind", "waste_bin", "--json"]
    done = subprocess.run([*command, *options], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=200,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\S+: install virtual_waste_bin$", done.stderr, re.M), done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(("typed", "agreed"), [(REPLACE, True), ("yes", False)])
def test_the_rows_stand_still_while_a_person_is_asked(
    typed: str, agreed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(rows, "Console", partial(Console, file=written, force_terminal=True))
    begun: list[bool] = []
    asked: list[bool] = []
    monkeypatch.setattr("builtins.input", lambda *_: asked.append(begun[-1]) or typed)
    monkeypatch.setattr(rows.Progress, "start", lambda _self: begun.append(True))
    monkeypatch.setattr(rows.Progress, "stop", lambda _self: begun.append(False))
    with rows.rows(["ttyACM0"]) as shown:
        assert shown.ask("ttyACM0 holds the identity of a device", REPLACE) is agreed
        assert begun[-1]
    assert asked == [False]
    assert "holds the identity" in written.getvalue()


def test_nobody_is_asked_where_nobody_can_answer() -> None:
    with rows.rows(["ttyACM0"]) as shown:
        assert not shown.ask("it holds the identity of a device", REPLACE)


def test_the_last_words_of_a_board_are_whole() -> None:
    said = repr("Traceback:\r\n  File \"x\"\r\nImportError: no module named 'lamp'\r\nMicroPython 1.29")
    assert life._last_words(f"It ends in a fault. Last words: {said}") == "ImportError: no module named 'lamp'"
    assert life._last_words(f"Last words: {'OSError: 5'!r}") == "OSError: 5"
    assert life._last_words("It  made no reading.") == "It made no reading."


@pytest.mark.parametrize("kind", ["bin", "foreign"])
def test_a_kind_that_no_board_can_become_is_refused_before_a_board_is_looked_at(kind: str, tmp_path: Path) -> None:
    create_city(tmp_path / "city", "Teststad")
    command = [sys.executable, "-m", "provisioning.cli", "-C", str(tmp_path / "city"), "enroll", "/dev/nowhere"]
    ended = subprocess.run([*command, "--kind", kind], capture_output=True, text=True, cwd=ROOT, check=False)
    assert ended.returncode == 64, ended
    assert f"'{kind}' is none of: street_light, traffic, waste_bin" in ended.stderr
    assert "/dev/nowhere" not in ended.stderr


def test_after_ctrl_c_no_board_begins_and_none_goes_a_step_further(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = rows.Rows()
    begun: list[str] = []
    refused: list[str] = []
    stopped, all_handed_in = threading.Event(), threading.Event()

    def waiting(futures: Iterable[Future[None]]) -> Iterator[Future[None]]:
        all_handed_in.set()
        return as_completed(futures)

    def stopping() -> None:
        shown.stop()
        stopped.set()

    def job(port: str) -> None:
        begun.append(port)
        assert all_handed_in.wait(30)
        for _ in range(10):  # one that comes just before the main thread waits is seen with the next
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            if stopped.wait(3):
                break
        try:
            shown.step(port, "prove", "")
        except rows.Stopped as error:
            refused.append(str(error.next_step))
            raise

    monkeypatch.setattr(batch, "as_completed", waiting)
    # Who starts the tests in the background has them ignore Ctrl-C, and Python then leaves it so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            batch.run(["a", "b", "c"], job, 1, stopping)
    finally:
        signal.signal(signal.SIGINT, before)
    assert begun == ["a"]
    assert refused == ["give the same command again; it goes on where it stopped"]
