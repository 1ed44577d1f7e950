# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The air's socket, from outside: the real program and scripted radios. Asserted are the times that messages carry."""

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.air_rig import WAIT_S, AirProcess, Radio, air, now_us

SYMBOL_US = 1024
DATA = bytes(range(12))
# Long enough for every message of a test to arrive in time on a busy machine.
PATIENT = ("--slack-ms", "400")


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirProcess]:
    """One air for many tests: whoever leaves it leaves nothing behind."""
    with air(tmp_path_factory.mktemp("air") / "air", *PATIENT) as process:
        yield process


@contextlib.contextmanager
def pair(process: AirProcess) -> Iterator[tuple[Radio, Radio]]:
    sender, listener = Radio(process.path, "sender", 100), Radio(process.path, "listener")
    try:
        yield sender, listener
    finally:
        sender.close()
        listener.close()


def test_two_radios_hear_each_other(patient: AirProcess) -> None:
    with pair(patient) as (sender, listener):
        assert abs(sender.welcome["now_us"] - now_us()) < WAIT_S * 1_000_000
        assert sender.welcome["slack_us"] == 400_000
        start_us = now_us()
        listener.listen(start_us)
        sent = sender.send(start_us + 1_000, DATA)
        assert sent["at_us"] == start_us + 1_000
        assert sent["until_us"] == sent["at_us"] + 41_216  # 12 bytes at SF7
        assert listener.expect("preamble")["at_us"] == sent["at_us"] + 5 * SYMBOL_US
        assert listener.expect("header")["at_us"] == sent["at_us"] + int(20.25 * SYMBOL_US)
        heard = listener.expect("rx")
        assert (heard["at_us"], heard["data"], heard["crc_ok"]) == (sent["until_us"], DATA.hex(), True)
        # 14 dBm over 100 m of city: 105.8 dB of loss, give or take the shadowing of this place
        assert -130 < heard["rssi_dbm"] < -55
        line = patient.frame(sent["frame"])
        assert line["fates"]["listener"]["fate"] == "received"
        assert (line["from"], line["data"], line["sf"], line["cut"]) == ("sender", DATA.hex(), 7, False)
        assert line["duty"]["band"] == "868.0-868.6"
        assert line["duty"]["violation"] is False


def test_messages_may_come_in_any_order_within_the_slack(patient: AirProcess) -> None:
    with pair(patient) as (sender, listener):
        start_us = now_us()
        sent = sender.send(start_us + 1_000, DATA)
        listener.listen(start_us)  # told after the frame that it was there for
        assert [listener.next()["op"] for _ in range(3)] == ["preamble", "header", "rx"]
        assert patient.frame(sent["frame"])["late_us"] == 0


def test_who_opens_too_late_or_idles_hears_nothing(patient: AirProcess) -> None:
    with pair(patient) as (sender, listener):
        start_us = now_us()
        listener.listen(start_us + 4 * SYMBOL_US)
        late = sender.send(start_us, DATA)
        assert patient.frame(late["frame"])["fates"]["listener"]["fate"] == "receiver opened too late"
        listener.say(op="idle", from_us=now_us())
        unheard = sender.send(now_us() + 1_000, DATA)
        assert patient.frame(unheard["frame"])["fates"] == {}
        listener.listen(now_us())
        heard = sender.send(now_us() + 1_000, DATA)
        assert listener.expect("preamble")["frame"] == heard["frame"]


def test_levels_repeat_with_the_seed(tmp_path: Path) -> None:
    levels = []
    for run, seed in enumerate(("5", "5", "6")):
        with air(tmp_path / f"air{run}", *PATIENT, "--seed", seed) as process, pair(process) as (sender, listener):
            start_us = now_us()
            listener.listen(start_us)
            heard = []
            for n in range(3):
                sender.send(start_us + 1_000 + n * 50_000, DATA)
                heard.append([listener.next() for _ in range(3)][2])
            levels.append([(event["rssi_dbm"], event["snr_db"]) for event in heard])
    assert levels[0] == levels[1]
    assert levels[0] != levels[2]


def test_a_sender_that_disappears_breaks_off(patient: AirProcess) -> None:
    with pair(patient) as (sender, listener):
        start_us = now_us() - 300_000  # its header is over
        listener.listen(start_us, sf=10)
        listener.say(op="report")
        listener.expect("report")  # so the air knows of the listener
        sent = sender.send(start_us, bytes(255), sf=10)
        assert sent["until_us"] > start_us + 2_000_000  # time enough for a busy computer to see the sender go
        sender.close()
        events = [listener.next()]
        while events[-1]["op"] != "rx":
            events.append(listener.next())
        line = patient.frame(sent["frame"])
        again = Radio(patient.path, "sender", 100)  # its id is free again
        again.close()
    assert line["cut"] is True, (sent, events, line)
    assert events[-1]["crc_ok"] is False, (sent, events, line)
    assert line["fates"]["listener"]["fate"] == "sender stopped before the end"


