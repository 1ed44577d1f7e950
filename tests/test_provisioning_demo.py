# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The demo from outside, as whole processes, and the arithmetic of its summary."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from io import StringIO
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from consumer.verify import Verifier
from firmware.node.files import Files
from firmware.node.queue import ReadingQueue
from firmware.wire.airtime import time_on_air_us
from provisioning.demo.flash import FlashQueue, sequence_numbers
from provisioning.demo.plan import make_plan
from provisioning.demo.processes import Child
from provisioning.demo.radio import Heard, RadioLog, position
from provisioning.demo.summary import summarise
from provisioning.demo.view import open_view
from provisioning.errors import DemoError
from provisioning.verification import Judgement
from tests.signing_gateway import City

pytestmark = [pytest.mark.apart, pytest.mark.timeout(600)]

LIMIT_S = 150


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "provisioning.cli", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def counts(output: str) -> dict[str, int]:
    return {name: int(number) for name, number in re.findall(r"^([a-z0-9 ]+?) {2,}(\d+)$", output, re.MULTILINE)}


def commands_of(pid: int) -> dict[int, list[str]]:
    """Return what the processes that *pid* started are, by their ids; one that has just ended has no command."""
    found = {}
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # a zombie too
            found[process.pid] = process.cmdline()
    return found


def processes_of(folder: Path) -> list[list[str]]:
    found = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [command for command in found if any(str(folder) in part for part in command) and "demo" not in command]


def read_until(process: subprocess.Popen[str], text: str, limit_s: float = LIMIT_S) -> str:
    assert process.stdout is not None
    output = ""
    guard = threading.Timer(limit_s, process.kill)
    guard.start()
    try:
        for line in process.stdout:
            output += line
            if text in line:
                return output
    finally:
        guard.cancel()
    raise AssertionError(f"the demo ended without saying {text!r}:\n{output}")


def end(process: subprocess.Popen[str]) -> None:
    process.terminate()  # as a person would: it ends its children
    try:
        process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
        process.wait(LIMIT_S)


def test_two_demos_at_once_one_timed_one_ended_by_ctrl_c(tmp_path: Path) -> None:
    timed, stopped = (
        start("--link", "serial", "--for", "10", "--dir", str(tmp_path / "a")),
        start("--link", "serial", "--dir", str(tmp_path / "b")),
    )
    try:
        second = read_until(stopped, " seq 3 ")
        stopped.send_signal(signal.SIGINT)
        second += stopped.communicate(timeout=LIMIT_S)[0]
        first = timed.communicate(timeout=LIMIT_S)[0]
    finally:
        for process in (timed, stopped):
            end(process)
    for output, process in ((first, timed), (second, stopped)):
        assert process.returncode == 0, output
        found = counts(output)
        assert found["verified by the consumer"] >= 2
        assert found["held durably by the gateway"] == found["verified by the consumer"]
        assert found["readings made on the board"] == found["verified by the consumer"] + found["still on the board"]
        assert found["lost"] == found["duplicated"] == 0
    assert processes_of(tmp_path) == []


def test_three_street_lights_over_the_air(tmp_path: Path) -> None:
    demo = start("--devices", "3", "--dir", str(tmp_path / "x"))
    try:
        output = read_until(demo, "verified ", 150)
        demo.send_signal(signal.SIGINT)
        output += demo.communicate(timeout=LIMIT_S)[0]
    finally:
        end(demo)
    assert demo.returncode == 0, output
    assert re.search(r"verified .* lora SF\d+ -\d+ dBm SNR [+-]", output), output
    found = counts(output)
    assert found["held durably by the gateway"] == found["verified by the consumer"] >= 1
    assert found["readings made on the 3 boards"] == found["verified by the consumer"] + found["still on the 3 boards"]
    assert found["lost"] == found["duplicated"] == 0
    said = (tmp_path / "x" / "logs" / "board-1.console.log").read_text(errors="replace")
    assert "joining, attempt 1" in said
    assert re.search(r"on air: \d+ uplinks, [1-9]\d* downlinks \(\d+ in RX", output), output
    assert processes_of(tmp_path) == []


def test_three_boards_on_three_links_in_one_table(tmp_path: Path) -> None:
    demo = start("--link", "all", "--dir", str(tmp_path / "x"))
    try:
        output = ""
        for link in (r"\] serial$", r"\] lora SF\d+ ", r"\] ble$"):
            while not re.search(link, output, re.MULTILINE):
                output += read_until(demo, "verified ", 200)
        demo.send_signal(signal.SIGINT)
        output += demo.communicate(timeout=LIMIT_S)[0]
    finally:
        end(demo)
    assert demo.returncode == 0, output
    found = counts(output)
    assert found["held durably by the gateway"] == found["verified by the consumer"] >= 3
    assert found["readings made on the 3 boards"] == found["verified by the consumer"] + found["still on the 3 boards"]
    assert found["lost"] == found["duplicated"] == 0
    assert processes_of(tmp_path) == []


