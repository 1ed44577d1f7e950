# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The main job with real parts, each a process: firmware on MicroPython, the daemon, mosquitto and a verifier."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from firmware.wire import cobs, frame, joining
from provisioning.demo.flash import read_queue
from provisioning.errors import BoardError
from tests.city import ROOT, nothing_lost, running_city, wait_until
from tests.conftest import Mosquitto

pytestmark = pytest.mark.apart


def test_a_reading_becomes_a_signed_verified_record(tmp_path: Path, mosquitto: Mosquitto, seed: int) -> None:
    with running_city(tmp_path, mosquitto.port, seed=seed) as city:
        city.start_verifier()
        city.start_gateway()
        city.start_board()
        wait_until(lambda: len(city.verified()) >= 25, "25 verified readings")
        reading = city.verified()[-1]
        assert reading["dev_eui"] == city.dev_eui
        assert set(reading["values"]) == {
            *("lamp_on", "dim", "power", "energy", "temperature", "illuminance", "voltage", "current")
        }
        assert 200 < reading["values"]["voltage"] < 260
        nothing_lost(city)


def test_the_verifier_needs_nothing_of_the_gateway() -> None:
    code = (
        "import sys, provisioning.cli.verify, consumer.verify\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'gateway'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_broker_that_comes_late_and_goes_for_a_while(tmp_path: Path, mosquitto: Mosquitto, seed: int) -> None:
    with running_city(tmp_path, mosquitto.port, seed=seed) as city:
        city.start_verifier()  # first, so that the broker keeps for it what comes while it is away
        mosquitto.stop()
        city.start_gateway()
        city.start_board()
        wait_until(lambda: city.stats()["durable"] >= 10, "readings held without a broker")
        mosquitto.start()
        wait_until(lambda: len(city.verified_seqs()) >= 15, "readings after the broker came")
        mosquitto.stop()
        held = city.stats()["durable"]
        wait_until(lambda: city.stats()["durable"] >= held + 10, "readings held during the outage")
        mosquitto.start()
        wait_until(lambda: len(city.verified_seqs()) >= held + 10, "what was held during the outage")
        nothing_lost(city)


def test_noise_replays_and_strangers_cost_nothing(tmp_path: Path, mosquitto: Mosquitto, seed: int) -> None:
    with running_city(tmp_path, mosquitto.port, seed=seed) as city:
        city.start_verifier()
        city.start_gateway()
        city.start_board()
        wait_until(lambda: len(city.tap.up) >= 4, "a few frames")
        city.board("noise", hex=bytes(range(256)).hex())
        city.board("noise", hex=cobs.frame(city.tap.up[0]).hex())  # the Join-Request once more
        city.board("noise", hex=cobs.frame(city.tap.up[1]).hex())  # the first data frame once more
        city.board("noise", hex=cobs.frame(b"\x40" + bytes(20)).hex())  # a device that nobody registered
        city.board("noise", hex=cobs.frame(city.tap.up[1][:9]).hex())  # cut short
        before = len(city.verified_seqs())
        wait_until(lambda: len(city.verified_seqs()) >= before + 10, "readings after the noise")
        wait_until(lambda: sum(city.stats()["since_start"].get("refused", {}).values()) >= 4, "all of it to be refused")
        nothing_lost(city)


def _readings_on_flash(image: Path) -> int:
    copy = image.with_suffix(".copy")  # the board that runs has a lock on its own
    shutil.copy(image, copy)
    try:
        return len(read_queue(copy).seqs)
    except BoardError:
        return 0  # copied in the middle of a write


def test_mpremote_gets_in_at_the_first_try_and_the_node_comes_back(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with running_city(tmp_path, mosquitto.port) as city:
        city.tap.close()

        def mpremote(*arguments: str) -> str:
            command = [sys.executable, "-m", "mpremote", "connect", str(city.board_port), *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        def dims() -> bool:
            return "20" in city.board("state")["pwm_duty_pct"]

        for turn in range(3):
            city.start_board()
            wait_until(lambda: city.board("state")["pins"].get("21") == 1, "the node to light the lamp")
            wait_until(dims, "the dimmer to work")
            assert mpremote("exec", "print(6 * 7)").strip() == "42"
            assert "main.py" in mpremote("fs", "ls", ":/")
            assert not dims(), "a prompt dims no lamp"
            mpremote("soft-reset")
            if turn == 2:  # mpremote leaves the board at its prompt; the watchdog has the node run again
                wait_until(dims, "the node to run on")
                break
            city.stop("board")
        wait_until(lambda: _readings_on_flash(city.image) > 0, "a reading on the flash")


def test_unplugged_and_plugged_in_again(tmp_path: Path, mosquitto: Mosquitto, seed: int) -> None:
    with running_city(tmp_path, mosquitto.port, seed=seed) as city:
        city.start_verifier()
        city.start_gateway()
        city.start_board()
        wait_until(lambda: len(city.verified_seqs()) >= 5, "the first readings")
        for _ in range(3):
            city.board("unplug")
            city.board("replug")
            before = len(city.verified_seqs())
            wait_until(lambda before=before: len(city.verified_seqs()) > before + 5, "readings after the replug")
        nothing_lost(city)


@pytest.mark.timeout(300)
def test_a_clock_that_jumps(tmp_path: Path, mosquitto: Mosquitto, seed: int) -> None:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    assert library is not None, "libfaketime is not installed: `make test` installs it"
    offset = tmp_path / "offset"
    offset.write_text("+0")
    environment = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with running_city(tmp_path, mosquitto.port, seed=seed) as city:
        city.start_verifier()
        city.start_gateway(environment)
        city.start_board()
        for step in ("+0", "+3d", "-2d", "+0"):
            offset.write_text(step)
            before = len(city.verified_seqs())
            wait_until(lambda before=before: len(city.verified_seqs()) > before + 8, f"readings with the clock {step}")
            if step == "+3d":
                city.wait_for_log("gateway", "clock_step")
        offset.write_text("+5y")  # beyond the certificate's end: nothing is acknowledged, so the board keeps it
        city.wait_for_log("gateway", "certificate_ended")
        offset.write_text("+0")
        city.wait_for_log("gateway", "accepting_again")
        nothing_lost(city)


def test_a_corrupt_configuration_is_refused_with_its_place(tmp_path: Path, free_port: int) -> None:
    with running_city(tmp_path, free_port) as city:
        good = city.config.read_text()
        for broken, expected in (
            (good.replace("baud = 115200", 'baud = "fast"'), "links"),
            (good.replace("[gateway]", "[gateway]\ncolour = 1"), "colour"),
            (good.replace("eui = ", "eui = = "), "gateway.toml"),
        ):
            city.config.write_text(broken)
            command = [sys.executable, "-m", "gateway.cli", "check-config", "--config", str(city.config)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
            assert done.returncode == 2
            assert expected in done.stderr
            assert "Traceback" not in done.stderr
        city.config.write_text(good)


def test_no_key_in_anything_that_is_written(tmp_path: Path, mosquitto: Mosquitto, seed: int) -> None:
    with running_city(tmp_path, mosquitto.port, seed=seed) as city:
        city.start_verifier()
        city.start_gateway()
        city.start_board()
        wait_until(lambda: len(city.verified_seqs()) >= 5, "the first readings")
        nothing_lost(city)
        from provisioning.registry import Registry

        with Registry.open(
            f"sqlite:///{tmp_path}/city/register.db", (tmp_path / "city" / "kek").read_bytes()
        ) as register:
            key = register.app_key(bytes.fromhex(city.dev_eui))
        for path in tmp_path.rglob("*"):
            if path.is_file() and path != city.image:  # the board's own flash holds it, mode 0600
                content = path.read_bytes()
                assert key not in content, path
                assert key.hex().encode() not in content.lower(), path
        assert city.image.stat().st_mode & 0o077 == 0


def test_frames_on_the_line_are_lorawan(tmp_path: Path, mosquitto: Mosquitto, seed: int) -> None:
    with running_city(tmp_path, mosquitto.port, seed=seed) as city:
        city.start_verifier()
        city.start_gateway()
        city.start_board()
        wait_until(lambda: len(city.verified_seqs()) >= 10, "the first readings")
        request = joining.decode_join_request(city.tap.up[0])
        assert request.dev_eui.hex() == city.dev_eui
        assert frame.mtype(city.tap.down[0]) == frame.JOIN_ACCEPT
        kinds = {frame.mtype(phy) for phy in city.tap.up[1:]}
        assert kinds <= {frame.UNCONFIRMED_UP, frame.CONFIRMED_UP, frame.JOIN_REQUEST}
        assert {frame.mtype(phy) for phy in city.tap.down[1:]} <= {frame.UNCONFIRMED_DOWN, frame.JOIN_ACCEPT}
        assert shutil.which("micropython", path=str(Path(sys.executable).parent))
        assert json.dumps(city.board("state"))
        nothing_lost(city)
