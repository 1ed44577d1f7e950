# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The pages docs/adding-a-*.md, followed word by word in a copy of the project: new files are enough."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Mosquitto

pytestmark = pytest.mark.timeout(300)  # commands in processes of their own, one after the other
ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("boards", "consumer", "firmware", "gateway", "provisioning")

KIND = """
from firmware.wire import kinds, readings
from firmware.wire.kinds import terms
kind = kinds.load("water_level")
assert "water_level" in terms.names()
encoded = readings.encode_reading(kind, 7, {"distance_m": 2.5, "temperature_c": -0.5}, time_s=1800000000)
items, oldest = readings.unpack_payload(readings.pack([encoded]))
seq, time_s, age_s, values = readings.decode_reading(kind, items[0])
assert (seq, values) == (7, {"distance_m": 2.5, "temperature_c": -0.5}), (seq, values)
print("ok")
"""
KIND_ON_BOARD = KIND.replace("from firmware.wire.kinds import terms\n", "").replace(
    'assert "water_level" in terms.names()\n', ""
)

BOARD = """
from boards import schema
from boards.virtual import models, scenario
from boards.virtual.environment import Environment
from boards.virtual.buses import Buses, I2cBus
from boards.virtual.pins import PinBank
from boards.virtual.protocol import HardwareError
assert "lykta_flood_gauge" in schema.names()
board = schema.load_board("lykta_flood_gauge")
clock = [0.0]
environment = Environment(scenario.load("still"), lambda: clock[0])
pins = PinBank(set(board.pins.gpio), set())
buses = Buses(pins, lambda: clock[0], print)
buses.i2c = {0: I2cBus({"scl": 9, "sda": 8})}
models.build_models(board, pins, buses, environment)
environment.hold("distance_m", 3.21)
buses.i2c_init(0, b"freq=100000")
chip = buses.i2c_device(0, 0x70)
chip.write(bytes([0x51]))
try:
    chip.read(2)
except HardwareError:
    clock[0] = 0.1
    print(int.from_bytes(chip.read(2), "big"))
"""

LINK = """
import asyncio
from gateway import links, plugins
from gateway.clock import SystemClock
from gateway.operate.counters import Counters
from firmware.wire import cobs

async def main():
    heard = asyncio.Queue()
    answered = asyncio.get_running_loop().create_future()
    async def converter(reader, writer):
        writer.write(b"noise" + cobs.frame(bytes(23)) + cobs.frame(bytes([64] * 30)))
        answered.set_result(await reader.readexactly(len(cobs.frame(b"down"))))
        writer.close()
    server = await asyncio.start_server(converter, "127.0.0.1", 0)
    module = plugins.load(links, "tcp")
    port = server.sockets[0].getsockname()[1]
    settings = module.Settings(type="tcp", name="cabinet-12", host="127.0.0.1", port=port)
    link = module.build(settings, SystemClock(), Counters())
    running = asyncio.create_task(link.run(heard.put_nowait))
    async with asyncio.timeout(30):
        frames = [(await heard.get()).phy, (await heard.get()).phy]
        await link.send("127.0.0.1", b"down")
        answer = await answered
    running.cancel()
    server.close()
    assert frames == [bytes(23), bytes([64] * 30)], frames
    assert answer == cobs.frame(b"down"), answer
    print("ok")

asyncio.run(main())
"""


DECODER = """
import sys, tomllib
from firmware.wire.kinds import terms
from gateway.config import NetworkSection
from gateway.records import decoders
assert "soil_probe" in decoders.names()
section = NetworkSection(**tomllib.loads(sys.argv[1])["network"])
(rule,) = section.options().profiles
assert rule.settings == {"class_c": False, "decoder": "soil_probe", "random_dev_nonce": True}, rule
seq = decoders.seq_of(7, 3)
payload = decoders.read(rule.settings["decoder"], bytes(8), "foreign", seq, (10, bytes([33, 84, 0x18, 0xFC])), 1.8e9)
print({each.name: each.value for each in payload.readings[0].measured})
print(decoders.read("soil_probe", bytes(8), "foreign", seq, (9, b""), 1.8e9).unreadable[0].why)
"""


