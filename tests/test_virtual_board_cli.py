# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""python -m boards.virtual, from outside: make, ls, read, run, control, and its refusals."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def virtual(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "boards.virtual", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def image(tmp_path: Path) -> Path:
    tree, data = tmp_path / "tree", tmp_path / "data"
    (tree / "lib").mkdir(parents=True)
    data.mkdir()
    (tree / "main.py").write_text("print('hello')\n")
    (tree / "lib" / "part.py").write_text("x = 1\n")
    (data / "identity.a").write_bytes(b"\x00\x01\x02")
    made = virtual("make", tmp_path / "flash.img", "--firmware", tree, "--data", data)
    assert (made.returncode, made.stderr) == (0, "")
    assert "3 files" in made.stdout
    return tmp_path / "flash.img"


@contextmanager
def running(image: Path, *options: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "boards.virtual", "run", str(image), *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("board ready: ")
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.communicate(timeout=10)


def ask(path: Path, line: str) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(line.encode() + b"\n")
        answer: dict[str, Any] = json.loads(client.makefile().readline())
        return answer


def test_an_image_can_be_made_and_looked_into(image: Path) -> None:
    listed = virtual("ls", image)
    assert [line.split() for line in listed.stdout.splitlines()] == [
        ["3", "/data/identity.a"],
        ["6", "/lib/part.py"],
        ["15", "/main.py"],
    ]
    assert virtual("read", image, "/main.py").stdout == "print('hello')\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["ls", "nothing.img"], 1, "cannot open the flash image"),
        (["read", "IMAGE", "/nothing"], 1, "no file /nothing"),
        (["make", "FOLDER/x.img", "--firmware", "FOLDER/none"], 1, "is no folder"),
        (["run", "IMAGE", "--port", "FOLDER/p", "--scenario", "mars"], 1, "no scenario 'mars'"),
        (["run", "IMAGE", "--port", "FOLDER/p", "--board", "toaster"], 1, "no board 'toaster'"),
        (["run", "IMAGE", "--port", "FOLDER/none/p"], 1, "cannot make the serial port"),
        (["run", "IMAGE", "--port", "FOLDER/p", "--heap", "lots"], 2, "is no size"),
        (["run", "IMAGE"], 2, "--port"),
        (["control", "FOLDER/none", "state"], 1, "no board listens"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(image: Path, arguments: list[str], code: int, words: str) -> None:
    places = {"IMAGE": str(image), "FOLDER": str(image.parent)}
    filled = [places.get(a, a.replace("FOLDER", places["FOLDER"])) for a in arguments]
    refused = virtual(*filled)
    assert refused.returncode == code
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_board_is_driven_through_its_control_socket(image: Path, tmp_path: Path) -> None:
    port, control = tmp_path / "port", tmp_path / "control"
    with running(image, "--port", port, "--control", control, "--seed", 5, "--scenario", "still", "--heap", "200k"):
        assert control.stat().st_mode & 0o777 == 0o600
        assert port.is_symlink()
        assert ask(control, '{"cmd": "state"}')["state"]["powered"] is True
        held = ask(control, '{"cmd": "stimulus", "name": "temperature_c", "value": -3}')
        assert held["state"]["values"]["temperature_c"] == -3
        assert ask(control, '{"cmd": "power_cut"}')["state"]["powered"] is False
        assert "no power" in ask(control, '{"cmd": "reset"}')["error"]
        assert ask(control, '{"cmd": "power_on"}')["state"]["boots"] == 2
        assert ask(control, '{"cmd": "reset"}')["state"]["reset_cause"] == "HARD_RESET"
        assert ask(control, '{"cmd": "unplug"}')["ok"] is True
        assert not port.is_symlink()
        assert ask(control, '{"cmd": "replug"}')["ok"] is True
        assert port.is_symlink()
        assert ask(control, '{"cmd": "noise", "hex": "00ff"}')["ok"] is True
        for wrong in ("rubbish", '{"cmd": "fly"}', "{}", "[]", '{"cmd": "noise", "hex": "x"}', '{"cmd": "stimulus"}'):
            answer = ask(control, wrong)
            assert answer["ok"] is False
            assert answer["error"]
        by_hand = virtual("control", control, "stimulus", "name=illuminance_lx", "value=5")
        assert json.loads(by_hand.stdout)["state"]["values"]["illuminance_lx"] == 5
        assert virtual("control", control, "stimulus", "name=wind", "value=5").returncode == 1
        assert virtual("ls", image).returncode == 1, "a running board holds its flash"
    assert not port.is_symlink()
    assert not control.exists()
    assert virtual("ls", image).returncode == 0


def test_sigterm_is_the_power_going_off_even_for_a_board_that_spins(image: Path, tmp_path: Path) -> None:
    tree = tmp_path / "spin"
    tree.mkdir()
    (tree / "main.py").write_text("while True:\n    pass\n")
    assert virtual("make", image, "--firmware", tree).returncode == 0
    with running(image, "--port", tmp_path / "port") as process:
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert not os.path.lexists(tmp_path / "port")
    assert not Path(f"/proc/{child}").exists()


def test_the_air_is_one_of_its_programs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "boards.virtual", "air", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert "--forwarder" in done.stdout
