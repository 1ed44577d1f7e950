# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The gateway's Bluetooth link and the shipped firmware in one virtual air: MicroPython, GATT, bleak's public API."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from boards.virtual.ble.air import Conditions
from boards.virtual.ble.bleak_backend import SOCKET
from gateway.links import Uplink
from gateway.links.ble.link import BleLink
from tests.ble_air_rig import BleBoard, ble_air, make_board
from tests.ble_rig import Gateway
from tests.upy.small_network import Server

pytestmark = pytest.mark.timeout(600)

BACKEND = "boards.virtual.ble.bleak_backend:AIR"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_board(tmp_path_factory.mktemp("ble"))


@pytest.fixture(autouse=True)
def air_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SOCKET, str(tmp_path / "ble.air"))


def _fresh(image: Path, folder: Path) -> Path:
    copy = folder / "image"
    copy.write_bytes(image.read_bytes())
    return copy


def answers(server: Server, link: BleLink) -> Callable[[Uplink], None]:
    """The network's answers go down the link that the uplink came from."""

    async def send(uplink: Uplink) -> None:
        for phy in server.uplink(uplink.phy):
            await link.send(uplink.address, phy)

    return lambda uplink: asyncio.get_running_loop().create_task(send(uplink)) and None


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_a_board_joins_and_is_receipted_through_the_gateways_link(
    image: Path, tmp_path: Path, loss: float, seed: int
) -> None:
    async def live() -> None:
        server, gateway = Server(), Gateway(backend=BACKEND, scan_s=2.0, connect_s=10.0)
        gateway.on_frame = answers(server, gateway.link)
        conditions = Conditions(loss=loss, delay_s=0.01)
        async with (
            ble_air(tmp_path, conditions, seed) as (_, air),
            BleBoard(_fresh(image, tmp_path), air),
            gateway.running(),
        ):
            await gateway.until(lambda: server.base >= 10, "ten receipted readings")
        assert not server.conflicts
        assert gateway.counted("pieces_lost") == 0

    asyncio.run(live())


def test_an_adapter_that_is_pulled_and_put_back_loses_nothing(image: Path, tmp_path: Path) -> None:
    async def live() -> None:
        server, gateway = Server(), Gateway(backend=BACKEND, scan_s=2.0, connect_s=10.0)
        gateway.on_frame = answers(server, gateway.link)
        async with (
            ble_air(tmp_path) as (medium, air),
            BleBoard(_fresh(image, tmp_path), air),
            gateway.running(),
        ):
            await gateway.until(lambda: server.base >= 4, "the first receipts")
            await pull(medium)
            await gateway.until(lambda: gateway.counted("ended_gone"), "the connection is over")
            before = server.base
            await gateway.until(lambda: server.base >= before + 6, "readings after that")
        assert not server.conflicts

    asyncio.run(live())


async def pull(medium: object) -> None:
    """Take away the gateway's controller, whose address the backend chooses."""
    for port in list(medium._ports):  # type: ignore[attr-defined]
        if str(port._controller.random_address).startswith("C0:A7:E0"):
            port.close()