PLATFORM = """
import asyncio, random, sys, tomllib
from pathlib import Path
from pydantic import TypeAdapter
from gateway import platforms, plugins
from gateway.operate.counters import Counters
from gateway.releases.opening import Item
from gateway.releases.release import release
from gateway.releases.settings import ReleaseSettings
from provisioning.outputs import Facts

async def main():
    heard = asyncio.get_running_loop().create_future()
    async def peer(reader, writer):
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        length = int(head.lower().split(b"content-length: ")[1].split()[0])
        heard.set_result((head.split()[1], await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
        await writer.drain()
        writer.close()
    server = await asyncio.start_server(peer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    table = {"type": "webhook", "name": "hook", "url": f"http://127.0.0.1:{port}"}
    settings = TypeAdapter(plugins.settings_type(platforms)).validate_python(table)
    context = platforms.Context("00" * 8, b"", Path(), lambda name: b"", Counters(), random.Random())
    partner = plugins.load(platforms, "webhook").build(settings, context)._partner
    item = Item("00" * 8, 1, "00" * 8, 1, 1.8e9, "device", {"power": 60.5}, {"power": "W"})
    await partner.open()
    assert await partner.deliver([release(item, Facts("street_light", "STL-0001"), ReleaseSettings()).released]) == ()
    print(*(part.decode() for part in await heard))
    await partner.close()
    server.close()

asyncio.run(main())
"""


_BOARD_RUN = "python -m boards.virtual run gauge.img --board lykta_flood_gauge --port gauge.tty"


@dataclass
class House:
    """A copy of the project's packages."""

    folder: Path

    def follow(self, page: str) -> None:
        """Add the files that a page shows. None of them exists before: nothing there has to be edited."""
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        blocks = re.findall(r"^```\w+ (\S+)\n(.*?)^```$", text, flags=re.M | re.S)
        assert blocks, page
        for name, content in blocks:
            path = self.folder / name
            with path.open("x", encoding="utf-8") as new:
                new.write(content)

    @property
    def _env(self) -> dict[str, str]:
        search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return {**os.environ, "PATH": search, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self._env, capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)[:200]}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def refused(self, *command: str) -> str:
        """Run a command that exits 1, and return what it says."""
        done = subprocess.run(
            command, cwd=self.folder, env=self._env, capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == 1, f"{' '.join(command)[:200]}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def running(self, *command: str) -> Iterator[None]:
        """Run a program beside the test, and end it."""
        with (self.folder / f"{command[0]}.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=self.folder, env=self._env, stdout=log, stderr=log)
            try:
                yield
            finally:
                process.terminate()
                try:
                    process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(timeout=20)


@pytest.fixture
def house(tmp_path: Path) -> House:
    folder = tmp_path / "house"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return House(folder)


def _commands(page: str) -> list[list[str]]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [line.removeprefix("$ ").split() for line in text.splitlines() if line.startswith("$ ")]


def test_a_kind_is_three_new_files(house: House, micropython: Path, mpy_cross: Path) -> None:
    house.follow("adding-a-kind.md")
    assert house.run(sys.executable, "-c", KIND) == "ok\n"
    # The same on the board's interpreter; and what a board of this kind is flashed with can be compiled.
    script = house.folder / "on_board.py"
    script.write_text(f"import sys\nsys.path.insert(0, {str(house.folder)!r})\n{KIND_ON_BOARD}")
    assert house.run(str(micropython), str(script)).strip() == "ok"
    house.run(str(mpy_cross), str(house.folder / "firmware" / "node" / "roles" / "water_level.py"))


def test_a_kind_can_be_registered_at_once(house: House) -> None:
    house.follow("adding-a-kind.md")
    commands = _commands("adding-a-kind.md")
    assert [command[0] for command in commands] == ["lykta"] * 3
    shown = [house.run(*command) for command in commands]
    assert "water_level" in shown[-1]
    assert "quay-7" in shown[-1]


def test_a_board_is_one_new_file_and_a_chip_another(house: House) -> None:
    house.follow("adding-a-kind.md")
    house.follow("adding-a-board.md")
    assert house.run(sys.executable, "-c", BOARD) == "321\n"


def test_the_new_kind_on_the_new_board_reaches_the_city(house: House, mosquitto: Mosquitto) -> None:
    house.follow("adding-a-kind.md")
    house.follow("adding-a-board.md")
    for command in _commands("adding-a-board.md"):
        house.run(*command)
    house.run("lykta", "-C", "try", "gateway", "enroll", "bridge", "--out", "bridge")
    assert _BOARD_RUN in (ROOT / "docs" / "adding-a-board.md").read_text(encoding="utf-8")
    config = house.folder / "bridge" / "gateway.toml"
    text = config.read_text(encoding="utf-8").replace("/dev/ttyACM0", str(house.folder / "gauge.tty"))
    config.write_text(text.replace("port = 1883", f"port = {mosquitto.port}"), encoding="utf-8")
    with (
        house.running(*_BOARD_RUN.split()),
        house.running("lykta-gateway", "run", "--config", str(config)),
    ):
        broker = f"{mosquitto.host}:{mosquitto.port}"
        shown = house.run("lykta", "-C", "try", "verify", "--broker", broker, "--count", "1", "--for", "60", "--json")
    readings = [line for line in map(json.loads, shown.splitlines()) if line.get("dev_eui") == "70b3d57ed0000007"]
    assert readings[0]["values"]["distance"] == 2.5


def test_a_decoder_is_one_new_file(house: House) -> None:
    house.follow("adding-a-decoder.md")
    page = (ROOT / "docs" / "adding-a-decoder.md").read_text(encoding="utf-8")
    table = re.findall(r"```toml\n(.*?)```", page, re.S)[0]
    assert house.run(sys.executable, "-c", DECODER, table).splitlines() == [
        "{'battery': 3.3, 'moisture': 0.42, 'soil_temperature': -10.0}",
        "decoder soil_probe: soil probe: 0 bytes on FPort 9; it sends 4 on FPort 10",
    ]


def test_a_vendors_sensor_can_be_registered_as_the_page_says(house: House) -> None:
    shown = [house.run(*command) for command in _commands("adding-a-decoder.md")]
    assert "a84041b2c3d4e5f6" in shown[-1]
    assert "foreign" in shown[-1]


def test_a_link_is_one_new_file(house: House) -> None:
    house.follow("adding-a-link.md")
    assert house.run(sys.executable, "-c", LINK) == "ok\n"


def test_a_link_is_known_to_the_configuration(house: House) -> None:
    house.follow("adding-a-link.md")
    table = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "adding-a-link.md").read_text(encoding="utf-8"), re.S)[0]
    script = (
        "import sys, tomllib; from pydantic import TypeAdapter; from gateway import links, plugins\n"
        "table = tomllib.loads(sys.argv[1])['links'][0]\n"
        "print(type(TypeAdapter(plugins.settings_type(links)).validate_python(table)).__module__)"
    )
    assert house.run(sys.executable, "-c", script, table) == "gateway.links.tcp\n"


