# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A release by Bluetooth through the gateway: processes in a simulated air, over a power cut, then one that breaks."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from provisioning.bench.package import Package, Purpose, package_for
from provisioning.updates import release, rollout
from tests.ble_air_rig import BOARD
from tests.city import wait_until
from tests.rollout_rig import Street
from tests.test_end_to_end_ble_board import BACKEND

pytestmark = [pytest.mark.apart, pytest.mark.slow, pytest.mark.timeout(1800)]


class BleStreet(Street):
    """Boards that have Bluetooth only, and a gateway with an adapter."""

    LINK = "ble"
    patience_s = 900

    def __init__(self, folder: Path, node: Package, count: int) -> None:
        self._air = folder / "ble.air"
        super().__init__(folder, node, count, interval_ms=2000)
        self._environment = {"LYKTA_BLE_AIR": str(self._air)}
        self._run += ["--ble-air", str(self._air)]

    def _gateway_link(self) -> list[str]:
        return ["--ble"]

    def _with_links(self, config: str) -> str:
        assert 'type = "ble"\n' in config
        return config.replace('type = "ble"\n', f'type = "ble"\nbackend = "{BACKEND}"\n')

    def _surroundings(self, stack: ExitStack) -> None:
        process = self._started(["boards.virtual.ble", "--socket", str(self._air), "--loss", "0.02"], "air.log")
        stack.callback(process.wait, 60)
        stack.callback(process.kill)
        wait_until(self._air.exists, "the air's socket")


def node() -> Package:
    return package_for(BOARD, Purpose("street_light", frozenset({"serial", "ble"})))


def newer() -> Package:
    return replace(node(), files={**node().files, "firmware/newer.mpy": node().files["firmware/__init__.mpy"]})


def test_a_good_release_stays_and_a_bad_one_undoes_itself_and_stops_the_roll_out(tmp_path: Path) -> None:
    street = BleStreet(tmp_path, node(), 2)
    good = release.make(newer(), 1, street.key, base=release.Base.of(node()), health_s=600)
    worse = replace(newer(), main=b"import nothing_like_this\n")
    bad = release.make(worse, 2, street.key, base=release.Base.of(newer()), health_s=600)
    for name, made in (("good", good), ("bad", bad)):
        street.lykta("update", "plan", street.save(made, name), *(each.dev_eui.hex() for each in street.boards))
    with street.running():
        street.lykta("update", "start", "good")
        size = len(good.bundle)
        street.until("good", lambda boards: any(size // 4 < each.have for each in boards), "a quarter of it")
        for number in range(2):
            street.board(number, "power_cut")
            street.board(number, "power_on")
        ended = street.until("good", lambda boards: all(each.state in rollout.ENDED for each in boards), "the end")
        assert [each.state for each in ended] == [rollout.CONFIRMED] * 2, ended
        street.lykta("update", "start", "bad")
        ended = street.until("bad", lambda boards: any(each.state in rollout.ENDED for each in boards), "a roll-back")
        assert {each.problem for each in ended if each.state in rollout.ENDED} <= {"unhealthy", ""}
        assert rollout.FAILED in {each.state for each in ended}
        assert "bad: stopped" in street.lykta("update", "status", "bad", code=1)
