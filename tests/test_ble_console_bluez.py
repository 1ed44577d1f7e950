# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta ble` on bleak's own BlueZ backend, against a look-alike of BlueZ: what works, what a technician is told."""

import asyncio
import json
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from firmware.wire import cbor, console, requests
from firmware.wire.readings import FPORT_SETTINGS
from gateway.network.aes import ecb
from provisioning.bluetooth import radio
from provisioning.bluetooth.console import Talk
from provisioning.bluetooth.nearby import Directory
from provisioning.bluetooth.radio import Radio
from provisioning.city import City, create_city
from provisioning.cli.app import main
from provisioning.errors import BluetoothError
from tests.ble_rig import Board, board
from tests.bluez_lookalike import BluezError, LookAlike
from tests.test_gateway_ble_bluez import bus, system_bus

__all__ = ["bus", "system_bus"]  # fixtures

pytestmark = pytest.mark.timeout(600)

STATE = {console.NOW_CONTACT_S: 7, console.NOW_WAITING: 3, console.NOW_UPTIME_S: 99}


class Device:
    """The device's end of a conversation, behind a board's Bluetooth."""

    def __init__(self, app_key: bytes, number: int = 1) -> None:
        self.key = console.derived_key(ecb(app_key))
        self.board: Board = board(number, key=app_key)
        self.board.answers = self.take
        self.hellos = 0
        self._channel: console.Channel | None = None

    def take(self, phy: bytes) -> list[bytes]:
        if console.kind(phy) == console.HELLO:
            self.hellos += 1
            theirs, ours = console.open_hello(ecb(self.key), phy), bytes([self.hellos]) * console.NONCE_BYTES
            self._channel = console.Channel(ecb, self.key, theirs, ours, console.UP, console.DOWN)
            return [console.challenge(ecb(self.key), theirs, ours)]
        assert self._channel is not None
        port, payload = self._channel.open(phy)
        if port == FPORT_SETTINGS:
            request = requests.decode(payload)
            answer = {requests.ID: request[requests.ID], requests.STATUS_KEY: requests.DONE}
            return [self._channel.seal(port, cbor.dumps(answer | {requests.VALUES: request[requests.SET]}))]
        return [self._channel.seal(port, cbor.dumps(STATE))]


@pytest.fixture
def city(tmp_path: Path) -> City:
    return create_city(tmp_path / "city", "Teststad")


def registered(city: City) -> Device:
    with city.registry() as registry:
        device = registry.register_device("street_light", name="lamp")
        return Device(registry.app_key(device.dev_eui))


def directory(city: City) -> Directory:
    with city.registry() as registry:
        return Directory.of(registry)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def test_the_commands_of_a_technician(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    device, stranger = registered(city), Device(bytes(16), 2)

    async def lykta(*arguments: str) -> Any:
        assert await asyncio.to_thread(main, ["-C", str(city.home), "ble", *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    async def scenario() -> None:
        async with LookAlike([device.board, stranger.board]) as bluez:
            rows = {row["device"]: row for row in await lykta("scan", "--for", "2")}
            assert set(rows) == {"lamp", "not registered"}
            assert rows["lamp"]["last contact"] == "7 s ago"
            assert rows["lamp"]["dBm"] == -60
            assert stranger.board.connections == 0  # nobody talks to what is not the city's
            assert await lykta("console", "lamp", "settings", "interval_s=30") == {"interval_s": 30}
            assert "StartNotify" not in bluez.calls  # values would be merged
            assert device.board.dropped is None  # it hangs up

    run(scenario())


def test_a_technician_is_told_what_is_wrong(city: City) -> None:
    device = registered(city)
    adapter, known = Radio(), directory(city)

    async def scenario() -> None:
        async with LookAlike([device.board]) as bluez:
            (found,) = await adapter.scan(1.0)
            who = known.who(found)
            assert who is not None
            for member in ("Connect", "AcquireNotify"):
                bluez.fail[member] = BluezError("Failed", "Software caused connection abort")  # bleak does not insist
                with pytest.raises(BluetoothError, match="does not take a connection"):
                    async with adapter.connected(found):
                        pass
                bluez.fail.clear()
            async with adapter.connected(found) as line:
                talk = Talk(line, who)
                await talk.begin()
                assert (await talk.now())["waiting"] == 3
                bluez.fail["WriteValue"] = BluezError("Failed", "Not connected")
                with pytest.raises(BluetoothError, match="connection to the board was lost"):
                    await talk.now()
                bluez.fail.clear()
                device.board.disconnect()
                with pytest.raises(BluetoothError, match="connection to the board was lost"):
                    await talk.now()
            bluez.unplug()
            with pytest.raises(BluetoothError, match="cannot be listened to") as caught:
                await adapter.scan(0.1)
            assert "NO_BLUETOOTH" not in str(caught.value)  # words, not bleak's objects
        with pytest.raises(BluetoothError, match="cannot be listened to"):  # bluetoothd does not run
            await adapter.scan(0.1)

    run(scenario())


@pytest.mark.parametrize("when", ["between two scans", "in a connection", "in a scan"])
def test_an_adapter_that_was_pulled_and_plugged_in_again_hears_the_boards(
    when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(radio, "_SEARCH_S", 1.0)
    one, ours = board(1), Radio()

    def any_of_them(_found: object) -> bool:
        return True

    async def scenario() -> None:
        async with LookAlike([one]) as bluez:
            (found,) = await ours.scan(60, any_of_them)
            if when == "in a connection":
                async with ours.connected(found):
                    bluez.unplug()
                    bluez.plug()
            elif when == "in a scan":
                bluez.deaf = True
                scan = asyncio.create_task(ours.scan(60, any_of_them))
                before = bluez.calls["StartDiscovery"]
                while bluez.calls["StartDiscovery"] == before:  # noqa: ASYNC110 - the look-alike has no event for it
                    await asyncio.sleep(0.01)
                bluez.unplug()  # what was searching is forgotten
                bluez.plug()
                bluez.deaf = False
                assert await scan
            else:
                bluez.unplug()
                with pytest.raises(BluetoothError, match="cannot be listened to"):
                    await ours.scan(0.1)
                bluez.plug()
            again: list[Any] = []
            async with asyncio.timeout(60):
                while not again:
                    with suppress(BluetoothError):  # until D-Bus has brought the news
                        again = await ours.scan(5, any_of_them)

    run(scenario())
