# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What is plugged in, and the pains of serial ports: each cause is named, none is called "could not enter raw REPL"."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import serial

from provisioning.bench import doctor, line, ports
from provisioning.bench.errors import AmbiguousPort, NoPrompt, NoSuchPort, PortBusy
from provisioning.bench.line import Line
from provisioning.bench.ports import ESP_SYNC, Port
from provisioning.bench.repl import RawRepl
from provisioning.bench.session import Session
from provisioning.cli import main
from tests.bench_rig import one_board
from tests.quirky_port import QuirkyPort

pytestmark = pytest.mark.apart


def once(text: bytes) -> Callable[[bytes], bytes]:
    """A board that says this when it is opened, and then nothing."""
    left = [text]

    def answer(_data: bytes) -> bytes:
        said, left[0] = left[0], b""
        return said

    return answer


def repeated(text: bytes) -> Callable[[bytes], bytes]:
    """A board that says this to each key press."""
    return lambda data: text if data else b""


def test_a_blank_board_is_seen_and_matched_to_board_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with one_board(tmp_path) as board:
        assert main(["ports", board.port, "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)
        assert (found["port"], found["answers"], found["mpy_version"]) == (board.port, "micropython", 6)
        assert "virtual" in found["boards"]
        assert found["node_slot"] is None
        (unasked,) = ports.listed([board.port])
        assert unasked.answers == "not asked"


def test_nothing_is_guessed_between_two() -> None:
    two = [Port("/dev/ttyUSB0", serial_number="A1"), Port("/dev/ttyUSB1", serial_number="B2")]
    with pytest.raises(AmbiguousPort, match="More than one board"):
        ports.choose(two, None)
    assert ports.choose(two, "B2").path == "/dev/ttyUSB1"
    assert ports.choose(two[:1], None).path == "/dev/ttyUSB0"
    with pytest.raises(NoSuchPort, match="No board is plugged in"):
        ports.choose([], None)
    with pytest.raises(AmbiguousPort, match="told apart"):
        ports.board_name(Port("/dev/ttyUSB0", boards=("heltec_v3", "lilygo_t3s3")), None)
    assert ports.board_name(Port("/dev/ttyUSB0", boards=("heltec_v3",)), None) == "heltec_v3"


def test_a_drive_and_dfu_devices_are_recognised(tmp_path: Path) -> None:
    (tmp_path / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n")
    found = ports.drive_at(tmp_path)
    assert found is not None
    assert (found.answers, found.boards) == ("drive", ("pico_w_waveshare",))
    assert ports.drive_at(tmp_path.parent) is None
    text = (
        'Found DFU: [0483:df11] ver=2200, devnum=9, cfg=1, intf=0, alt=0, name="@Internal Flash", serial="3975"\n'
        'Found DFU: [0483:df11] ver=2200, devnum=9, cfg=1, intf=0, alt=1, name="@Option Bytes", serial="3975"\n'
    )
    (device,) = ports.parse_dfu(text)
    assert (device.usb, device.serial_number, device.answers) == ("0483:df11", "3975", "dfu")


def test_the_rom_loader_of_an_esp32_answers_its_own_language(tmp_path: Path) -> None:
    """A named stand-in for the ROM: it answers SYNC as the protocol says, and nothing else."""
    synced = b"\xc0\x01\x08\x04\x00\x07\x12\x20\x55\0\0\0\0\xc0"
    with QuirkyPort(tmp_path / "p", lambda data: synced if ESP_SYNC in data else b""):
        found = ports.asked(Port(str(tmp_path / "p"), boards=("heltec_v3", "nucleo_wl55")))
    assert (found.answers, found.boards) == ("rom loader", ("heltec_v3",))


def test_a_port_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    with QuirkyPort(tmp_path / "p", once(b"hello"), late_s=0.5), Line(str(tmp_path / "p")) as opened:
        assert opened.read_until(b"hello", 10)[1]


def test_a_port_that_vanishes_when_it_is_opened_is_opened_again(tmp_path: Path) -> None:
    with QuirkyPort(tmp_path / "p", once(b"hello"), opens=2) as quirky, Line(str(tmp_path / "p")) as opened:
        assert opened.read_until(b"hello", 10)[1]
        assert quirky.vanished == 1


def test_who_has_the_port_is_said(tmp_path: Path) -> None:
    with QuirkyPort(tmp_path / "p", once(b"")), serial.Serial(str(tmp_path / "p"), exclusive=True):
        with pytest.raises(PortBusy, match="Another program"):
            Line(str(tmp_path / "p")).open(0.5)
        assert [each.name for each in doctor.examine(str(tmp_path / "p"))] == ["busy"]
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    script = "import sys; f = open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        assert any(f"({other.pid})" in each for each in line.holders(name))
        other.communicate()
    os.close(master)
    os.close(slave)


def test_a_port_that_may_not_be_opened_names_the_group() -> None:
    error = line._refusal("/dev/ttyUSB0", 13, "Permission denied")
    assert "usermod -aG dialout" in error.next_step


QUIRKS = {
    "rom_loader": repeated(b"\r\nrst:0x1 (POWERON),boot:0x0 (DOWNLOAD(USB/UART0))\r\nwaiting for download\r\n"),
    "no_firmware": repeated(b"invalid header: 0xffffffff\r\n" * 3),
    "boot_loop": repeated(b"ESP-ROM:esp32s3\r\nrst:0x3 (RTC_SW_SYS_RST)\r\nTraceback\r\n"),
    "brown_out": repeated(b"Brownout detector was triggered\r\n"),
    "swallowed_break": repeated(
        b"working\r\nTraceback (most recent call last):\r\nKeyboardInterrupt: \r\ngoing on\r\n"
    ),
    "silent": repeated(b""),
    "no_prompt": repeated(b"a banner of its own> \r\n"),
}


@pytest.mark.parametrize("name", sorted(QUIRKS))
def test_the_doctor_names_why_there_is_no_prompt(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.bench.repl._PATIENCE_S", (0.2, 0.2, 0.2))
    with QuirkyPort(tmp_path / "p", QUIRKS[name]):
        found = doctor.examine(str(tmp_path / "p"), listen_s=0.2)
    assert [each.name for each in found if each.level == "fault"] == [name]
    assert all(each.next_step for each in found if each.level == "fault")


def test_noise_is_told_from_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.bench.repl._PATIENCE_S", (3.0,))  # the noise comes from this process too
    quirky = QuirkyPort(tmp_path / "p", repeated(bytes(range(128, 255))))
    with quirky, Line(str(tmp_path / "p")) as opened, pytest.raises(NoPrompt, match="another speed"):
        RawRepl(opened).enter()


@pytest.mark.parametrize(
    "main_py",
    [
        "import time\ntry:\n    time.sleep(60)\nexcept:\n    time.sleep_ms(300)\n",
        "print('a banner of its own>>> raw REPL')\n",
        "import sys\nfor n in range(200):\n    sys.stdout.buffer.write(bytes([n]) * 40)\n",
        "raise ValueError('boom')\n",
    ],
    ids=["slow to stop", "odd banner", "garbage", "exception"],
)
def test_the_prompt_is_reached_through_it_all(main_py: str, tmp_path: Path) -> None:
    with one_board(tmp_path, main_py) as board:
        assert Session(board.port).do(lambda _at, repl: repl.run("print(6*7)")).strip() == b"42"


def test_the_console_prints_what_a_board_says_and_frames_as_dots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main_py = "import sys\nprint('good morning')\nsys.stdout.buffer.write(b'\\x00\\x1b[2J\\x00')\nprint()\n"
    with one_board(tmp_path, main_py) as board:
        assert main(["console", board.port, "--reset", "--for", "6"]) == 0
    said = capsys.readouterr().out
    assert "good morning\n" in said
    assert "..[2J." in said
    assert "\x1b" not in said


def test_the_console_is_a_terminal_where_there_is_one(tmp_path: Path) -> None:
    with one_board(tmp_path) as board:
        command = [sys.executable, "-m", "provisioning.cli", "console", board.port]
        master, slave = pty.openpty()
        with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as talk:
            os.close(slave)
            try:
                _until(master, b"Miniterm on")
                os.write(master, b"\r\nprint(6*7)\r\n")
                _until(master, b"\n42")
                os.write(master, b"\x1d")
                assert talk.wait(60) == 0
            finally:
                talk.kill()
        os.close(master)


def _until(descriptor: int, words: bytes) -> None:
    seen = b""
    deadline = time.monotonic() + 90
    while words not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([descriptor], [], [], 0.5)[0]:
            seen += os.read(descriptor, 4096)


def test_the_doctor_looks_into_a_board_that_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with one_board(tmp_path, "import nothing_like_this\n", files={"/select.py": b""}) as board:
        assert main(["doctor", board.port, "--listen-s", "1"]) == 1
    said = capsys.readouterr().out
    assert "no_node" in said
    assert "shadowed" in said
    assert "exception" in said
