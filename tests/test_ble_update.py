# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A signed release comes to the shipped firmware over its Bluetooth console, through a lost line, and is confirmed."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from boards.schema import load_board
from provisioning.bench.package import Package, Purpose, package_for
from provisioning.bluetooth import updating
from provisioning.bluetooth.contact import Contact
from provisioning.bluetooth.nearby import Directory
from provisioning.bluetooth.radio import Radio
from provisioning.errors import BluetoothError
from provisioning.updates import release
from provisioning.updates.sender import DONE, TRIAL, Sender
from tests.ble_air_rig import BOARD, BleBoard, Central, Gateway, ble_air
from tests.node_rig import identity, identity_files
from tests.test_ble_console import known
from tests.test_end_to_end_ble_board import BACKEND
from tests.update_rig import KEY, board_image
from tests.upy.small_network import KEY as APP_KEY
from tests.upy.small_network import Server

pytestmark = [pytest.mark.apart, pytest.mark.timeout(600)]


def node() -> Package:
    return package_for(BOARD, Purpose("street_light", frozenset({"serial", "ble"})))


def newer() -> Package:
    return replace(node(), files={**node().files, "firmware/newer.mpy": node().files["firmware/__init__.mpy"]})


def test_a_release_over_the_console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYKTA_BLE_AIR", str(tmp_path / "ble.air"))
    values = identity(link="ble", board=load_board(BOARD).node.as_map(), queue_bytes=8192, interval_ms=2000)
    image = board_image(tmp_path, node(), identity_files(values), BOARD)
    good = release.make(newer(), 1, KEY, base=release.Base.of(node()), health_s=300)
    forged = release.make(newer(), 1, ec.generate_private_key(ec.SECP256R1()), base=release.Base.of(node()))

    contact = Contact(Radio(BACKEND), Directory([known(APP_KEY)]), print)

    async def live() -> None:
        async with ble_air(tmp_path) as (_, air), BleBoard(image, air) as board:
            with pytest.raises(BluetoothError, match="does not take this release") as caught:
                await updating.carry(contact, Sender(forged.signed, forged.bundle), lambda *_: None)
            assert caught.value.value == "unknown key"

            seen: list[int] = []

            def report(have: int, _total: int) -> None:
                seen.append(have)
                if have and len(set(seen)) == 2:
                    seen.append(-1)
                    raise BluetoothError("the technician walks away")

            sender = Sender(good.signed, good.bundle)
            await updating.carry(contact, sender, report)
            assert sender.state == TRIAL
            at = seen.index(-1)
            assert seen[at + 1] >= seen[at - 1] > 0  # it went on, and did not begin again
            await board.until_says(b"is on trial")

            server = Server()
            async with Central(air) as central, Gateway(central, server) as gateway:
                await gateway.until(lambda: server.base > 0, "a receipt")
                await board.until_says(b"is confirmed")
            again = Sender(good.signed, good.bundle)
            await updating.carry(contact, again, lambda *_: None)
            assert again.state == DONE

    asyncio.run(live())
