# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A gateway that hears boards, as the bench asks it: proof of a join, live frames; and batches from a file."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from provisioning.bench import gateway_status, joined, monitoring, plans
from provisioning.bench.enrolment import Wanted
from provisioning.bench.errors import NoGateway, ProofFailed, WrongPlan
from provisioning.bench.monitoring import Board, Frame, GatewaySource
from provisioning.cli import main
from provisioning.errors import ProvisioningError

LAMP = bytes.fromhex("0200000000000007")


def device(frames: int, at: float, **more: Any) -> dict[str, Any]:
    return {"dev_eui": LAMP.hex(), "frames": frames, "heard_at": at, "link": "lora", "name": "lamp 7", **more}


RADIO = {"sf": 9, "rssi_dbm": -91.0, "snr_db": 4.5, "freq_hz": 868_100_000}


@contextmanager
def gateway(folder: Path, answers: list[list[dict[str, Any]]]) -> Iterator[Path]:
    """A stand-in for the daemon's end of its socket: one answer after the other, the last for ever."""
    state = folder / "state"
    state.mkdir()
    (folder / "gateway.toml").write_text('[gateway]\nstate_dir = "state"\n')
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(state / gateway_status.SOCKET_FILE))
    server.listen()

    def serve() -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            with line, line.makefile("rb") as asked:
                assert asked.readline() == b"status\n"
                found = answers.pop(0) if len(answers) > 1 else answers[0]
                line.sendall(json.dumps({"devices": found}).encode() + b"\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield folder / "gateway.toml"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(10)


class Clock:
    """Time passes when somebody waits."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def pause(self, seconds: float) -> None:
        self.at_s += seconds

    def now(self) -> float:
        return self.at_s


def wait(path: Path, known: gateway_status.Sighting | None = None, timeout_s: float = 20) -> joined.Heard:
    clock = Clock()
    return joined.wait(path, LAMP, known, "lora", timeout_s, pause=clock.pause, now_s=clock.now)


def test_a_board_is_proven_when_the_gateway_has_its_reading(tmp_path: Path) -> None:
    answers = [[], [device(1, 5.0, **RADIO)], [device(2, 9.0, seq=1, **RADIO)]]
    with gateway(tmp_path, answers) as path:
        heard = wait(path)
    assert (heard.seq, heard.sf, heard.rssi_dbm) == (1, 9, -91.0)
    assert heard.seconds == 2.0


def test_what_was_heard_before_is_no_proof(tmp_path: Path) -> None:
    with gateway(tmp_path, [[device(7, 5.0, seq=70, **RADIO)]]) as path:
        known = joined.before(path, LAMP)
        with pytest.raises(ProofFailed, match="heard nothing") as failed:
            wait(path, known)
    assert LAMP.hex() in str(failed.value.value)


def test_a_board_that_joined_and_never_reported_is_told_apart(tmp_path: Path) -> None:
    with gateway(tmp_path, [[device(3, 5.0, **RADIO)]]) as path, pytest.raises(ProofFailed, match="no reading"):
        wait(path)


def test_a_gateway_that_does_not_run_is_said_before_a_board_is_touched(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text('[gateway]\nstate_dir = "state"\n')
    (tmp_path / "state").mkdir()
    with pytest.raises(NoGateway, match="No gateway runs"):
        joined.before(tmp_path / "gateway.toml", LAMP)
    with pytest.raises(NoGateway, match="no gateway's configuration"):
        joined.before(tmp_path / "nothing.toml", LAMP)
    with pytest.raises(NoGateway, match="No gateway runs"):
        wait(tmp_path / "gateway.toml")


def test_each_frame_is_shown_once_and_what_was_missed_is_counted(tmp_path: Path) -> None:
    answers = [
        [device(1, 5.0, seq=1, values={"dim": 0.4, "lamp_on": True}, **RADIO)],
        [device(1, 5.0, seq=1, **RADIO)],
        [device(4, 9.0, seq=3, values={"dim": 1.0}, **RADIO)],
        [device(5, 10.0, seq=3, values={"dim": 1.0}, **RADIO)],
        [device(1, 20.0, seq=4, **RADIO)],  # the gateway was started anew
    ]
    with gateway(tmp_path, answers) as path:
        source = GatewaySource(path)
        looks = [source.look() for _ in range(5)]
    assert [[(frame.seq, frame.not_shown) for frame in frames] for frames in looks] == [
        [],
        [(3, 2)],
        [(None, 0)],
        [(4, 0)],
        [],
    ]


def test_memory_is_bounded_and_the_oldest_device_goes_first() -> None:
    board = Board(max_devices=3)
    for number in range(1000):
        board.take(Frame(f"{number % 5:016x}", number, rssi_dbm=-90.0, snr_db=1.0, sf=7))
    assert list(board.devices) == [f"{number:016x}" for number in (2, 3, 4)]
    assert all(len(each.rssi_dbm) <= monitoring.MAX_FRAMES for each in board.devices.values())
    assert board.frames == 1000


def test_a_plot_has_the_scale_that_it_says() -> None:
    assert monitoring.plot([-130, -80, -30, 0], *monitoring.RSSI_DBM, width=3) == "▅██"
    assert monitoring.plot([-200], *monitoring.RSSI_DBM, width=3) == "▁"


def test_the_monitor_prints_lines_where_there_is_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = [[], [device(1, 5.0, seq=1, values={"dim": 0.4}, **RADIO)]]
    with gateway(tmp_path, answers) as path:
        assert main(["-C", str(tmp_path), "monitor", "--gateway", str(path), "--count", "1"]) == 0
        assert "lamp 7 lora SF9 -91 dBm SNR +4.5 dB seq 1: dim=0.4" in capsys.readouterr().out
        assert main(["-C", str(tmp_path), "monitor"]) == 64


COMMON = Wanted(link="serial", board="virtual")


def plan(folder: Path, text: str) -> dict[str, Wanted]:
    path = folder / "batch.csv"
    path.write_text(text)
    return plans.read(path, COMMON)


def test_a_batch_says_what_each_board_becomes(tmp_path: Path) -> None:
    text = "port,kind,device,name,link\n/dev/ttyACM0,waste_bin,,bin 1,lora\n/dev/ttyACM1,,0200000000000007,,\n"
    first, second = plan(tmp_path, text).values()
    assert (first.kind, first.name, first.link, first.board) == ("waste_bin", "bin 1", "lora", "virtual")
    assert (second.kind, second.dev_eui, second.link) == (None, LAMP, "serial")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "does not name its columns"),
        ("port,color\n", "does not name its columns"),
        ("port\n", "1 to 1000 boards"),
        ("port,kind\na,street_light\na,street_light\n", "line 3: port a stands in line 2"),
        ("port,kind\na,lighthouse\n", "line 2: kind 'lighthouse'"),
        ("port,kind,link\na,traffic,pigeon\n", "line 2: link 'pigeon'"),
        ("port,device\na,02zz\n", "line 2"),
        ("port\na\n", "neither a kind nor a device"),
        ("port,kind\na,traffic,more\n", "more values"),
        ("port,kind\n,traffic\n", "no port"),
    ],
)
def test_a_batch_that_is_wrong_is_refused_whole(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(WrongPlan) as refused:
        plan(tmp_path, text)
    assert what in str(refused.value)
    assert isinstance(refused.value, ProvisioningError)