def test_a_part_that_dies_ends_the_demo_with_its_log(tmp_path: Path) -> None:
    demo = start("--link", "serial", "--dir", str(tmp_path / "x"))
    try:
        output = read_until(demo, "waiting for the board")
        # The eldest: what it starts has its command too, for the moment between fork and exec.
        board = min(pid for pid, command in commands_of(demo.pid).items() if "boards.virtual" in command)
        os.kill(board, signal.SIGKILL)
        output += demo.communicate(timeout=LIMIT_S)[0]
    finally:
        end(demo)
    assert demo.returncode == 1
    assert "The board ended by itself" in output
    assert f"files and logs are in {tmp_path / 'x'}" in output
    assert (tmp_path / "x" / "logs" / "board.log").exists()
    assert processes_of(tmp_path) == []


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    demo = start("--dir", str(tmp_path))
    output = demo.communicate(timeout=LIMIT_S)[0]
    assert demo.returncode == 1
    assert "not empty" in output
    assert [path.name for path in tmp_path.iterdir()] == ["something"]


def test_a_child_that_does_not_listen_is_ended_with_all_it_started(tmp_path: Path) -> None:
    script = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with Child("deaf", [sys.executable, "-c", script], tmp_path) as child:
        end_s = time.monotonic() + LIMIT_S
        while not child.tail() and time.monotonic() < end_s:
            time.sleep(0.02)
        grandchild = int(child.tail())
        child.check()
        assert not child.stop(timeout_s=0.3)
        with pytest.raises(DemoError, match="ended by itself"):
            child.check()
    end_s = time.monotonic() + LIMIT_S
    while psutil.pid_exists(grandchild) and psutil.Process(grandchild).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end_s
        time.sleep(0.02)


