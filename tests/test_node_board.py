# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The shipped firmware, compiled, on a virtual board with a board's heap: light, console, power cuts, faults."""

import asyncio
import random
import re
from pathlib import Path
from typing import Any

import pytest

from firmware.wire import kinds, readings
from tests.node_rig import Rig, identity, identity_files, make
from tests.upy.small_network import Server

pytestmark = pytest.mark.apart

LAMP, DIMMER = "21", "20"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return make(tmp_path, identity_files(identity()))


def values(rig: Rig, seq: int) -> dict[str, Any]:
    return readings.decode_reading(kinds.load("street_light"), rig.server.readings[seq])[3]


def contiguous(server: Server) -> int:
    """Up to which number nothing is missing."""
    seq = 0
    while seq + 1 in server.readings:
        seq += 1
    return seq


def test_a_board_joins_and_delivers_what_its_sensors_measure(image: Path) -> None:
    async def run() -> None:
        async with Rig(image) as rig:
            await rig.board.stimulus("illuminance_lx", 20.0)
            await rig.until(lambda: len(rig.server.readings) >= 12, "12 readings")
            assert rig.server.joins == [0]
            await rig.board.stimulus("temperature_c", -12.5)
            await rig.until(lambda: values(rig, max(rig.server.readings)).get("temperature_c") == -12.5, "the cold")
            measured = values(rig, max(rig.server.readings))
            truth = rig.board.state()["values"]
            assert measured["lamp_on"] is True
            assert measured["dim_pct"] == 100
            assert measured["voltage_v"] == pytest.approx(truth["mains_voltage_v"], rel=0.002)
            assert measured["power_w"] == pytest.approx(truth["load_power_w"], rel=0.01)
            assert measured["current_a"] == pytest.approx(truth["load_current_a"], rel=0.01)
            assert measured["illuminance_lx"] == pytest.approx(20, abs=1)
            assert rig.board.state()["misuses"] == 0, rig.board.state()["last_misuse"]
            assert rig.board.state()["faults"] == []

    asyncio.run(run())


def test_the_lamp_follows_the_light_and_shines_when_it_cannot_see(image: Path) -> None:
    async def run() -> None:
        async with Rig(image) as rig:
            await rig.board.stimulus("illuminance_lx", 500.0)
            await rig.board.until(lambda state: state["pins"].get(LAMP) == 0, 30)
            await rig.board.stimulus("illuminance_lx", 50.0)  # between the thresholds nothing changes
            await rig.until(
                lambda: (
                    values(rig, max(rig.server.readings or [0])).get("illuminance_lx", 0) < 60
                    if rig.server.readings
                    else False
                ),
                "dusk",
            )
            assert rig.board.state()["pins"][LAMP] == 0
            await rig.board.stimulus("illuminance_lx", 10.0)
            await rig.board.until(lambda state: state["pins"].get(LAMP) == 1, 30)

    asyncio.run(run())


@pytest.mark.parametrize("keys", [b"\x00\x03\x03", b"\x00\r\x03", b"\x00\x03"])
def test_a_break_leads_to_the_prompt_and_ctrl_d_back_to_work(image: Path, keys: bytes) -> None:
    async def run() -> None:
        async with Rig(image) as rig:
            await rig.until(lambda: len(rig.server.readings) >= 4, "4 readings")
            rig.connected = False
            rig.type(keys)
            await rig.until_says(b">>> ")
            assert rig.board.state()["pins"][LAMP] == 1
            rig.text = b""
            rig.type(b"print(6 * 7)\r")
            await rig.until_says(b"42")
            rig.connected = True
            count = len(rig.server.readings)
            rig.type(b"\x04")
            await rig.until(lambda: len(rig.server.readings) >= count + 4, "4 more readings")
            assert len(rig.server.joins) == 1
            assert not rig.server.conflicts

    asyncio.run(run())


def test_a_hardened_console_gives_no_prompt(tmp_path: Path) -> None:
    async def run() -> None:
        async with Rig(make(tmp_path, identity_files(identity(console=False)))) as rig:
            await rig.until(lambda: len(rig.server.readings) >= 4, "4 readings")
            rig.type(b"\x00\x03\x03\r\x03\x00")
            count = len(rig.server.readings)
            await rig.until(lambda: len(rig.server.readings) >= count + 8, "8 more readings")
            assert b">>>" not in rig.text
            assert b"node:" not in rig.text

    asyncio.run(run())


def test_power_cuts_at_any_flash_operation_lose_nothing(image: Path, rng: random.Random) -> None:
    async def run() -> None:
        async with Rig(image) as rig:
            await rig.until(lambda: len(rig.server.readings) >= 3, "3 readings")
            for _ in range(8):
                await rig.board.power_cut(rng.randrange(1, 30))
                await rig.board.until(lambda state: not state["powered"], 30)
                await rig.board.power_on()
                goal = len(rig.server.readings) + 3
                await rig.until(lambda goal=goal: len(rig.server.readings) >= goal, "3 more readings")
            goal = max(rig.server.readings) + 4
            await rig.until(lambda: rig.server.base >= goal, "everything receipted")
            assert not rig.server.conflicts
            assert len(set(rig.server.fcnts)) == len(rig.server.fcnts)
            assert len(rig.server.joins) == len(set(rig.server.joins)) == 1
            made = [item[0] for item in rig.server.readings.values()]
            assert sorted(made) == list(range(1, len(made) + 1))  # not one number left out

    asyncio.run(run())


