# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The lab of real boards, tried with a virtual one: its serial port, scripted hands, a forwarder; what is not run."""

import json
import re
import socket
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from firmware.wire import cobs
from hil_tests.lab import file, hands, pictures, report
from hil_tests.lab.capture import RADIO, Capture
from hil_tests.lab.results import NOT_RUN as NOT
from hil_tests.lab.results import Accuracy, Result, Results
from hil_tests.lab.run import Run
from hil_tests.rigs import Needs
from hil_tests.virtual_rig import VirtualRig
from provisioning.bench.rehearsal import VirtualBoard, virtual_boards
from provisioning.errors import ConfigError
from tests.bench_rig import control
from tests.city import ROOT

pytestmark = [pytest.mark.apart, pytest.mark.timeout(400)]

LAB = """
[lab]
name = "Workshop, table 2"

[[boards]]
name = "pole-1"
board = "virtual"
serial = "/dev/ttyACM0"
"""


def lab_file(folder: Path, text: str) -> Path:
    path = folder / "lab.toml"
    path.write_text(text)
    return path


def test_a_lab_is_read_with_all_it_can_have(tmp_path: Path) -> None:
    more = """
may_be_erased = true
without = ["meter"]
power = { on = "uhubctl -l 1-1 -p 2 -a on", off = "person", settle_s = 2.0 }
references = { temperature_c = 21.5, voltage_v = "read-meter --volts" }

[[boards]]
name = "foreign"

[boards.device]
dev_eui = "0200000000000001"
join_eui = "0200000000000002"
app_key = "file:app.key"

[gateway]
bind = "0.0.0.0:1700"
address = "192.0.2.20"

[bluetooth]
adapter = "hci0"
"""
    lab = file.load(lab_file(tmp_path, LAB + more))
    assert [board.name for board in lab.boards] == ["pole-1", "foreign"]
    assert lab.boards[0].power is not None
    assert lab.boards[0].power.settle_s == 2.0
    assert lab.boards[0].references == {"temperature_c": 21.5, "voltage_v": "read-meter --volts"}