@given(st.lists(st.binary(max_size=40), max_size=30), st.binary(max_size=12), st.data())
def test_flash_is_read_as_the_board_writes_it(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes], torn: bytes, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("data")
    queue = ReadingQueue(Files(str(folder)), "queue", 65536)
    seqs = [queue.append(7, 1, 1_790_000_000, body) for body in bodies]
    segments = sorted((folder / "queue").iterdir())
    if segments:
        with segments[-1].open("ab") as file:
            file.write(torn.replace(b"\0", b"\1"))
    assert [seq for path in segments for seq in sequence_numbers(path.read_bytes())] == seqs
    if bodies:
        content = bytearray(segments[0].read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
        assert set(sequence_numbers(bytes(content))) <= set(seqs)


JUDGEMENT = Judgement(Verifier([City().certificate]).report(), 0, 0)


@given(st.sets(st.integers(1, 40)), st.sets(st.integers(1, 40)), st.integers(0, 40), st.integers(0, 40))
def test_every_reading_is_in_one_place(verified: set[int], flash: set[int], receipted: int, durable: int) -> None:
    summary = summarise(durable, {"a": verified}, {"a": FlashQueue(frozenset(flash), receipted)}, JUDGEMENT)
    assert summary.made == summary.verified + summary.waiting + summary.lost
    assert summary.made == max(verified | flash, default=0)
    assert summary.lost >= 0
    if summary.ok:
        assert durable == len(verified) > 0


def test_each_board_counts_for_itself() -> None:
    verified = {"a": {1, 2, 3}, "b": {1}, "c": set()}
    queues = {
        "a": FlashQueue(frozenset({3, 4}), 2),  # the receipt for 3 is still to come; 4 never left
        "b": FlashQueue(frozenset({1, 3}), 0),  # 2 is nowhere
        "c": FlashQueue(frozenset({1, 2}), 0),  # never heard
    }
    summary = summarise(4, verified, queues, JUDGEMENT, ("on air",))
    assert (summary.made, summary.verified, summary.waiting, summary.lost) == (9, 4, 4, 1)
    assert summary.lines()[0].split() == ["readings", "made", "on", "the", "3", "boards", "9"]
    assert "on air" in summary.lines()


def test_summary_names_what_is_not_right() -> None:
    lost = summarise(2, {"a": {1, 2}}, {"a": FlashQueue(frozenset({4}), 0)}, JUDGEMENT)
    assert (lost.made, lost.waiting, lost.lost, lost.ok) == (4, 1, 1, False)
    unverified = summarise(3, {"a": {1, 2}}, {"a": FlashQueue(frozenset(), 0)}, JUDGEMENT)
    assert "1 durable readings were not verified" in unverified.lines()


def test_table_on_a_terminal() -> None:
    city = City()
    gateway = city.gateway()
    verifier = Verifier([city.certificate])
    verifier.add_certificate(gateway.pem)
    output = StringIO()
    console = Console(file=output, force_terminal=True, width=160, height=40, color_system=None)
    with open_view(console) as view:
        view.note("waiting")
        for _ in range(20):
            verified = verifier.check(gateway.sign_next())
            view.reading(verified.gateway, verified.readings[0])
            view.refresh(verifier.report())
        text = output.getvalue()
        for part in ("signature", "valid", "on", "41.5 W", "20 readings verified", "0 missing", "waiting"):
            assert part in text
        assert "RSSI" not in text
        verified = verifier.check(gateway.sign_next())
        view.reading(verified.gateway, verified.readings[0], Heard(9, -117.4, -8.25))
        view.refresh(verifier.report(), "on air: 3 uplinks")
    for part in ("RSSI", "LoRa SF9", " -117 ", " -8.2 ", "on air: 3 uplinks"):
        assert part in output.getvalue()


def test_boards_of_several_kinds_share_a_table() -> None:
    city = City()
    gateway = city.gateway()
    verifier = Verifier([city.certificate])
    verifier.add_certificate(gateway.pem)
    output = StringIO()
    console = Console(file=output, force_terminal=True, width=160, height=40, color_system=None)
    with open_view(console) as view:
        for board, heard in zip(make_plan("all").members, (Heard(7, -90, 9), None, None), strict=True):
            verified = verifier.check(gateway.sign_next())
            view.reading(verified.gateway, verified.readings[0], heard, board)
        view.refresh(verifier.report())
    for part in ("street light", "waste bin", "traffic sensor", "LoRa SF7", "Bluetooth", "serial", "lamp on", "fill –"):
        assert part in output.getvalue()


@pytest.mark.parametrize(("width", "mixed"), [(60, False), (80, False), (118, False), (80, True), (118, True)])
def test_a_narrow_terminal_leaves_columns_out_and_cuts_none(width: int, mixed: bool) -> None:
    city = City()
    gateway = city.gateway()
    verifier = Verifier([city.certificate])
    verifier.add_certificate(gateway.pem)
    output = StringIO()
    console = Console(file=output, force_terminal=True, width=width, height=40, color_system=None)
    with open_view(console) as view:
        for board in make_plan("all").members:
            verified = verifier.check(gateway.sign_next())
            view.reading(verified.gateway, verified.readings[0], Heard(9, -117.4, -8.25), board if mixed else None)
        view.refresh(verifier.report())
    rows = [line for line in output.getvalue().splitlines() if "LoRa SF9" in line]
    assert len(rows) >= 3
    assert "…" not in output.getvalue()
    assert width < 118 or all("valid" in row for row in rows)
    assert ("record" in output.getvalue()) == (width == 118)


def entry(event: str, **fields: object) -> str:
    return json.dumps({"event": event, **fields}) + "\n"


def test_the_gateways_log_tells_of_the_radio(tmp_path: Path) -> None:
    path = tmp_path / "gateway.log"
    log = RadioLog(path)
    log.refresh()
    assert log.line() == "on air: 0 uplinks, 0 downlinks (none); 0 joined"
    heard = entry("heard", dev_eui="aa", sf=12, rssi_dbm=-120, snr_db=-15.5)
    path.write_text("Traceback of something\n" + entry("lora_open") + entry("joined", dev_eui="aa") + heard[:-9])
    log.refresh()
    assert log.open
    assert log.heard == {}
    later = entry("heard", dev_eui="aa", sf=10, rssi_dbm=-118, snr_db=-13)
    with path.open("a") as file:
        file.write(heard[-9:] + entry("downlink", dev_eui="aa", window="rx1") + later)
    log.refresh()
    assert log.heard == {"aa": Heard(10, -118, -13)}
    assert log.line() == "on air: 2 uplinks, 1 downlinks (1 in RX1); 1 joined, 1 at SF10"


@pytest.mark.parametrize("devices", [1, 2, 30, 200])
def test_the_plan_keeps_the_duty_cycle(devices: int) -> None:
    plan = make_plan("lora", devices)
    # A reading with its frame's overhead, at the rate that a street light ends up with, in two bands of 1 %.
    used_us = 3600 / plan.interval_s * time_on_air_us(7, 125_000, 60)
    assert used_us < 2 * 36_000_000
    assert 3600 / plan.interval_s / plan.receipt_every * devices <= 1000
    assert "1 %" in plan.lines()[0]


def test_a_serial_line_has_one_board() -> None:
    assert make_plan() == make_plan("lora", 1)
    assert make_plan("serial").boards() == "one street light"
    assert make_plan("ble", 3).boards() == "3 street lights"
    assert [member.link for member in make_plan("all").members] == ["lora", "ble", "serial"]
    for link, devices, said in (
        ("serial", 2, "--link lora --devices 2"),
        ("pigeon", 1, "lora, serial, ble, all"),
        ("all", 7, "leave --devices"),
        ("lora", 0, "1 to"),
    ):
        with pytest.raises(DemoError) as caught:
            make_plan(link, devices)
        assert said in "\n".join(caught.value.lines())


def test_boards_stand_in_the_same_places_again() -> None:
    places = [position(number) for number in range(1, 101)]
    assert places == [position(number) for number in range(1, 101)]
    assert len(set(places)) == 100
    assert all(100 <= math.hypot(*place) <= 800 for place in places)
