# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta monitor` from outside: a process on a terminal of a technician, or in a pipe, on a broker or a gateway."""

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
import typer

from provisioning.bench.monitoring import Board, Frame
from provisioning.cli.app import app
from provisioning.cli.monitor_view import layout, picture
from tests.conftest import Mosquitto
from tests.mqtt_rig import Listener
from tests.signing_gateway import DEVICE, City
from tests.terminal import shown
from tests.test_bench_gateway import RADIO, device, gateway

ROOT = Path(__file__).resolve().parent.parent
MONITOR = [sys.executable, "-m", "provisioning.cli", "monitor"]
LINES, COLUMNS = 40, 160
OTHER = "0200000000000007"
PATIENCE_S = 120.0
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

pytestmark = pytest.mark.timeout(600)


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    return {**kept, "TERM": "xterm", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}


def on_a_terminal(folder: Path, *words: str, columns: int = COLUMNS) -> str:
    """What stands on a terminal in the end, the pictures before it above; the command must succeed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
    errors = folder / "errors"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [*MONITOR, *words], cwd=folder, env=environment(), stdin=theirs, stdout=theirs, stderr=stderr
        )
    os.close(theirs)
    shown = bytearray()
    try:
        with contextlib.suppress(OSError):  # EIO: the other end closed
            while piece := os.read(ours, 65536):
                shown += piece
        code = process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        os.close(ours)
    assert code == 0, shown.decode() + errors.read_text()
    return _CONTROL.sub("", shown.decode())


def published(mosquitto: Mosquitto, folder: Path, readings: list[tuple[str, int]], count: int) -> list[str]:
    """Readings in a signed envelope that a broker retains; the options with which *count* of them are monitored."""
    city = City()
    signing = city.gateway()
    (folder / "city.pem").write_bytes(city.pem)
    listener = Listener(mosquitto.port)
    for name, payload in (("certificate", signing.pem), ("records", signing.sign(readings))):
        listener.publish(f"lykta/v1/{signing.eui.hex()}/{name}", payload, retain=True)
    listener.stop()
    ends = ["--count", str(count), "--for", str(PATIENCE_S)]
    return ["--broker", f"127.0.0.1:{mosquitto.port}", "--ca", "city.pem", *ends]


def as_json(folder: Path, *words: str) -> list[dict[str, Any]]:
    """What is printed into a pipe."""
    done = subprocess.run(
        [*MONITOR, *words, "--json"], cwd=folder, env=environment(), capture_output=True, timeout=2 * PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def frame(number: int, **values: Any) -> Frame:
    measured = {"lamp_on": True, "power_w": 41.5, "energy_wh": 1200, "temperature_c": -12.5, "illuminance_lx": 12000}
    return Frame(f"70b3d57ed00000{number:02x}", 1_800_000_000.0, "air", values=measured, **values)


def test_verified_readings_in_a_live_table(tmp_path: Path, mosquitto: Mosquitto) -> None:
    said = on_a_terminal(tmp_path, *published(mosquitto, tmp_path, [(DEVICE, seq) for seq in (1, 2, 3)], 3))
    last = said[said.rindex("3 frames of 1 device") :]
    (row,) = [line for line in last.splitlines() if DEVICE in line]
    assert re.search(rf"{DEVICE}\W+3\W.*\b3 lamp_on.*power=41\.5", row), row
    assert "0 frames of 0 devices" in said, "the picture stood there before anything came"


def test_verified_readings_as_json_of_the_devices_that_were_asked_for(tmp_path: Path, mosquitto: Mosquitto) -> None:
    readings = [(OTHER, 1), (DEVICE, 7), (OTHER, 2), (DEVICE, 8)]
    words = published(mosquitto, tmp_path, readings, 2)
    frames = as_json(tmp_path, DEVICE, *words)
    assert [(each["dev_eui"], each["seq"], each["link"]) for each in frames] == [
        (DEVICE, seq, "verified") for seq in (7, 8)
    ]
    assert frames[0]["values"] == {"lamp_on": True, "power": 41.5}


def test_signal_and_data_rate_are_plotted(tmp_path: Path) -> None:
    answers = [
        [],
        [device(1, 5.0, seq=1, values={"dim": 0.4}, **RADIO)],
        [device(2, 9.0, seq=2, values={"dim": 1.0}, **{**RADIO, "rssi_dbm": -120.0, "snr_db": -9.5, "sf": 12})],
    ]
    with gateway(tmp_path, answers) as path:
        said = on_a_terminal(tmp_path, "--gateway", str(path), "--count", "2")
    last = said[said.rindex("2 frames of 1 device") :]
    (row,) = [line for line in last.splitlines() if "lamp 7" in line]
    assert re.search(r"lamp 7\W+2\W.*[▁-█]{2} -120\b.*[▁-█]{2}  -9\.5\b.*[▁-█]{2} 12\b.*2 dim=1", row), row


@pytest.mark.parametrize("columns", [72, 80, 100, 120, 200])
def test_nothing_but_the_reading_is_cut_however_narrow_the_terminal_is(columns: int) -> None:
    board = Board()
    for number in range(70):
        for lamp in range(30):
            board.take(frame(lamp, seq=number, rssi_dbm=-100.0 - lamp, snr_db=-19.5, sf=12))
    lines = picture(board, columns, LINES).plain.splitlines()
    made = layout(board, columns)
    assert len(lines) < LINES
    assert max(map(len, lines)) <= columns
    assert [word for word in lines[1].split() if word != "dBm" and word != "dB"] == [
        "device", "frames", "last", "RSSI", "SNR", "SF", *(["reading"] if made.reading else [])
    ]  # fmt: skip
    row = next(line for line in lines if line.startswith("70b3d57ed0000011"))
    assert re.search(r"^70b3d57ed0000011 +70  \d\d:\d\d:\d\d +[▁-█]+ -117 +▁+ -19\.5 +█+ 12\b", row), row
    reading = row if made.reading else lines[lines.index(row) + 1]
    assert "69 lamp_on=on" in reading


def test_devices_without_a_radio_have_no_plots_and_their_reading_stands_beside_them() -> None:
    board = Board()
    board.take(frame(1, seq=7))
    assert picture(board, 80, LINES).plain.splitlines()[0] == "1 frame of 1 device"
    titles, row = picture(board, 80, LINES).plain.splitlines()[1:]
    assert titles.split() == ["device", "frames", "last", "reading"]
    assert "7 lamp_on=on power_w=41.5" in row


def test_what_is_said_about_the_work_stands_above_the_picture(tmp_path: Path, mosquitto: Mosquitto) -> None:
    words = published(mosquitto, tmp_path, [(DEVICE, 1)], 1)
    said = shown(["-m", "provisioning.cli", "monitor", *words], tmp_path, 80)
    assert "\rconnected to 127.0.0.1" in said, "not at the end of a line that is drawn anew"


BROKER_OPTIONS = {
    "--broker", "--prefix", "--broker-ca", "--broker-cert", "--broker-key", "--username", "--password-ref"
}  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [("verify",), ("receive",), ("monitor",), ("command",), ("settings", "set"), ("settings", "get"),
     ("settings", "reset")],
)  # fmt: skip
def test_a_broker_is_reached_by_the_same_options_everywhere(words: tuple[str, ...]) -> None:
    def options(path: tuple[str, ...]) -> dict[str, str | None]:
        found = typer.main.get_command(app)
        for word in path:
            found = found.commands[word]  # type: ignore[attr-defined]
        return {each.opts[0]: getattr(each, "help", None) for each in found.params if each.opts[0] in BROKER_OPTIONS}

    assert set(options(words)) == BROKER_OPTIONS
    assert options(words) == options(("verify",))