def test_the_lab_of_the_docs_is_read_as_it_stands_there(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/hil-lab.md").read_text(), re.DOTALL)
    lab = file.load(lab_file(tmp_path, text))
    assert [board.name for board in lab.boards] == ["pole-1", "bought"]
    for table in (file.LabFile, file.BoardTable, file.Switch, file.Foreign, file.GatewayTable, file.BluetoothTable):
        assert all(re.search(rf"\b{key}\b", text) for key in table.model_fields), "each key stands in it"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "lab: this key is missing"),
        (LAB.replace("serial", "serail"), "did you mean serial"),
        (LAB.replace('"virtual"', '"heltec_v9"'), "heltec_v9"),
        (LAB.replace('serial = "/dev/ttyACM0"\n', ""), "serial is missing"),
        (LAB.replace('board = "virtual"\n', ""), "either board"),
        (LAB + 'may_be_erased = "yes"\n', "may_be_erased"),
        (LAB + "power = { on = 'x' }\n", "power.off: this key is missing"),
        (LAB + '[bluetooth]\nadapter = "dongle"\n', "bluetooth.adapter"),
        (LAB + '[gateway]\nbind = "1700"\n', "gateway.bind"),
        (LAB + LAB.partition("\n\n")[2], "two boards have the same name"),
    ],
)
def test_what_is_wrong_in_a_lab_is_said_with_its_key(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(ConfigError) as refused:
        file.load(lab_file(tmp_path, text))
    assert what in str(refused.value)
    assert "lab.toml" in str(refused.value)


def test_a_wrong_lab_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(pytest.UsageError, match="did you mean serial"):
        Run(str(lab_file(tmp_path, LAB.replace("serial", "serail"))), None)


def test_a_board_of_another_kind_is_not_asked(tmp_path: Path) -> None:
    run = Run(str(lab_file(tmp_path, LAB)), str(tmp_path / "kept"))
    place = run.place("pole-1", tmp_path)
    assert place.lacks("kind:street_light") is None
    assert place.lacks("kind:traffic") == "pole-1 is a street_light, and this is for one of kind traffic"
    assert run.names("traffic") == ["pole-1"], "it says so itself"
    virtual = Run("virtual", str(tmp_path / "kept"))
    for kind in ("street_light", "waste_bin", "traffic"):
        (name,) = virtual.names(kind)
        made = virtual.place(name, tmp_path)
        assert (made.kind, made.lacks(f"kind:{kind}")) == (kind, None)


def test_a_hand_that_fails_says_what_it_was_to_do() -> None:
    with pytest.raises(hands.HandsFailed, match=r"exit code 3"):
        hands.do(f"{sys.executable} -c 'raise SystemExit(3)'", "switch the power off")
    with pytest.raises(hands.HandsFailed, match="cannot be run"):
        hands.do("no-such-program-here", "switch the power off")
    assert hands.measured(f"{sys.executable} -c 'print(\"21,5 C\")'", "temperature_c") == 21.5
    with pytest.raises(hands.HandsFailed, match="no number"):
        hands.measured(f"{sys.executable} -c 'print(\"warm\")'", "temperature_c")


def test_what_a_board_says_is_kept_and_its_frames_found(tmp_path: Path) -> None:
    capture = Capture(tmp_path, "pole-1")
    capture.begin("test_it")
    frame = bytes([0x40]) + bytes(range(1, 20))
    capture.heard(b"hello\r\n" + cobs.frame(frame) + b"noise\0")
    capture.radio(b"\x00" + bytes(22), sf=9, rssi_dbm=-80.0, snr_db=7.5)
    lines = [json.loads(line) for line in (tmp_path / "pole-1.frames.jsonl").read_text().splitlines()]
    assert [(line["link"], line["type"]) for line in lines] == [("serial", "up"), ("lora", "join request")]
    assert lines[0]["phy"] == frame.hex()
    assert (lines[1]["test"], lines[1]["sf"]) == ("test_it", 9)
    assert b"hello" in (tmp_path / "pole-1.log").read_bytes()


def test_what_a_board_on_the_air_says_is_kept_beside_its_frames(tmp_path: Path) -> None:
    capture = Capture(tmp_path / "report", RADIO)
    capture.begin("test_it")
    rig = VirtualRig(tmp_path)
    try:
        rig.tell = capture.said
        rig.semtech.tell = lambda uplink: capture.radio(uplink.phy, sf=uplink.sf)
        rig.fresh(Needs())
        phy = rig.semtech.next(120.0).phy
        said = capture.log.read_bytes()
        console = rig.console()
    finally:
        rig.close()
    assert said.startswith(b"\n---- test_it\n"), said
    assert b"status: boot 1" in said, said
    assert "status: boot 1" in console, "a test that fails shows it"
    assert [each["phy"] for each in capture.frames] == [phy.hex()]


def test_a_picture_shows_each_frame_and_who_was_right() -> None:
    frames = [{"at_s": n, "rssi_dbm": -60.0 - n, "snr_db": 5.0, "sf": 7 + n % 6} for n in range(10)]
    assert pictures.radio(frames).count('r="3"') == 20
    assert re.findall(r"\d\d:\d\d:\d\d(?: UTC)?", pictures.radio(frames)) == ["00:00:00", "00:00:09 UTC"]
    drawn = pictures.accuracy([Accuracy("p", "temperature_c", 20, 20.3, 0.5), Accuracy("p", "voltage_v", 230, 240, 1)])
    assert (drawn.count('class="passed"'), drawn.count('class="failed"')) == (1, 1)
    assert "p, temperature_c: read 20.3, true 20, allowed ± 0.5" in drawn
    long = pictures.timeline([Result(f"a::test_{'long_' * 20}", "p", "passed", 0, 1)])
    names = re.findall(r"text-anchor=\"end\">([^<]*)<", long)
    assert [len(name) for name in names] == [51], "what is longer is cut off at the left edge"
    tests = [Result("a::test_<b>", "p", "passed", 0, 1), Result("a::test_c", "p", NOT, 1, 0)]
    assert "&lt;b&gt;" in pictures.timeline(tests)
    assert Results("lab", "virtual", tests=tests).count(NOT) == 1


def test_why_a_test_failed_is_its_own_sentence(tmp_path: Path) -> None:
    message = (
        "AssertionError: count_a: read 12, true 9, allowed ± 1.27\nassert False\n +  where False = Accuracy(...).right"
    )
    crash = SimpleNamespace(reprcrash=SimpleNamespace(message=message))
    results = Results("Lab", "lab.toml")
    results.take(
        SimpleNamespace(  # type: ignore[arg-type]
            when="call",
            outcome="failed",
            failed=True,
            skipped=False,
            nodeid="tests/test_hil_lab.py::test_x[a_b]",
            user_properties=[("board", "a_b")],
            start=0.0,
            duration=1.0,
            longrepr=crash,
        )
    )
    page = report.write(tmp_path, results, []).read_text()
    assert "<td>count_a: read 12, true 9, allowed ± 1.27</table>" in page
    assert "<td>a_<wbr>b<" in page, "a long name is folded where its words end"
    assert "The lab itself" in page


def test_the_page_says_first_what_came_of_it(tmp_path: Path) -> None:
    capture = Capture(tmp_path, "pole-1")
    capture.radio(b"\x00" + bytes(22), sf=9, rssi_dbm=-80.0, snr_db=7.5)
    good = Result("hil_tests/bench/test_node.py::test_it_works[pole-1-lx=20]", "pole-1", "passed", 0, 61)
    bad = Result("hil_tests/roles/test_x.py::test_<y>", "", "failed", 61, 60, "1 < 2")
    lacking = Result("tests/test_z.py::test_z", "", NOT, 121, 0, "no power switch")
    assert good.words == "it works (lx=20)"
    page = report.write(tmp_path, Results("Lab", "lab.toml", tests=[good]), [capture]).read_text()
    assert "1 test passed" in page
    assert "SF9" in page
    page = report.write(tmp_path, Results("Lab", "lab.toml", tests=[good, bad, lacking]), []).read_text()
    assert "1 of 3 tests failed" in page
    assert "1 was not run, for the reason below" in page
    assert "1 &lt; 2" in page
    assert "&lt;y&gt;" in page
    assert page.index("What failed") < page.index("What was tested") < page.index("it works")
    assert "No test was run" in report.write(tmp_path, Results("Lab", "lab.toml"), []).read_text()


def _pytest(lab: Path, folder: Path, *what: str) -> subprocess.CompletedProcess[str]:
    kept_in = folder / "report"
    command = [sys.executable, "-m", "pytest", "-n0", "-q", "-m", "", "-p", "no:cacheprovider", "--timeout", "300"]
    command += ["--rig", str(lab), "--report", str(kept_in), "--junitxml", str(kept_in / "junit.xml"), *what]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=800, check=False)


