# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A disk that takes nothing, under a running gateway with an outage behind it: what is stored leaves all the same."""

import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Mosquitto
from tests.gateway_rig import ROOT, START_S, City, Daemon, Device, Port, Subscriber, until
from tests.systemd_rig import heard
from tests.test_gateway_daemon import deliver, proven

pytestmark = [pytest.mark.apart, pytest.mark.timeout(300)]


def _arrived(city: City, subscriber: Subscriber) -> set[int]:
    verifier = city.verifier()
    return {reading.seq for message in list(subscriber.messages) for reading in verifier.check(message).readings}


def _outage(city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]) -> tuple[Device, Subscriber, Daemon]:
    """A gateway that holds readings 1 to 20 while its broker is away, and who listens there afterwards."""
    device = city.device()
    subscriber = Subscriber(mosquitto.port).start()
    daemon = Daemon(city.config(port.path, mosquitto.port)).ready()
    daemons.append(daemon)
    port.join(device)
    mosquitto.stop()
    deliver(port, device, range(1, 21))
    return device, subscriber, daemon


def test_what_is_stored_is_delivered_while_the_disk_takes_nothing_and_nothing_new_is_acknowledged(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    device, subscriber, daemon = _outage(city, port, mosquitto, daemons)
    assert subscriber.messages == []
    pid = daemon.process.pid
    limit = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limit[1]))
    port.send(device.readings(21, oldest=21))
    daemon.wait_for("store_unavailable")
    mosquitto.start()
    until(lambda: _arrived(city, subscriber) == set(range(1, 21)), "all that was stored", 60)
    port.send(device.readings(21, oldest=21))
    assert port.receive(0.5) is None
    assert 21 not in device.held
    resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
    deliver(port, device, range(21, 31))
    until(lambda: daemon.stats().waiting == {"city": 0}, "everything published", 60)
    assert daemon.stop() == 0
    subscriber.stop()
    proven(city, subscriber, {(device.dev_eui.hex(), seq) for seq in range(1, 31)})


def _status(daemon: Daemon, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "status", "--config", str(daemon.config), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=START_S)


def test_a_start_on_a_disk_that_takes_nothing_delivers_what_is_stored_says_so_and_recovers(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    device, subscriber, before = _outage(city, port, mosquitto, daemons)
    before.kill()  # what is stored is in the log beside the file
    daemon = Daemon(before.config, under=("prlimit", "--fsize=0:unlimited"))
    daemons.append(daemon)
    daemon.wait_for("store_read_only", timeout_s=START_S)
    mosquitto.start()
    until(lambda: _arrived(city, subscriber) == set(range(1, 21)), "all that was stored", 60)
    said = _status(daemon)
    assert said.returncode == 4, said
    assert "TAKES NO READINGS" in said.stdout
    assert "no readings are taken: store unavailable" in said.stdout
    found = json.loads(_status(daemon, "--json").stdout)
    assert (found["ready"], found["live"], found["platforms"][0]["connected"]) == (False, True, True)
    assert not any("link" in problem["what"] for problem in found["problems"]), found["problems"]
    port.send(device.readings(21, oldest=21))
    assert 21 not in device.held
    assert daemon.saw("ready") == []
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    daemon.wait_for("store_writable", timeout_s=60)
    daemon.ready()
    deliver(port, device, range(21, 31))
    until(lambda: daemon.stats().waiting == {"city": 0}, "everything published", 60)
    found = json.loads(_status(daemon, "--json").stdout)
    assert {stage["name"].partition(" ")[0] for stage in found["stages"]} == {"event", "intake", "link", "platform"}
    assert daemon.stop() == 0
    subscriber.stop()
    proven(city, subscriber, {(device.dev_eui.hex(), seq) for seq in range(1, 31)})


def test_a_start_that_nothing_can_be_written_for_ends_when_it_is_told_to(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    daemon = Daemon(city.config(port.path, mosquitto.port), under=("prlimit", "--fsize=0:unlimited"))
    daemons.append(daemon)
    daemon.wait_for("store_read_only", timeout_s=START_S)
    assert daemon.stop() == 0, daemon.events


# A service of systemd sees a copy of each mount. A file system that is mounted twice behaves alike.
_COPIED = """
set -e
mount -t tmpfs tmpfs "$1"
cp -a "$2/." "$1"
mount --bind "$1" "$2"
mount -o remount,bind,ro "$2"
mount -o remount,ro "$1"
{ read -r line <"$3"; mount -o remount,rw "$1"; } &
shift 3
exec "$@"
"""


@pytest.mark.skipif(
    subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode != 0,
    reason="needs the right to make mounts of its own: unshare -rm",
)
def test_a_mount_that_a_service_sees_read_only_for_good_ends_it_so_that_systemd_starts_it_anew(
    city: City,
    port: Port,
    mosquitto: Mosquitto,
    daemons: list[Daemon],
    tmp_path: Path,
    systemd: socket.socket,
) -> None:
    _, subscriber, before = _outage(city, port, mosquitto, daemons)
    before.kill()
    (shown := tmp_path / "shown").mkdir()
    os.mkfifo(again := tmp_path / "again")
    namespace = ("unshare", "-rm", "sh", "-c", _COPIED, "sh", str(shown), str(before.state_dir), str(again))
    daemon = Daemon(before.config, under=namespace)
    daemons.append(daemon)
    daemon.wait_for("store_read_only", timeout_s=START_S)
    mosquitto.start()
    until(lambda: _arrived(city, subscriber) == set(range(1, 21)), "all that was stored", 60)
    again.write_text("remount,rw\n")
    assert daemon.process.wait(timeout=START_S) == 1
    daemon.kill()
    assert "stays read-only" in daemon.saw("text")[-1]["text"]
    assert heard(systemd, "STOPPING")["STATUS"] == "delivering what is on its way"
    subscriber.stop()
