# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A link that hangs, seen from outside: the watchdog gets no food, and says why. One that hears nothing feeds it."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Mosquitto
from tests.gateway_rig import ROOT, START_S, City, Daemon, Device, Port, until
from tests.lora_rig import Air, free_udp_port, lora_config
from tests.systemd_rig import Feeds
from tests.test_gateway_daemon import deliver

pytestmark = [pytest.mark.apart, pytest.mark.timeout(300)]

TURN_LIMIT_S = 5.0
"""What tests/hanging_gateway.py allows a link, instead of a minute. A starved computer may need half of it."""
FEEDS = 100
"""At ten a second in twice that limit."""


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a file's name is a fault."""
    (folder := tmp_path / "faults").mkdir()
    monkeypatch.setenv("LYKTA_FAULTS", str(folder))
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    monkeypatch.setenv("LYKTA_TURN_LIMIT_S", str(TURN_LIMIT_S))
    return folder


def _status(daemon: Daemon) -> dict[str, Any]:
    command = [sys.executable, "-m", "gateway", "status", "--json", "--config", str(daemon.config)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=START_S)
    return json.loads(said.stdout)  # type: ignore[no-any-return]


def _fed_on(feeds: Feeds) -> None:
    enough = feeds.count + FEEDS
    until(lambda: feeds.count >= enough, "food for the watchdog", START_S)


def _joins(air: Air, device: Device, daemon: Daemon) -> bool:
    """Ask again, as devices do: the socket may not be there yet."""
    if not daemon.saw("joined"):
        air.push(device.join_request(), 5.0)
        time.sleep(0.5)
    return bool(daemon.saw("joined"))


def _stage(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(stage for stage in found["stages"] if stage["name"] == name)  # type: ignore[no-any-return]


def test_a_driver_that_does_not_come_back_starves_the_watchdog_and_a_line_on_which_nothing_comes_feeds_it(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon], systemd: socket.socket, faults: Path
) -> None:
    device, feeds = city.device(), Feeds(systemd)
    daemon = Daemon(city.config(port.path, mosquitto.port), module="tests.hanging_gateway")
    daemons.append(daemon.ready())
    port.join(device)
    deliver(port, device, range(1, 4))
    _fed_on(feeds)
    assert daemon.saw("stage_stuck") == []

    (faults / "open").touch()
    port.unplug()
    daemon.wait_for("serial_absent")
    port.plug()
    told = daemon.wait_for("stage_stuck", timeout_s=START_S)
    assert (told["stage"], told["effect"]) == ("link bench", "the watchdog gets no food")
    before, before_s = feeds.count, _stage(_status(daemon), "link bench")["silent_s"]
    assert before_s > TURN_LIMIT_S
    found = until(lambda: (now := _status(daemon))["stages"] and _silent_for(now, before_s + 2 * TURN_LIMIT_S), "time")
    assert feeds.count == before
    assert [stage["name"] for stage in found["stages"] if stage["stuck"]] == ["link bench"]
    assert (found["live"], found["ready"]) == (False, False)
    assert "link bench is stuck" in [problem["what"] for problem in found["problems"]]

    (faults / "open").unlink()
    _fed_on(feeds)
    deliver(port, device, range(4, 7))
    assert daemon.stop() == 0


def _silent_for(found: dict[str, Any], seconds: float) -> dict[str, Any] | None:
    return found if _stage(found, "link bench")["silent_s"] > seconds else None


def test_a_socket_that_fails_as_nobody_expects_is_opened_again_and_the_watchdog_fed(
    city: City, daemons: list[Daemon], systemd: socket.socket, faults: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LYKTA_TURN_LIMIT_S", "60")  # that it is opened anew is what counts here, not how soon
    config, feeds = lora_config(city, number := free_udp_port()), Feeds(systemd)
    daemon = Daemon(config, module="tests.hanging_gateway")
    daemons.append(daemon.ready())
    daemon.wait_for("lora_open")

    async def on_air() -> None:
        air, device = Air(number, daemon), city.device()
        try:
            (faults / "receive").touch()
            air.push(device.join_request(), 5.0)
            await air.until(lambda: daemon.saw("task_restarts"), "the link to start again")
            (faults / "receive").unlink()
            await air.until(lambda: _joins(air, device, daemon), "the device to join")
        finally:
            air.close()

    asyncio.run(on_air())
    assert daemon.saw("task_restarts")[0]["task"] == "link air"
    _fed_on(feeds)
    assert daemon.saw("stage_stuck") == []
    assert daemon.stop() == 0