def test_a_platform_is_one_new_file(house: House) -> None:
    house.follow("platforms.md")
    shown = house.run(sys.executable, "-c", PLATFORM)
    assert shown == '/readings [{"device":"STL-0001","time":1800000000.0,"power_w":60.5}]\n'


def test_a_rule_is_two_new_files_and_an_entry_in_the_pack(house: House) -> None:
    house.follow("adding-a-rule.md")
    page = (ROOT / "docs" / "adding-a-rule.md").read_text(encoding="utf-8")
    house.run("lykta", "init", "--city", "Try", "try")
    key = house.run("lykta", "role", "key", "slk-1.pem").strip()
    org = "lykta -C try org add kommunstyrelsen --name Kommunstyrelsen --kind namnd"
    house.run(*org.split())
    add = "lykta -C try role add slk-1 --name Astrid --role slk --org kommunstyrelsen --public-key"
    house.run(*add.split(), key)
    export, diff, sign, install, explain = _commands("adding-a-rule.md")
    house.run(*export)
    (entry,) = re.findall(r"^```toml\n(.*?)^```", page, re.M | re.S)
    with (house.folder / "pack.toml").open("a", encoding="utf-8") as pack:
        pack.write(entry)
    assert "+ rules.SAFE-1.numbers.least_m = 2.5" in house.refused(*diff)
    house.run(*sign)
    house.run(*install)
    assert "The device hangs {height} m up" in house.run(*explain)
    record = house.folder / "low.toml"
    record.write_text(
        'kind = "air"\nasset = { id = "STOLPE-1", type = "pole" }\n'
        "location = { lat = 59.3, lon = 18.0, height_m = 2.4 }\n",
        encoding="utf-8",
    )
    assert "The device hangs 2.4 m up; 2.5 m at least." in house.refused(
        "lykta", "-C", "try", "check", "low.toml", "--lang", "en"
    )
    record.write_text(record.read_text(encoding="utf-8").replace("2.4", "2.5"), encoding="utf-8")
    assert "SAFE-1" not in house.refused("lykta", "-C", "try", "check", "low.toml", "--lang", "en")
