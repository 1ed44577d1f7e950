# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A board on Bluetooth, from sensor to verifier: power cuts, a killed gateway, a pulled adapter; nothing lost."""

from pathlib import Path
from typing import Any

import pytest

from tests.ble_vm.dongle import Dongle
from tests.city import City, nothing_lost, running, wait_until
from tests.conftest import Mosquitto

BACKEND = "boards.virtual.ble.bleak_backend:AIR"


class BleCity(City):
    """The small city of city.py with a Bluetooth air between the board and the gateway."""

    def __init__(self, folder: Path, broker_port: int, **settings: Any) -> None:
        self._air = folder / "ble.air"
        self.dongle: Dongle | None = None
        super().__init__(folder, broker_port, **{"board": "virtual_ble", **settings})
        self.run_options += ["--ble-air", str(self._air)]
        text = self.config.read_text()
        assert 'type = "ble"\n' in text
        self.config.write_text(text.replace('type = "ble"\n', f'type = "ble"\nbackend = "{BACKEND}"\n'))

    def _gateway_link(self) -> list[str]:
        return ["--ble"]

    def _board_link(self) -> list[str]:
        return ["--link", "ble"]

    def _connect(self) -> None:
        """The air is a process: start_air."""

    def _disconnect(self) -> None:
        """It ends with the other processes."""

    def start_air(self) -> None:
        """Return when hosts may join."""
        self._air.unlink(missing_ok=True)
        self._start("air", ["boards.virtual.ble", "--socket", str(self._air), "--loss", "0.05"])
        wait_until(self._air.exists, "the air's socket")

    def start_gateway(self, environment: dict[str, str] | None = None) -> None:
        """Start the daemon; its adapter is the dongle where there is one, else fixed in the air."""
        adapter = self._air if self.dongle is None else self.dongle.socket
        super().start_gateway({"LYKTA_BLE_AIR": str(adapter), **(environment or {})})

    def boots(self) -> int:
        """How often the board began."""
        return int(self.board("state")["boots"])

    def more(self, count: int) -> None:
        """Wait for so many more verified readings."""
        before = len(self.verified_seqs())
        wait_until(lambda: len(self.verified_seqs()) >= before + count, f"{count} more readings", 90)


@pytest.mark.timeout(600)
def test_readings_arrive_over_bluetooth_through_power_cuts_a_killed_gateway_and_an_adapter_that_is_pulled(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    with (
        running(BleCity(tmp_path, mosquitto.port, interval_ms=500)) as city,
        Dongle(tmp_path / "dongle", tmp_path / "ble.air") as dongle,
    ):
        city.dongle = dongle
        city.start_verifier()
        city.start_air()
        city.start_gateway()
        city.start_board()
        city.more(4)
        city.board("power_cut")
        city.board("power_on")
        city.more(4)
        city.kill("gateway")
        city.start_gateway()
        city.more(4)
        dongle.pull()
        city.wait_for_log("gateway", "ble_absent")
        city.board("power_cut", after_flash_operations=7)
        wait_until(lambda: not city.board("state")["powered"], "the cut")
        city.board("power_on")
        dongle.plug()
        city.more(6)
        assert city.boots() == 3
        nothing_lost(city)
