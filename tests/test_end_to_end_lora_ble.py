# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LoRa with Bluetooth while a gateway is near, from sensor to verifier: the way changes, nothing is lost or doubled."""

import json
from pathlib import Path
from typing import Any

import pytest

from firmware.wire import frame
from tests.ble_vm.dongle import Dongle
from tests.city import nothing_lost, running, wait_until
from tests.conftest import Mosquitto
from tests.lora_city import LoraCity
from tests.test_end_to_end_ble_board import BACKEND

pytestmark = [pytest.mark.timeout(1800), pytest.mark.apart]

_PATIENCE_S = 150


class BothCity(LoraCity):
    """One gateway with a packet forwarder and a Bluetooth adapter, which can be pulled: then no gateway is near."""

    def __init__(self, folder: Path, broker_port: int, **settings: Any) -> None:
        super().__init__(folder, broker_port, receipt_every=2, board="virtual_ble", **settings)
        self._ble_air = folder / "ble.air"
        self.run_options += ["--ble-air", str(self._ble_air)]
        text = self.config.read_text()
        assert 'type = "ble"\n' in text
        self.config.write_text(text.replace('type = "ble"\n', f'type = "ble"\nbackend = "{BACKEND}"\n'))
        self.dongle = Dongle(folder / "ble.dongle", self._ble_air)

    def _gateway_link(self) -> list[str]:
        return [*super()._gateway_link(), "--ble"]

    def _board_link(self) -> list[str]:
        return ["--link", "lora_ble", "--receipt-every", str(self._receipt_every)]

    def start_air(self) -> None:
        """Both airs."""
        self._start("ble_air", ["boards.virtual.ble", "--socket", str(self._ble_air)])
        wait_until(self._ble_air.exists, "the Bluetooth air's socket")
        super().start_air()

    def start_gateway(self, environment: dict[str, str] | None = None) -> None:
        """Its adapter is the dongle."""
        super().start_gateway({"LYKTA_BLE_AIR": str(self.dongle.socket), **(environment or {})})

    def over_bluetooth(self) -> int:
        """How many frames the daemon counted on that link since it started."""
        return self.counted_now("links", "ble_frames")

    def counted_now(self, group: str, name: str) -> int:
        """As `counted`, without a process for each question."""
        path = self.config.parent / "state" / "counters.json"
        try:
            return int(json.loads(path.read_text()).get(group, {}).get(name, 0))
        except (OSError, ValueError):  # it is not there yet
            return 0

    def over_lora(self) -> int:
        """How many whole uplinks with readings were in the air."""
        return sum(each.whole and each.mtype in (frame.UNCONFIRMED_UP, frame.CONFIRMED_UP) for each in self.on_air())


def _near_and_far(city: BothCity, dongle: Dongle, frames: int) -> None:
    """From whichever link to Bluetooth, then to LoRa, then to Bluetooth again."""
    near = city.over_bluetooth()
    wait_until(lambda: city.over_bluetooth() >= near + frames, "frames over Bluetooth", _PATIENCE_S)
    dongle.pull()  # the gateway goes
    on_air = city.over_lora()
    wait_until(lambda: city.over_lora() >= on_air + frames, "frames over LoRa", _PATIENCE_S)
    near = city.over_bluetooth()
    dongle.plug()  # and comes
    wait_until(lambda: city.over_bluetooth() >= near + frames, "frames over Bluetooth again", _PATIENCE_S)


def _joins(city: BothCity) -> int:
    """So many there were once readings have come; a busy machine may need a second one until then."""
    wait_until(lambda: len(city.verified_seqs()) > 0, "the first readings", _PATIENCE_S)
    return city.log("gateway").count('"event": "joined"')


def _one_session_and_nothing_lost(city: BothCity, joins: int) -> None:
    """The counters of the session went on over both links: none was used twice."""
    assert city.board("state")["boots"] == 1
    assert city.log("gateway").count('"event": "joined"') == joins
    assert city.counted("refused", "replayed") == 0
    nothing_lost(city)


def test_the_daemon_hears_one_session_over_two_links(tmp_path: Path, mosquitto: Mosquitto, seed: int) -> None:
    with running(BothCity(tmp_path, mosquitto.port, interval_ms=1500, seed=seed)) as city, city.dongle as dongle:
        city.start_all()
        joins = _joins(city)
        _near_and_far(city, dongle, 3)
        _one_session_and_nothing_lost(city, joins)


@pytest.mark.slow
def test_the_daemon_is_killed_wherever_the_board_is(tmp_path: Path, mosquitto: Mosquitto, seed: int) -> None:
    with running(BothCity(tmp_path, mosquitto.port, interval_ms=1500, seed=seed)) as city, city.dongle as dongle:
        city.start_all()
        joins = _joins(city)
        for frames in (3, 5, 4):
            _near_and_far(city, dongle, frames)
            city.kill("gateway")
            city.start_gateway()
        _near_and_far(city, dongle, 3)
        dongle.pull()
        city.kill("gateway")
        city.start_gateway()
        before = len(city.verified_seqs())
        wait_until(lambda: len(city.verified_seqs()) >= before + 4, "readings over LoRa", _PATIENCE_S)
        _one_session_and_nothing_lost(city, joins)
