# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta ble update` as a process, at the shipped firmware in the virtual air: forged, cut twice, tried, confirmed."""

import asyncio
import os
import random
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from boards.schema import load_board
from provisioning.bench.package import Package, Purpose, package_for
from provisioning.bench.record import FOLDER
from provisioning.city import City, create_city
from provisioning.updates import keys, release
from tests.ble_air_rig import BOARD, BleBoard, Central, Gateway, ble_air
from tests.node_rig import identity, identity_files
from tests.test_end_to_end_ble_board import BACKEND
from tests.update_rig import KEY, board_image
from tests.upy.small_network import KEY as APP_KEY
from tests.upy.small_network import Server

pytestmark = [pytest.mark.apart, pytest.mark.slow, pytest.mark.timeout(900)]

FORGER = ec.derive_private_key(0x666F72676572, ec.SECP256R1())
PATIENCE_S = 240


def node() -> Package:
    return package_for(BOARD, Purpose("street_light", frozenset({"serial", "ble"})))


def newer(more: bytes) -> Package:
    files = node().files
    one = {
        "firmware/newer.mpy": files["firmware/__init__.mpy"],
        "firmware/more.mpy": files["firmware/__init__.mpy"] + more,
    }
    return replace(node(), files={**files, **one})


def trust(city: City, name: str, public: ec.EllipticCurvePublicKey) -> None:
    (city.home / FOLDER).mkdir(exist_ok=True)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    (city.home / FOLDER / name).write_bytes(public.public_bytes(serialization.Encoding.PEM, form))


class Command:
    """`lykta ble update lamp FILE`, and what it says."""

    def __init__(self, city: City, air: Path, file: Path) -> None:
        self._city, self._air, self._file = city, air, file
        self.said = ""

    async def run(self, until: str = "", then: Callable[["Command"], Awaitable[None]] | None = None) -> int:
        """Its exit code. *then* happens once, when it has said *until*."""
        environment = {**os.environ, "LYKTA_BLE_BACKEND": BACKEND, "LYKTA_BLE_AIR": str(self._air)}
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "provisioning.cli", "-C", self._city.home, "ble", "update", "lamp", self._file),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
        )
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE_S):
                while line := await self.process.stdout.readline():
                    self.said += line.decode()
                    if then is not None and re.search(until, line.decode()):
                        await then(self)
                        then = None
                return await self.process.wait()
        finally:
            print(self.said)
            if self.process.returncode is None:
                self.process.kill()
                await self.process.wait()

    async def kill(self) -> None:
        self.process.kill()


@pytest.fixture
def city(tmp_path: Path) -> City:
    made = create_city(tmp_path / "city", "Teststad")
    with made.registry() as registry:
        registry.register_device("street_light", name="lamp", app_key=APP_KEY)
    trust(made, keys.PUBLIC, KEY.public_key())
    return made


@pytest.fixture
def image(tmp_path: Path) -> Path:
    values = identity(link="ble", board=load_board(BOARD).node.as_map(), queue_bytes=8192, interval_ms=2000)
    return board_image(tmp_path, node(), identity_files(values), BOARD)


def test_a_release_by_the_command(city: City, image: Path, tmp_path: Path, rng: random.Random) -> None:
    build, base = newer(rng.randbytes(9000)), release.Base.of(node())
    good, forged = tmp_path / "good.lyktaup", tmp_path / "forged.lyktaup"
    good.write_bytes(release.make(build, 1, KEY, base=base, health_s=600).write())
    forged.write_bytes(release.make(build, 1, FORGER, base=base).write())

    async def live() -> None:
        async with ble_air(tmp_path) as (_, air), BleBoard(image, air) as board:
            refused = Command(city, air, forged)
            assert await refused.run() == 1  # the command does not know the forger
            assert "not signed by this city" in refused.said
            trust(city, "release2.pub.pem", FORGER.public_key())
            refused = Command(city, air, forged)
            assert await refused.run() == 1  # nor does the board
            assert "unknown key" in refused.said

            async def power_cut(_command: Command) -> None:
                await board.board.power_cut()
                await board.board.power_on()

            killed = Command(city, air, good)
            assert await killed.run("[2-4]0 %", Command.kill) < 0
            again = Command(city, air, good)
            assert await again.run("[5-8]0 %", power_cut) == 0
            tenths = [int(each) for each in re.findall("lamp: ([0-9]+) %", again.said)]
            # on from where the first was killed, and through the cut
            assert tenths[0] >= 20 and tenths == sorted(set(tenths))
            assert "connection 1: " in again.said
            assert "is on trial" in again.said
            await board.until_says(b"is on trial")

            server = Server()
            async with Central(air) as central, Gateway(central, server) as gateway:
                await gateway.until(lambda: server.base > 0, "a receipt")
                await board.until_says(b"is confirmed")
            told = Command(city, air, good)
            assert await told.run() == 0
            assert f"{release.read(good.read_bytes(), '').name} runs" in told.said

    asyncio.run(live())
