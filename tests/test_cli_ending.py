# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A rehearsal that is asked to end, by a real signal to a real process, leaves no process and no file behind."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from provisioning.city import create_city

pytestmark = pytest.mark.apart
ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 120
FLASH = ["flash", "--virtual", "1", "--board", "heltec_v3"]
ENROLL = ["enroll", "--virtual", "2", "--kind", "street_light"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a short name: a board's control socket lies in it, and its path has room for 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="ended-") as made:
        yield Path(made)


def left_in(folder: Path) -> list[str]:
    """Processes that were told of the folder, and what lies in it."""
    lines = [each.info["cmdline"] or [] for each in psutil.process_iter(["cmdline"])]
    return [" ".join(line) for line in lines if any(str(folder) in part for part in line)] + [
        each.name for each in folder.iterdir()
    ]


def asked_to_end(folder: Path, arguments: list[str], when: str, how: signal.Signals, twice: bool = False) -> int:
    """Start a command whose files are in *folder*, ask it to end once it says *when*; return its exit code."""
    command = [sys.executable, "-m", "provisioning.cli", *arguments]
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env=environment,
        preexec_fn=lambda: signal.signal(how, signal.SIG_DFL),  # whoever runs the tests may ignore it (nohup)
    ) as process:
        guard = threading.Timer(LIMIT_S, process.kill)
        guard.start()
        try:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if when in line:
                    break
            assert list(folder.iterdir()), said
            process.send_signal(how)
            if twice:
                process.send_signal(how)
            process.stdout.read()
            return process.wait(LIMIT_S)
        finally:
            guard.cancel()
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "when", "how"),
    [
        (ENROLL, ": prove", signal.SIGTERM),
        (ENROLL, ": install", signal.SIGHUP),
        (FLASH, "found ESP32", signal.SIGTERM),
        (["rehearse"], "2  It is enrolled", signal.SIGTERM),
        (["rehearse"], "verified: ", signal.SIGTERM),
    ],
)
def test_a_rehearsal_that_is_asked_to_end_leaves_nothing_behind(
    tmp_path: Path, folder: Path, arguments: list[str], when: str, how: signal.Signals
) -> None:
    if arguments is FLASH:
        pytest.importorskip("esptool", reason="esptool is not installed: make esptool")
    create_city(tmp_path / "city", "Teststad")
    assert asked_to_end(folder, ["-C", str(tmp_path / "city"), *arguments], when, how) == -how
    assert left_in(folder) == []


def test_who_asks_twice_does_not_cut_the_tidying_up_short(folder: Path) -> None:
    code = asked_to_end(folder, ["rehearse"], "2  It is enrolled", signal.SIGTERM, twice=True)
    assert code == -signal.SIGTERM
    assert left_in(folder) == []


def test_a_rehearsal_that_ignores_a_closed_terminal_goes_on(folder: Path) -> None:
    """As under nohup."""
    script = "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); from provisioning.cli import main; "
    script += "sys.exit(main(['ports', '--virtual', '1']))"
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        try:
            while not list(folder.iterdir()):
                assert process.poll() is None
            process.send_signal(signal.SIGHUP)
            assert process.wait(LIMIT_S) == 0
        finally:
            process.kill()
    assert left_in(folder) == []
