# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Ports that come late, under another name, or must be opened twice: the doctor names each, and goes on to the board.

Behind each port is a virtual board whose node is whole: what is said of the port must not count as a fault of it.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import serial

from provisioning.bench import line as bench_line
from provisioning.bench.errors import NoSuchPort
from provisioning.bench.rehearsal import virtual_boards
from provisioning.cli import main
from tests import node_rig
from tests.quirky_port import QuirkyPort

pytestmark = [pytest.mark.apart, pytest.mark.timeout(300)]
QUIRKS = {"late_port", "opened_twice", "other_name"}


@contextmanager
def whole_board(folder: Path) -> Iterator[Callable[[bytes], bytes]]:
    """A board with an identity that runs the node, at the other end of a quirky port."""
    place = folder / "boards"
    place.mkdir()
    data = node_rig.identity_files(node_rig.identity())
    node_rig.make(folder / "made", data).rename(place / "board1.image")
    with virtual_boards(1, folder=place) as (board,), serial.Serial(board.port, timeout=0) as far:

        def answer(said: bytes) -> bytes:
            far.write(said)
            return far.read(4096)

        yield answer


@pytest.fixture
def sought(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Somebody looked for a port, and it was not there."""
    event = threading.Event()
    original = bench_line._opened

    def opened(port: str, baud: int) -> serial.Serial:
        try:
            return original(port, baud)
        except NoSuchPort:
            event.set()
            raise

    monkeypatch.setattr(bench_line, "_opened", opened)
    return event


def doctor(port: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """Its exit code, and what it found, by name."""
    code = main(["doctor", str(port), "--json", "--listen-s", "0"])
    return code, {each["name"]: each for each in json.loads(capsys.readouterr().out)}


def remark(found: dict[str, Any], name: str) -> dict[str, Any]:
    """The only thing that is said of the opening; it is no fault, and there is something to do about it."""
    assert found.keys() & QUIRKS == {name}, found
    said: dict[str, Any] = found[name]
    assert said["level"] == "warning"
    assert said["reason"]
    assert said["next_step"]
    return said


def test_a_port_that_comes_late_is_named(
    tmp_path: Path, sought: threading.Event, capsys: pytest.CaptureFixture[str]
) -> None:
    port = tmp_path / "ttyACM0"
    with whole_board(tmp_path) as board, QuirkyPort(port, board, comes=sought):
        code, found = doctor(port, capsys)
    assert code == 0, found
    assert remark(found, "late_port")["evidence"].startswith(f"{port} came ")
    assert "device" in found, "it goes on with the board behind it"


def test_a_port_whose_first_opening_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("provisioning.bench.line._SETTLE_S", 2.0)  # it vanishes as soon as this process lets it
    port = tmp_path / "ttyACM0"
    with whole_board(tmp_path) as board, QuirkyPort(port, board, opens=2):
        code, found = doctor(port, capsys)
    assert code == 0, found
    assert "ended with 'The port went away.', opening " in remark(found, "opened_twice")["evidence"]
    assert "device" in found


def test_a_port_whose_first_opening_gives_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("provisioning.bench.repl._PATIENCE_S", (0.5, 3.0))
    port = tmp_path / "ttyACM0"
    with whole_board(tmp_path) as board, QuirkyPort(port, board, deaf_openings=1):
        code, found = doctor(port, capsys)
    assert code == 0, found
    evidence = remark(found, "opened_twice")["evidence"]
    assert evidence.startswith("no byte for ")
    assert evidence.endswith("the second gave the prompt")
    assert "device" in found


def test_a_board_that_comes_under_another_name_is_named_and_left_alone(
    tmp_path: Path, sought: threading.Event, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("provisioning.bench.doctor.OPEN_TIMEOUT_S", 2.0)
    heard: list[bytes] = []

    def answer(data: bytes) -> bytes:
        heard.append(data)
        return b""

    port, other = tmp_path / "ttyACM0", tmp_path / "ttyACM1"
    (tmp_path / "ttyACM7").touch()  # it was there before
    with QuirkyPort(other, answer, comes=sought):
        code, found = doctor(port, capsys)
    assert code == 1
    assert found["no_port"]["level"] == "fault"
    said = remark(found, "other_name")
    assert said["evidence"] == f"{other} came, {port} did not"
    assert f"lykta doctor {other}" in said["next_step"]
    assert not any(heard), "nothing is guessed"


def test_nothing_is_said_of_a_port_that_is_there_and_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with whole_board(tmp_path) as board, QuirkyPort(tmp_path / "ttyACM0", board):
        code, found = doctor(tmp_path / "ttyACM0", capsys)
    assert code == 0, found
    assert not found.keys() & QUIRKS
