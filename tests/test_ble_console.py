# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta ble scan` and `lykta ble console` at the shipped firmware, in the virtual air, each a process of its own."""

import asyncio
import json
import multiprocessing
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from firmware.wire import console, gatt
from firmware.wire.segment import Segmenter
from gateway.network.aes import ecb
from provisioning.bluetooth.console import Asked, Talk
from provisioning.bluetooth.nearby import Directory, Known
from provisioning.bluetooth.radio import Radio
from provisioning.cli.app import main
from provisioning.entries import Device
from provisioning.errors import BluetoothError
from tests.ble_air_rig import BleBoard, Central, Peer, ble_air, make_board
from tests.city import running, wait_until
from tests.conftest import Mosquitto
from tests.test_end_to_end_ble_board import BACKEND, BleCity
from tests.upy.small_network import KEY

pytestmark = pytest.mark.apart
BIN = {"kind": "waste_bin", "board": "virtual_waste_bin"}


class Technician:
    """Somebody with the city's directory and an adapter in the air."""

    def __init__(self, city: BleCity, monkeypatch: pytest.MonkeyPatch) -> None:
        self._city = city.folder / "city"
        self._said = city.folder / "technician"
        self._noted = city.folder / "technician.err"
        monkeypatch.setenv("LYKTA_BLE_BACKEND", BACKEND)
        monkeypatch.setenv("LYKTA_BLE_AIR", str(city.folder / "ble.air"))

    def lykta(self, *arguments: str, code: int = 0) -> str:
        """The command, in a copy of this process: to load all of it anew each time would take longer than to do it."""
        child = multiprocessing.get_context("fork").Process(target=self._run, args=(arguments,))
        child.start()
        child.join(200)
        said = self._said.read_text()
        assert child.exitcode == code, f"{arguments}: {child.exitcode}\n{said}\n{self._noted.read_text()}"
        return said if "--json" in arguments else said + self._noted.read_text()

    def sees(self, *devices: str) -> dict[str, Any]:
        """Scan until all of these are heard, and the registered ones among them have answered."""
        seen: dict[str, Any] = {}

        def all_of_them() -> bool:
            found = json.loads(self.lykta("ble", "scan", "--for", "4", "--json"))
            seen.update((row["device"], row) for row in found if row["battery"] or not row["dev_eui"])
            return seen.keys() >= set(devices)

        wait_until(all_of_them, f"{devices}, {seen}", 200)
        return seen

    def _run(self, arguments: tuple[str, ...]) -> None:
        with self._said.open("w") as said, self._noted.open("w") as noted:
            sys.stdout, sys.stderr = said, noted  # pytest's are not to be written to from here
            found = main(["-C", str(self._city), *arguments])
        os._exit(found)