def test_duty_violations_are_reported(tmp_path: Path) -> None:
    with air(tmp_path / "air", *PATIENT) as process, pair(process) as (sender, _):
        start_us = now_us() - 60_000_000  # an air that hears of things late still books them
        lines = []
        for n in range(13):
            sent = sender.send(start_us + n * 2_800_000, bytes(64), sf=12)
            lines.append(process.frame(sent["frame"]))
        assert [line["duty"]["violation"] for line in lines] == [False] * 12 + [True]
        assert all(line["late_us"] > 0 for line in lines[1:])  # before the first one nothing was decided
        sender.say(op="report")
        report = sender.expect("report")
        assert (report["frames"], report["duty_violations"]) == (13, 1)
        assert report["duty"] == [
            {
                "radio": "sender",
                "band": "868.0-868.6",
                "used_us": 13 * 2_793_472,
                "limit_us": 36_000_000,
                "violation": True,
            }
        ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"not json\n", "message"),
        (b"[]\n", "message"),
        (b'{"op":"sing"}\n', "sing"),
        (b'{"op":"idle","from_us":1}\n', "before hello"),
        (b'{"op":"hello","id":""}\n', "id"),
        (b'{"op":"hello","id":"x","x_m":"near"}\n', "x_m"),
        (b'{"op":"hello","id":"listener"}\n', "listener"),
    ],
)
def test_mistakes_are_answered(patient: AirProcess, line: bytes, says: str) -> None:
    with pair(patient):
        stranger = Radio(patient.path)
        stranger.socket.sendall(line)
        assert says in stranger.expect("error")["error"]
        stranger.say(op="hello", id="stranger")  # and the connection lives
        stranger.expect("welcome")
        stranger.close()


@pytest.mark.parametrize(
    "change",
    [
        {"sf": 6},
        {"sf": "7"},
        {"bw_hz": 1},
        {"data": "0"},
        {"data": "00" * 256},
        {"at_us": -1},
        {"freq_hz": 868},
        {"cr": 4},
    ],
)
def test_impossible_frames_are_refused(patient: AirProcess, change: dict[str, object]) -> None:
    with pair(patient) as (sender, _):
        fields = {"op": "tx", "at_us": now_us(), "freq_hz": 868_100_000, "sf": 7, "bw_hz": 125_000, "data": ""}
        sender.say(**fields | change)
        sender.expect("error")
        sender.say(**fields)
        sender.expect("txed")


def test_a_line_without_end_costs_the_connection_only(patient: AirProcess) -> None:
    with pair(patient) as (sender, listener):
        stranger = Radio(patient.path)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stranger.socket.sendall(b"x" * 100_000)
        with contextlib.suppress(ConnectionResetError):
            assert "longer" in stranger.expect("error")["error"]
            with pytest.raises(ConnectionError):
                stranger.next()
        stranger.close()
        start_us = now_us()
        listener.listen(start_us)
        sender.send(start_us + 1_000, DATA)
        listener.expect("preamble")


def test_a_taken_socket_is_refused_and_a_dead_one_replaced(tmp_path: Path, patient: AirProcess) -> None:
    command = [sys.executable, "-m", "boards.virtual.air", "--socket"]
    second = subprocess.run([*command, str(patient.path)], capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert second.returncode == 1
    assert "another air" in second.stderr
    file = tmp_path / "file"
    file.write_text("mine")
    third = subprocess.run([*command, str(file)], capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert third.returncode == 1
    assert file.read_text() == "mine"
    dead = tmp_path / "dead"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(dead))
    with air(dead) as process:
        Radio(dead, "a").close()
        assert process.stop() == (0, "")
    assert not dead.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--forwarder", "nowhere"],
        ["--forwarder", "127.0.0.1:0"],
        ["--gateway-eui", "aabbccddeeff0011"],
        ["--forwarder", "127.0.0.1:1700", "--gateway-eui", "aabb"],
        ["--forwarder", "127.0.0.1:1700", "--gateway-position", "north"],
        ["--forwarder", "127.0.0.1:1", "--forwarder", "127.0.0.1:1", *["--gateway-eui", "aabbccddeeff0011"] * 2],
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "boards.virtual.air", "--socket", str(tmp_path / "air"), *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert run.returncode == 2
    assert "error:" in run.stderr
    assert not (tmp_path / "air").exists()


def test_ready_line_names_socket_and_gateways(tmp_path: Path) -> None:
    with air(tmp_path / "air", "--forwarder", "127.0.0.1:9", "--forwarder", "127.0.0.1:9") as process:
        assert process.ready == {
            "event": "ready",
            "socket": str(tmp_path / "air"),
            "gateways": ["0200000000000001", "0200000000000002"],
        }
        assert json.dumps(process.ready)
