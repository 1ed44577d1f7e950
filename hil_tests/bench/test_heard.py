# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A board leaves the bench when a gateway, the real daemon, has heard it by radio; the monitor shows its frames."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from provisioning.bench import gateway_status, update
from provisioning.bench.errors import ProofFailed
from provisioning.bench.package import Purpose, package_for
from provisioning.bench.rehearsal import virtual_boards
from provisioning.bench.session import Session
from provisioning.city import create_city
from provisioning.cli import main
from provisioning.images import default_board
from tests.bench_rig import control
from tests.city import ROOT, wait_until

pytestmark = [pytest.mark.timeout(600), pytest.mark.apart, pytest.mark.slow]
_ENV = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
FORWARDER = "0200000000000a01"
PATIENCE_S = 240
HEALTH_S = 120.0


@contextmanager
def process(log: Path, *module: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", *module]
    with log.open("ab") as out, subprocess.Popen(command, env=_ENV, stdout=out, stderr=out) as running:
        try:
            yield running
        finally:
            running.terminate()
            running.wait(60)


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def gateway_in_the_air(folder: Path, home: Path) -> Iterator[tuple[Path, Path]]:
    """The gateway's configuration, and the air that its packet forwarder stands in."""
    server, config, air = f"127.0.0.1:{free_udp_port()}", folder / "gateway" / "gateway.toml", folder / "air"
    enroll = ["gateway", "enroll", "pole box", "--out", str(config.parent), "--broker", "127.0.0.1:9"]
    assert main(["-C", str(home), *enroll, "--lora-bind", server, "--forwarder", FORWARDER]) == 0
    quiet = ("--shadowing-db", "0", "--fading-db", "0", "--slack-ms", "60", "--keepalive-s", "1")
    place = ("--forwarder", server, "--gateway-eui", FORWARDER, "--gateway-position", "300,0")
    with (
        process(folder / "gateway.log", "gateway.cli", "run", "--config", str(config)),
        process(folder / "air.log", "boards.virtual.air", "--socket", str(air), *quiet, *place),
    ):
        wait_until(lambda: "lora_open" in (folder / "gateway.log").read_text(), "the gateway to listen", 120)
        wait_until(air.exists, "the air")
        yield config, air


def test_a_board_on_lora_leaves_when_the_gateway_has_heard_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    city = create_city(folder / "city", "Teststad")
    lykta = ["-C", str(city.home)]
    with (
        gateway_in_the_air(folder, city.home) as (config, air),
        virtual_boards(1, folder=folder / "boards", options=("--air", str(air))) as (board,),
    ):
        capsys.readouterr()
        wanted = ["--kind", "street_light", "--board", "virtual", "--link", "lora", "--interval-ms", "3000"]
        code = main([*lykta, "enroll", board.port, *wanted, "--gateway", str(config), "--heard-s", "240", "--json"])
        said = capsys.readouterr()
        (row,) = json.loads(said.out)
        assert code == 0, said
        heard = row["heard_by_gateway"]
        assert heard["link"].startswith("lora")
        assert heard["seq"] >= 1
        assert heard["rssi_dbm"] < 0
        assert 7 <= heard["sf"] <= 12
        watch = ["monitor", row["name"], "--gateway", str(config), "--count", "2", "--for", "120", "--json"]
        assert main([*lykta, *watch]) == 0
        frames = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert {frame["dev_eui"] for frame in frames} == {row["dev_eui"]}
        assert all(frame["rssi_dbm"] < 0 for frame in frames)
        assert any("lamp_on" in frame.get("values", {}) or frame.get("values") for frame in frames)
    assert main([*lykta, "enrolled", row["dev_eui"]]) == 0
    assert json.loads(capsys.readouterr().out)[0]["heard_by_gateway"] == heard


def test_a_board_that_no_gateway_hears_does_not_leave(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its antenna is off: the board is in no air."""
    city = create_city(folder / "city", "Teststad")
    with gateway_in_the_air(folder, city.home) as (config, _air), virtual_boards(1, folder=folder / "b") as (board,):
        capsys.readouterr()
        wanted = ["--kind", "street_light", "--board", "virtual", "--link", "lora", "--gateway", str(config)]
        assert main(["-C", str(city.home), "enroll", board.port, *wanted, "--heard-s", "15", "--json"]) == 1
        (row,) = json.loads(capsys.readouterr().out)
    assert "heard nothing of the board" in row["error"]


def test_the_life_of_a_board_on_lora(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From an erased flash to the gateway that hears it by radio, through an update and back from a bad one."""
    city = create_city(folder / "city", "Teststad")
    name = default_board("traffic", "lora")  # two copies of a street light's node with LoRa do not fit into its 1 MB
    real = package_for(name, Purpose("traffic", frozenset({"serial", "lora"})))
    newer = replace(real, files={**real.files, "firmware/newer.mpy": real.files["firmware/__init__.mpy"]})
    worse = replace(newer, main=b"import nothing_like_this\n")
    with (
        gateway_in_the_air(folder, city.home) as (config, air),
        virtual_boards(1, name, folder / "boards", options=("--air", str(air))) as (board,),
    ):
        wanted = ["--kind", "traffic", "--board", name, "--link", "lora", "--interval-ms", "3000"]
        enroll = ["-C", str(city.home), "enroll", board.port, *wanted, "--gateway", str(config), "--heard-s", "300"]
        assert main(enroll) == 0, capsys.readouterr()

        def heard() -> int:
            (device,) = gateway_status.sightings(config)
            return device.seq or 0

        first = heard()
        good = update.update(Session(board.port), package=newer, health_s=HEALTH_S)
        assert (good.before, good.already) == (real.build, False)
        wait_until(lambda: heard() > first + 1, "readings of the new build by radio", PATIENCE_S)
        with pytest.raises(ProofFailed, match="rolled back"):
            update.update(Session(board.port), package=worse, health_s=HEALTH_S)
        last = heard()
        wait_until(lambda: heard() > last + 1, "readings of the build that was kept, by radio", PATIENCE_S)
        state_now = control(board, "state")
    assert (state_now["misuses"], state_now["crashes"]) == (0, 0), state_now