@pytest.mark.timeout(900)
def test_a_technician_sees_and_asks_and_sets_and_the_session_does_not_notice(
    tmp_path: Path, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(BleCity(tmp_path, mosquitto.port, interval_ms=1000, **BIN)) as city:
        city.start_verifier()
        city.start_air()
        city.start_board()
        technician = Technician(city, monkeypatch)
        stranger = make_board(tmp_path / "stranger")  # its key is in no register
        where = ["--board", "virtual_ble", "--port", str(tmp_path / "s.tty"), "--ble-air", str(tmp_path / "ble.air")]
        city._start("stranger", ["boards.virtual", "run", str(stranger), *where])
        rows = technician.sees("lamp 1", "not registered")
        assert set(rows) == {"lamp 1", "not registered"}
        assert -95 <= rows["lamp 1"]["dBm"] <= 0
        assert rows["lamp 1"]["says"] in ("readings wait", "nothing new", "alarm")
        assert "%" in rows["lamp 1"]["battery"]
        assert rows["lamp 1"]["last contact"].endswith("s ago")
        assert rows["not registered"]["battery"] is None
        city.kill("stranger")
        technician.lykta("enrolled", city.dev_eui, code=1)
        done = json.loads(technician.lykta("ble", "enroll", "lamp 1", "--without", "clock", "--json"))
        assert done["self_test"]["flash"] == "works"
        (kept,) = json.loads(technician.lykta("enrolled", city.dev_eui))
        assert (kept["dev_eui"], kept["over"], kept["self_test"]) == (city.dev_eui, "bluetooth", done["self_test"])
        assert (tmp_path / "city" / "bench" / "labels" / f"{city.dev_eui}.zpl").read_text().startswith("^XA")
        assert json.loads(technician.lykta("ble", "console", city.dev_eui, "settings", "interval_s=2", "--json")) == {
            "interval_s": 2
        }
        assert "lykta devices" in technician.lykta("ble", "console", "lamp 9", code=1)
        city.start_gateway()
        city.more(3)
        assert city.boots() == 1


def test_a_conversation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYKTA_BLE_AIR", str(tmp_path / "ble.air"))

    async def live() -> None:
        image, radio = make_board(tmp_path / "b"), Radio(BACKEND)
        with pytest.raises(BluetoothError, match="cannot be listened to"):  # there is no air yet
            await radio.scan(1)
        async with ble_air(tmp_path) as (_, air), BleBoard(image, air) as board:
            found = []
            while not found:
                found = await radio.scan(1)
            who = Directory([known(b"another key     "), known(KEY)]).who(found[0])
            assert who is not None and Directory([known(b"another key     ")]).who(found[0]) is None
            async with radio.connected(found[0]) as line:
                with pytest.raises(BluetoothError, match="has not begun"):
                    await Talk(line, who).now()
                talk = Talk(line, who)
                await talk.begin()
                await talk.listen(True)
                assert await talk.command("maintenance", {"minutes": 1}) == {}
                lines = [await talk.line(5) for _ in range(2)]
                assert "service: maintenance for 1 minutes" in lines, lines
                await talk.listen(False)
                assert await talk.settings({"interval_s": 7, "groups": [1, 2]}) == {"interval_s": 7, "groups": [1, 2]}
                assert await talk.settings({}) == {"interval_s": 7, "groups": [1, 2]}
                now = await talk.now()
                assert now["uptime_s"] > 0 and now["waiting"] > 0 and "lamp_on" in now["values"]
                for name, arguments, said in (
                    ("dance", {}, "no such command"),
                    ("maintenance", {"minutes": -1}, "cannot be that"),
                    ("maintenance", {"hours": 1}, "no such name"),
                ):
                    with pytest.raises(BluetoothError, match=said):
                        await talk.command(name, arguments)
                with pytest.raises(BluetoothError, match="cannot be that"):
                    await talk.settings({"interval_s": 99_999_999})
            asked = Asked()
            for _ in range(2):  # the second time because the answer was lost, say
                async with radio.connected(found[0]) as line:
                    talk = Talk(line, who, asked)
                    await talk.begin()
                    assert await talk.command("maintenance", {"minutes": 3}) == {}
            assert board.text.count(b"maintenance for 3 minutes") == 1
            monkeypatch.setattr("provisioning.bluetooth.console._ANSWER_S", 1.0)  # there will be none
            async with radio.connected(found[0]) as line:
                with pytest.raises(BluetoothError, match="does not prove"):
                    await Talk(line, known(b"another key     ")).begin()

    asyncio.run(live())


def known(app_key: bytes) -> Known:
    device = Device(bytes(8), bytes(8), "street_light", "lamp", None, "registered", datetime.now(UTC))
    encrypt = ecb(app_key)
    return Known(device, ecb(gatt.hint_key(encrypt)), console.derived_key(encrypt))


def test_forged_and_repeated_requests_are_not_obeyed(tmp_path: Path) -> None:
    key = console.derived_key(ecb(KEY))

    async def live() -> None:
        image = make_board(tmp_path / "b")
        async with ble_air(tmp_path) as (_, air), BleBoard(image, air) as board:
            restart = b"\xa2\x00\x01\x01\x04"  # CBOR: {0: 1, 1: 4}, the command that makes it start anew
            async with Central(air) as central:
                peer = await central.connect()
                await peer.subscribe()
                line = _Line(peer)
                person = bytes(range(8))
                await line.send(console.hello(ecb(key), person))
                device = console.open_challenge(ecb(key), await line.receive(), person)
                channel = console.Channel(ecb, key, person, device, console.DOWN, console.UP)
                good = channel.seal(console.PORT_NOW, b"")
                await line.send(good)
                first = channel.open(await line.receive())
                assert first[0] == console.PORT_NOW
                await line.send(good)  # again: no answer
                forged = console.Channel(
                    ecb, console.derived_key(ecb(bytes(16))), person, device, console.DOWN, console.UP
                )
                await line.send(forged.seal(3, restart))
                await line.send(channel.seal(console.PORT_NOW, b""))
                assert channel.open(await line.receive())[0] == console.PORT_NOW
                recorded = channel.seal(3, restart)  # never sent here
                assert peer.values.empty()
            async with Central(air, 2) as central:
                peer = await central.connect()
                await peer.subscribe()
                line = _Line(peer)
                for _ in range(4):
                    await line.send(recorded)
                    await line.send(console.hello(ecb(bytes(16)), bytes(8)))
                await peer.until_gone()  # eight frames that are not ours
                assert peer.values.empty()
            assert board.board.state()["boots"] == 1
            assert b"restart in" not in board.text

    asyncio.run(live())


class _Line:
    """Frames over a central of the tests'; the board's answers fit one piece."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._cutter = Segmenter()

    async def send(self, phy: bytes) -> None:
        for piece in self._cutter.split(phy, self._peer.mtu - gatt.ATT_HEADER):
            await self._peer.write(piece)

    async def receive(self) -> bytes:
        async with asyncio.timeout(30):
            piece = await self._peer.values.get()
        assert piece[0] & 0xC0 == 0xC0
        return piece[1:]
