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

from provisioning.cli.app import app
from tests.conftest import Mosquitto
from tests.mqtt_rig import Listener
from tests.signing_gateway import DEVICE, City
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


def on_a_terminal(folder: Path, *words: str) -> str:
    """What stands on a terminal of 160 columns in the end, the pictures before it above; the command must succeed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
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


def test_verified_readings_in_a_live_table(tmp_path: Path, mosquitto: Mosquitto) -> None:
    shown = on_a_terminal(tmp_path, *published(mosquitto, tmp_path, [(DEVICE, seq) for seq in (1, 2, 3)], 3))
    last = shown[shown.rindex("3 frames of 1 devices") :]
    (row,) = [line for line in last.splitlines() if DEVICE in line]
    assert re.search(rf"{DEVICE}\W+3\W.*\b3 lamp_on.*power=41\.5", row), row
    assert "0 frames of 0 devices" in shown, "the table stood there before anything came"


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
        shown = on_a_terminal(tmp_path, "--gateway", str(path), "--count", "2")
    last = shown[shown.rindex("2 frames of 1 devices") :]
    (row,) = [line for line in last.splitlines() if "lamp 7" in line]
    assert re.search(r"lamp 7\W+2\W.*[▁-█]{2} -120\b.*[▁-█]{2} -9\.5\b.*[▁-█]{2} 12\b.*2 dim=1", row), row


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