def test_pulling_the_cable_loses_nothing(image: Path) -> None:
    async def run() -> None:
        async with Rig(image) as rig:
            await rig.until(lambda: len(rig.server.readings) >= 6, "6 readings")
            rig.connected = False
            count = rig.frames
            await rig.until(lambda: rig.frames >= count + 4, "frames that nobody takes")
            rig.connected = True
            goal = max(rig.server.readings) + 20
            await rig.until(lambda: contiguous(rig.server) >= goal, "all of them")
            assert not rig.server.conflicts

    asyncio.run(run())


def test_noise_and_text_on_the_line_do_no_harm(image: Path, rng: random.Random) -> None:
    async def run() -> None:
        async with Rig(image) as rig:
            for _ in range(30):
                await rig.until(lambda goal=rig.frames + 1: rig.frames >= goal, "a frame")
                rig.type(bytes(byte for byte in rng.randbytes(rng.randrange(400)) if byte != 3))
            goal = max(rig.server.readings) + 8
            await rig.until(lambda: contiguous(rig.server) >= goal, "all of them")
            assert rig.board.state()["boots"] == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, b"no identity on this board"),
        ({"/data/identity.a": b"rotten"}, b"both copies of the identity are damaged"),
        (identity_files(identity(interval_ms=1)), b"interval_ms is 1; 50 to 86400000 is possible"),
        (identity_files(identity(kind="lighthouse")), b"kind is 'lighthouse'; this firmware has no roles/lighthouse"),
        (identity_files(identity(link="smoke")), b"link is 'smoke'; this firmware has no links/smoke"),
        (identity_files(identity(extra=1)), b"'extra' is not known"),
        (identity_files(identity(app_key=b"short")), b"app_key is that value; length 16 to 16 is possible"),
    ],
)
def test_a_board_without_a_usable_identity_says_why_and_gives_the_prompt(
    tmp_path: Path, data: dict[str, bytes], words: bytes
) -> None:
    async def run() -> None:
        async with Rig(make(tmp_path, data)) as rig:
            await rig.until_says(words)
            rig.type(b"\x03\x03")
            await rig.until_says(b">>> ")

    asyncio.run(run())


def test_a_board_that_lost_its_identity_still_finds_its_lamp(image: Path) -> None:
    async def run() -> None:
        async with Rig(image) as rig:
            await rig.board.stimulus("illuminance_lx", 500.0)
            await rig.board.until(lambda state: state["pins"].get(LAMP) == 0, 30)
            rig.type(b"\x00\x03\x03")
            await rig.until_says(b">>> ")
            rig.type(b"import os; os.remove('/data/identity.a'); import machine; machine.reset()\r")
            await rig.until_says(b"no identity on this board")
            assert rig.board.state()["pins"][LAMP] == 1
            assert rig.board.state()["pwm_duty_pct"][DIMMER] == 100

    asyncio.run(run())


def test_an_unknown_fault_is_shown_and_ends_in_a_reset(tmp_path: Path) -> None:
    async def run() -> None:
        data = identity_files(identity()) | {"/firmware/node/app.py": b"raise RuntimeError('broken install')\n"}
        async with Rig(make(tmp_path, data)) as rig:
            await rig.until_says(b"RuntimeError: broken install")
            assert rig.board.state()["pins"][LAMP] == 1
            await rig.board.until(lambda state: state["boots"] >= 2, 30)

    asyncio.run(run())


def test_a_board_that_hangs_is_bitten_and_comes_back(tmp_path: Path) -> None:
    async def run() -> None:
        values = identity()
        values["board"]["wdt_ms"] = 2000
        trap = (
            b"import time\n"
            b"class Photocell:\n"
            b"    def __init__(self, adc):\n"
            b"        self.looks = 0\n"
            b"    def illuminance_lx(self):\n"
            b"        self.looks += 1\n"
            b"        while self.looks > 20: pass\n"
            b"        return 10.0\n"
        )
        data = identity_files(values) | {"/firmware/node/sensors/photocell.py": trap}
        async with Rig(make(tmp_path, data)) as rig:
            await rig.board.until(lambda state: state["watchdog_bites"] >= 2, 30)
            await rig.until(lambda: len(rig.server.readings) >= 20, "readings before and after")
            assert len(rig.server.joins) == 1
            assert not rig.server.conflicts

    asyncio.run(run())


def test_sensors_that_fail_cost_their_values_only(tmp_path: Path) -> None:
    async def run() -> None:
        values = identity()
        values["board"]["temperature_addr"] = 0x4F  # nobody there
        values["board"]["meter_uart"]["baud"] = 9600  # the chip speaks 4800
        async with Rig(make(tmp_path, identity_files(values))) as rig:
            await rig.until(lambda: len(rig.server.readings) >= 5, "5 readings")
            measured = readings.decode_reading(kinds.load("street_light"), rig.server.readings[5])[3]
            assert measured.keys() == {"lamp_on", "dim_pct", "illuminance_lx"}
            await rig.until_says(b"temperature failed 4 times")
            await rig.until_says(b"meter failed 4 times")

    asyncio.run(run())


SMALL_HEAP = 232 * 1024
USED = 188 * 1024


def test_a_heap_of_256_kilobytes_has_room_to_spare(tmp_path: Path) -> None:
    """benchmarks/bench_heap.py prints the figures; simulated hardware is in them."""

    async def run() -> None:
        image = make(tmp_path, identity_files(identity(interval_ms=50)))
        async with Rig(image, heap_bytes=SMALL_HEAP) as rig:
            await rig.until(lambda: len(rig.server.readings) >= 130, "130 readings in a smaller heap still")
            used = [int(number) for number in re.findall(rb"heap: (\d+) bytes used", rig.text)]
            assert len(used) >= 4
            assert max(used) <= USED
            assert used[-1] <= used[1] + 1024  # nothing grows
            assert b"MemoryError" not in rig.text

    asyncio.run(run())