@contextmanager
def board_in_the_air(folder: Path) -> Iterator[tuple[VirtualBoard, int]]:
    """A virtual board whose radio is heard by a packet forwarder, and the port that the forwarder sends to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    air = folder / "air"
    quiet = ("--shadowing-db", "0", "--fading-db", "0", "--slack-ms", "40", "--keepalive-s", "1")
    where = ("--forwarder", f"127.0.0.1:{port}", "--gateway-eui", "aabbccddeeff0011", "--gateway-position", "300,0")
    command = [sys.executable, "-m", "boards.virtual.air", "--socket", str(air), *quiet, *where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            options = ("--air", str(air), "--scenario", "still")
            with virtual_boards(1, folder=folder / "boards", options=options) as (board,):
                yield board, port
        finally:
            process.terminate()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tests_of_a_real_board_run_through_its_port_and_hands(tmp_path: Path) -> None:
    """Nothing here knows that the board is virtual: a serial port, two commands, a packet forwarder, an instrument."""
    with board_in_the_air(tmp_path) as (board, port):
        control(board, "stimulus", name="temperature_c", value=9.0)
        hand = f"{sys.executable} -m boards.virtual control {board.control}"
        text = LAB.replace("/dev/ttyACM0", board.port) + (
            "may_be_erased = true\n"
            f'power = {{ on = "{hand} power_on", off = "{hand} power_cut", settle_s = 0.1 }}\n'
            "references = { temperature_c = 9.0 }\n"
            f'[gateway]\nbind = "127.0.0.1:{port}"\naddress = "127.0.0.1"\n'
        )
        node, joins = "hil_tests/bench/test_node.py", "hil_tests/lorawan/test_join.py"
        what = [f"{node}::test_the_self_test_finds_every_part_at_work", f"{node}::test_a_sensor_reads_what_is_there"]
        what += [f"{node}::test_power_cuts_cost_no_number_twice", f"{node}::test_an_alarm_comes_at_once"]
        what += [f"{joins}::test_a_join_accept_with_a_wrong_mic_is_ignored"]
        done = _pytest(lab_file(tmp_path, text), tmp_path, *what)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    kept_in = tmp_path / "report"
    cases = list(ElementTree.parse(kept_in / "junit.xml").iter("testcase"))  # noqa: S314  written a moment ago
    skipped = {case.get("name"): case[-1].get("message") or "" for case in cases if case.find("skipped") is not None}
    ran = {case.get("name") for case in cases} - skipped.keys()
    assert "test_a_join_accept_with_a_wrong_mic_is_ignored" in ran
    assert "test_power_cuts_cost_no_number_twice[pole-1]" in ran
    assert (
        "not run: pole-1 has no reference instrument for voltage_v"
        in skipped["test_a_sensor_reads_what_is_there[pole-1-voltage_v=241]"]
    )
    assert "is real" in skipped["test_an_alarm_comes_at_once[pole-1]"]
    page = (kept_in / "report.html").read_text()
    assert "has no reference instrument for voltage_v" in page
    assert page.count("<svg") >= 3
    assert "MicroPython" in page
    kept = [json.loads(line) for line in (kept_in / "radio.frames.jsonl").read_text().splitlines()]
    assert {"join request", "up"} <= {frame["type"] for frame in kept}
    assert all(frame["rssi_dbm"] < 0 for frame in kept)
    assert "joined" in (kept_in / "pole-1.log").read_text(errors="replace")
