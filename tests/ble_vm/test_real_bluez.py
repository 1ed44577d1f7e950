# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The packaged, hardened service on the real bluetoothd over a kernel's HCI; the board outside, as it is shipped.

What was never tried on a look-alike: the bluetoothd, kernel and D-Bus of Debian 13, and a static user under systemd.
"""

import json
import shutil
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from provisioning.demo.flash import read_queue
from tests.ble_vm.dongle import Dongle
from tests.ble_vm.machine import BUILT, ROOT, Machine, warm_disk
from tests.city import running, wait_until
from tests.test_end_to_end_ble_board import BACKEND, BleCity

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

_PACKAGES = "/usr/lib/lykta/lib/python3.13/site-packages"
_CODE = ("boards", "consumer", "firmware", "gateway", "provisioning")


class BluezCity(BleCity):
    """The board and its air outside, the register and the gateway in the machine."""

    machine: Machine

    def move_in(self, machine: Machine) -> None:
        """What an operator does: the city's directory, the gateway's, and `lykta-gateway install`."""
        self.machine = machine
        self.config.write_text(self.config.read_text().replace(f'backend = "{BACKEND}"\n', ""))
        machine.run(f"date -s @{time.time():.0f}")
        machine.mount()
        with tarfile.open(machine.share / "new.tar", "w") as tar:
            for path in _newer(BUILT / "made"):
                tar.add(path, path.relative_to(ROOT))
        for name, folder in (("city", self.folder / "city"), ("gateway", self.config.parent)):
            with tarfile.open(machine.share / f"{name}.tar", "w") as tar:
                tar.add(folder, name)
        for name in ("bridge.py", "hci-bridge.service"):
            shutil.copy(ROOT / "tools" / "ble_vm" / name, machine.share)
        machine.run("install -m 755 /share/bridge.py /usr/local/sbin/hci-bridge")
        machine.run("install -m 644 /share/hci-bridge.service /etc/systemd/system/ && systemctl daemon-reload")
        machine.run(f"tar -C {_PACKAGES} --no-same-owner -xf /share/new.tar")
        machine.run(
            "tar -C /srv --no-same-owner -xf /share/city.tar && tar -C /srv --no-same-owner -xf /share/gateway.tar"
        )
        machine.run(f"sed -i 's#{self.folder}/#/srv/#g' /srv/gateway/gateway.toml /srv/city/lykta.toml")
        install = "lykta-gateway install --config /srv/gateway/gateway.toml >/tmp/said 2>&1; echo $? >/tmp/code"
        machine.run(f"nohup sh -c '{install}' >/dev/null 2>&1 &")
        machine.until("test -s /tmp/code", "the end of the installation", 600)
        machine.run("cat /tmp/said; exit $(cat /tmp/code)")

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.machine.run("lykta-gateway stats --config /etc/lykta/gateway.toml --json")
        )
        return found

    def more(self, count: int, timeout_s: float = 300) -> None:
        """Wait for so many more readings on the machine's disk."""
        before = int(self.stats()["durable"])
        wait_until(lambda: int(self.stats()["durable"]) >= before + count, f"{count} more readings", timeout_s)


def _newer(stamp: Path) -> list[Path]:
    """The code that was changed since the machine was made."""
    made_s = stamp.stat().st_mtime
    return [
        path
        for name in _CODE
        for path in sorted((ROOT / name).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.stat().st_mtime > made_s
    ]


def test_readings_arrive_through_everything_that_bluetooth_does_to_a_gateway(tmp_path: Path) -> None:
    with running(BluezCity(tmp_path, 1883, interval_ms=1000)) as city:
        city.start_air()
        with (
            Dongle(tmp_path / "dongle", tmp_path / "ble.air") as dongle,
            Machine(_folder(tmp_path), warm_disk(tmp_path), dongle.socket) as machine,
        ):
            city.move_in(machine)
            _is_hardened(machine)
            machine.run("systemctl start hci-bridge")
            machine.until("bluetoothctl list | grep -q Controller", "an adapter")
            city.start_board()
            city.more(5)

            machine.run("systemctl kill -s KILL bluetooth; sleep 2; systemctl start bluetooth")
            city.more(5)
            dongle.pull()
            machine.until("! bluetoothctl list | grep -q Controller", "no adapter")
            dongle.plug()
            machine.until("bluetoothctl list | grep -q Controller", "the adapter again")
            city.more(5)
            machine.run("bluetoothctl power off; sleep 5; bluetoothctl power on")
            city.more(5)
            machine.run("systemctl kill -s STOP bluetooth; sleep 40; systemctl kill -s CONT bluetooth")
            city.more(5)
            city.board("power_cut")
            city.board("power_on")
            city.more(5)

            _nothing_is_lost(city)
            assert machine.run("systemctl show -p NRestarts --value lykta-gateway") == "0"


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "machine"
    folder.mkdir()
    return folder


def _is_hardened(machine: Machine) -> None:
    """A static user without any capability reaches bluetoothd through D-Bus."""
    status = machine.run("cat /proc/$(systemctl show -p MainPID --value lykta-gateway)/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["CapEff"] == "0000000000000000"
    assert fields["Seccomp"] == "2"
    assert fields["NoNewPrivs"] == "1"
    who = machine.run("systemctl show -p User -p DynamicUser lykta-gateway")
    assert sorted(who.split()) == ["DynamicUser=no", "User=lykta"]
    assert "deb13" in machine.run("uname -r")
    print(machine.run("bluetoothctl --version; uname -r; systemctl --version | head -1"))


def _nothing_is_lost(city: BluezCity) -> None:
    city.stop("board")
    queue = read_queue(city.image)
    stats = city.stats()
    (device,) = stats["devices"].values()
    assert device["runs_above"] == []  # nothing is missing below what is held
    held = device["contiguous"]
    assert queue.receipted <= held <= max(queue.seqs)
    assert queue.waiting >= set(range(held + 1, max(queue.seqs) + 1))  # what the gateway has not is on the board
    assert stats["durable"] == held  # and nothing is there twice
