# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The doctor with boards that answer: what is wrong is named by the words of the real interpreter and the node."""

from pathlib import Path
from typing import Any

import pytest
import serial

from provisioning.bench import doctor
from provisioning.bench.finding import Finding
from provisioning.bench.line import Line
from provisioning.bench.rehearsal import virtual_boards
from provisioning.bench.session import Session
from provisioning.cli import main
from tests import node_rig
from tests.bench_rig import control, one_board

pytestmark = [pytest.mark.apart, pytest.mark.timeout(300)]
PATIENT_S = 60  # the doctor stops listening as soon as it knows


def faults(found: list[Finding]) -> dict[str, Finding]:
    """By name; each has a next command."""
    named = {each.name: each for each in found if each.level != "ok"}
    assert all(each.next_step for each in named.values()), found
    return named


def test_bytecode_of_another_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with one_board(tmp_path, "import old\n", files={"/old.mpy": b"M\x05\x00\x1f" + bytes(40)}) as board:
        found = faults(doctor.examine(board.port, listen_s=2))
        assert found["wrong_bytecode"].evidence == "ValueError: incompatible .mpy file"
        assert "another version" in found["wrong_bytecode"].what
        monkeypatch.setattr(doctor, "MPY_VERSION", 7)
        assert "It loads .mpy version 6; the node is version 7." in [
            each.what for each in doctor.examine(board.port, listen_s=0)
        ]


def test_a_program_that_catches_ctrl_c_and_says_so_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.bench.repl._PATIENCE_S", (1.0, 1.0))
    main = """
import time
while True:
    try:
        time.sleep_ms(50)
    except KeyboardInterrupt:
        print('nobody stops me')
"""
    with one_board(tmp_path, main) as board:
        found = faults(doctor.examine(board.port, listen_s=0))
    assert found.keys() == {"swallowed_break"}
    assert found["swallowed_break"].evidence == "3 times Ctrl-C, each answered with: nobody stops me"
    assert "RST" in found["swallowed_break"].next_step


@pytest.mark.parametrize(
    ("main", "name"),
    [
        ("import sys, time\nprint('hello')\ntime.sleep_ms(400)\nsys.exit()\n", "boot_loop"),
        ("import machine, time\nprint('hello')\ntime.sleep_ms(400)\nmachine.reset()\n", "repeats"),
    ],
    ids=["soft reset", "reset of the chip"],
)
def test_a_board_that_begins_anew_for_ever_is_named(main: str, name: str, tmp_path: Path) -> None:
    with one_board(tmp_path, main) as board:
        found = faults(doctor.examine(board.port, listen_s=PATIENT_S))
    assert name in found, found
    assert "hello" in found[name].evidence or "reboot" in found[name].evidence


@pytest.mark.parametrize(
    ("main", "name", "evidence"),
    [
        ("print('Acme pole controller 2.1>>> raw REPL')\n", "banner", "Acme pole controller 2.1>>> raw REPL"),
        ("import sys\nsys.stdout.buffer.write(bytes(range(128, 255)) * 2)\n", "noise", "x80"),
    ],
)
def test_a_program_that_greets_in_its_own_words_is_named(main: str, name: str, evidence: str, tmp_path: Path) -> None:
    with one_board(tmp_path, main) as board:
        found = faults(doctor.examine(board.port, listen_s=3))
    assert found.keys() - {"reset_on_open"} == {"no_node", name}
    assert (found[name].level, evidence in found[name].evidence) == ("warning", True), found
    assert "lykta install" in found[name].next_step


def test_a_board_without_a_program_says_nothing_of_its_own(tmp_path: Path) -> None:
    with one_board(tmp_path, "") as board:
        assert faults(doctor.examine(board.port, listen_s=2)).keys() - {"reset_on_open"} == {"no_node"}


def test_a_chip_that_runs_for_less_time_than_the_doctor_listened_restarts_by_itself() -> None:
    class Chip:
        def enter(self, _timeout_s: float) -> None: ...
        def soft_reset_and_leave(self) -> None: ...
        def run(self, _code: str) -> bytes:
            return b"900\r\n"

    chip: Any = Chip()
    (loop,) = doctor._restarted(chip, chip, b"hello\r\n" * 3, 5.0)
    assert (loop.name, loop.level) == ("boot_loop", "fault")
    assert "0.9 s after 5.0 s" in loop.evidence
    assert doctor._restarted(chip, chip, b"hello\r\nyou\r\n", 5.0) == []


def test_a_board_that_resets_when_its_port_is_opened_is_worked_with_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DTR of an adapter that is wired to reset: the driver raises it with each opening, and the board starts anew."""
    original = Line.open
    with one_board(tmp_path, "print('a program')\n") as board:

        def open_and_reset(line: Line, timeout_s: float = 8.0) -> None:
            original(line, timeout_s)
            control(board, "reset")
            line._held += line.read_until(b">>> ", PATIENT_S)[0]

        monkeypatch.setattr(Line, "open", open_and_reset)
        found = faults(doctor.examine(board.port, listen_s=0))
        assert found["reset_on_open"].level == "warning"
        assert found["reset_on_open"].evidence.startswith("MicroPython ")
        assert Session(board.port).do(lambda _at, repl: repl.run("print(6*7)")).strip() == b"42"


def test_wiring_that_holds_the_board_in_reset_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PTY has no such lines, so the driver's end of them is played: what is sent while RTS is on gets lost."""
    monkeypatch.setattr("provisioning.bench.repl._PATIENCE_S", (0.3, 3.0))
    original = Line.write

    def write(line: Line, data: bytes) -> None:
        if not line._port().rts:
            original(line, data)

    monkeypatch.setattr(Line, "write", write)
    monkeypatch.setattr(serial.Serial, "_update_rts_state", lambda _port: None)
    monkeypatch.setattr(serial.Serial, "_update_dtr_state", lambda _port: None)
    with one_board(tmp_path, "import time\nwhile True:\n    time.sleep(1)\n") as board:
        found = faults(doctor.examine(board.port, listen_s=0))
    assert found["lines"].evidence == "DTR 0, RTS 0 works"
    assert "reset" in found["lines"].reason
    assert "no_node" in found, "it goes on with what is behind the wiring"


def test_a_radio_whose_busy_line_stays_high_is_named_by_the_node_itself(tmp_path: Path) -> None:
    (tmp_path / "boards").mkdir()
    data = node_rig.identity_files(node_rig.identity(link="lora"))
    node_rig.make(tmp_path / "made", data).rename(tmp_path / "boards" / "board1.image")
    with virtual_boards(1, folder=tmp_path / "boards", options=("--scenario", "still")) as (board,):
        control(board, "stimulus", name="radio_busy_stuck", value=1)
        found = doctor.examine(board.port, listen_s=PATIENT_S)
    busy = faults(found)["radio_busy"]
    assert "BUSY (pin" in busy.evidence
    assert "lykta boards show" in busy.next_step
    assert [each.evidence for each in found if each.name == "device"] == ["0200000000000001"]


def test_the_next_command_of_a_rehearsal_is_one_that_can_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    """The virtual board's port is gone when a person reads it."""
    assert main(["doctor", "--virtual", "1", "--listen-s", "0"]) == 1
    assert "next:  lykta install --virtual 1" in capsys.readouterr().out
