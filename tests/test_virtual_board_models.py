# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Models of the virtual board by themselves: flash, chips, scenarios, and the two copies of the protocol's numbers."""

import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boards.errors import SchemaError
from boards.virtual import hal as hal_folder
from boards.virtual import scenario
from boards.virtual.buses import Buses, I2cBus, Uart
from boards.virtual.environment import Environment
from boards.virtual.flash import NorFlash
from boards.virtual.models import bl0942, lamp, lm75
from boards.virtual.pins import PinBank
from boards.virtual.protocol import Misuse, Op

BLOCK, PAGE = 4096, 256


def nor(folder: Path, blocks: int = 4, seed: int = 0) -> NorFlash:
    image = folder / "nor.img"
    image.write_bytes(b"\xff" * BLOCK * blocks)
    return NorFlash(image, BLOCK * blocks, BLOCK, PAGE, random.Random(seed))


def surroundings(**held: float) -> Environment:
    environment = Environment(scenario.load("still"), lambda: 0.0)
    for name, value in held.items():
        environment.publish(name, lambda value=value: value)
    return environment


def test_flash_clears_bits_and_only_an_erase_sets_them(tmp_path: Path) -> None:
    flash = nor(tmp_path)
    flash.program(PAGE, b"\x0f" * PAGE)
    flash.program(PAGE, b"\x03" * PAGE)
    with pytest.raises(Misuse, match="set bits"):
        flash.program(PAGE, b"\x04" * PAGE)
    flash.erase(0)
    flash.program(PAGE, b"\xf0" * PAGE)
    assert flash.image.read_bytes()[PAGE : 2 * PAGE] == b"\xf0" * PAGE
    assert flash.erases == [1, 0, 0, 0]
    flash.close()


@pytest.mark.parametrize(
    ("address", "data"), [(1, bytes(PAGE)), (0, bytes(PAGE - 1)), (0, b""), (4 * BLOCK, bytes(PAGE))]
)
def test_flash_refuses_a_program_that_the_chip_could_not_do(tmp_path: Path, address: int, data: bytes) -> None:
    flash = nor(tmp_path)
    with pytest.raises(Misuse, match="whole 256-byte pages"):
        flash.program(address, data)
    with pytest.raises(Misuse, match="not the start of a 4096-byte block"):
        flash.erase(PAGE)
    flash.close()


def test_a_cut_program_leaves_a_beginning_and_a_cut_erase_leaves_nothing_sure(tmp_path: Path, seed: int) -> None:
    cut = []
    flash = nor(tmp_path, seed=seed)
    flash.cut_after(2, lambda: cut.append(flash.operations))
    flash.program(0, b"\x00" * PAGE)
    assert cut == []
    flash.program(PAGE, b"\x00" * PAGE)
    assert cut == [2]
    page = flash.image.read_bytes()[PAGE : 2 * PAGE]
    assert re.fullmatch(rb"\x00*[\x00-\xff]?\xff*", page, re.S)
    flash.cut_after(1, lambda: cut.append(flash.operations))
    flash.erase(0)
    assert cut == [2, 3]
    flash.erase(0)
    assert flash.image.read_bytes()[:BLOCK] == b"\xff" * BLOCK
    flash.close()


# NXP LM75B data sheet, table 10: temperature and register value (11 bits).
@pytest.mark.parametrize(
    ("celsius", "bits"),
    [
        (127.0, 0x3E8),
        (125.0, 0x3E8),
        (25.0, 0x0C8),
        (0.125, 0x001),
        (0.0, 0x000),
        (-0.125, 0x7FF),
        (-25.0, 0x738),
        (-55.0, 0x648),
    ],
)
def test_lm75_encodes_as_its_data_sheet_says(celsius: float, bits: int) -> None:
    assert lm75.encode_temperature(celsius) == (bits << 5).to_bytes(2, "big")


@given(st.floats(min_value=-60, max_value=130))
def test_lm75_is_right_to_half_a_step(celsius: float) -> None:
    value = int.from_bytes(lm75.encode_temperature(celsius), "big", signed=True)
    assert value % 32 == 0
    assert abs(value / 256 - max(-55.0, min(125.0, celsius))) <= 0.0625


def test_lm75_registers_hold_what_is_written_and_shutdown_holds_the_temperature() -> None:
    environment = surroundings(temperature_c=21.5)
    pins = PinBank({8, 9}, set())
    buses = Buses(pins, lambda: 0.0, lambda text: None)
    buses.i2c = {0: I2cBus({})}
    chip = lm75.Chip(lm75.Config(model="lm75", i2c=0, address=0x49), pins, buses, environment)
    assert buses.i2c[0].devices == {0x49: chip}
    assert chip.read(4) == b"\x15\x80\x15\x80"
    chip.write(b"\x03")
    assert chip.read(2) == b"\x50\x00"
    chip.write(b"\x03\x20\x80")
    assert chip.read(2) == b"\x20\x80"
    chip.write(b"\x01\x01")
    environment.hold("temperature_c", -40.0)
    chip.write(b"\x00")
    assert chip.read(2) == b"\x15\x80"


@pytest.mark.parametrize("name", ["still", "demo"])
def test_a_lamp_takes_the_energy_of_the_hours_that_pass_in_its_scenario(name: str) -> None:
    now_s = [0.0]
    environment = Environment(scenario.load(name), lambda: now_s[0])
    pins = PinBank({20, 21}, set())
    fields = {"model": "lamp", "relay_pin": 21, "dim_pin": 20, "rated_w": 60.0, "driver_w": 2.0, "power_factor": 0.95}
    chip = lamp.Chip(lamp.Config(**fields), pins, Buses(pins, lambda: 0.0, lambda text: None), environment)
    pins.init(21, 1, 0, 1)
    pins.pwm_set(20, 1000, 65535)
    now_s[0] = 3600.0 / (environment.scenario.speed or 1.0)
    assert chip.energy_wh() == pytest.approx(60.0)


def meter(**load: float) -> bl0942.Chip:
    pins = PinBank(set(), set())
    buses = Buses(pins, lambda: 0.0, lambda text: None)
    buses.uart = {1: Uart()}
    config = bl0942.Config(
        model="bl0942",
        uart=1,
        baud=4800,
        address=0,
        shunt_mohm=1.0,
        divider_upper_kohm=1950.0,
        divider_lower_kohm=0.51,
    )
    return bl0942.Chip(config, pins, buses, surroundings(**load))


def test_bl0942_counts_as_its_application_note_does() -> None:
    # The note's example for the reference circuit, as the BL0942_SPI library of R. Tillaart quotes it:
    # 3494335 -> 220 V, 251213 -> 1 A, 137146 -> 220 W, 1200 pulses -> 0.224 kWh.
    chip = meter(load_current_a=1.0, load_power_w=220.0, load_energy_wh=224.0, mains_voltage_v=220.0)
    packet = chip.receive(b"\x58\xaa")
    assert len(packet) == 23
    assert int.from_bytes(packet[4:7], "little") == pytest.approx(3494335, abs=2)
    assert int.from_bytes(packet[1:4], "little") == 251213
    assert int.from_bytes(packet[10:13], "little") == pytest.approx(137146, abs=2)
    assert int.from_bytes(packet[13:16], "little") == pytest.approx(1200, abs=2)


def test_bl0942_answers_whole_commands_only_and_checks_its_own_sums() -> None:
    chip = meter(load_current_a=0.0, load_power_w=-10.0, load_energy_wh=0.0)
    assert chip.receive(b"\x58") == b""
    packet = chip.receive(b"\xaa")
    assert packet[22] == ~(0x58 + sum(packet[:22])) & 0xFF
    assert int.from_bytes(packet[10:13], "little", signed=True) < 0
    assert chip.receive(b"\x00\xff\x58\xaa") == packet
    mode = chip.receive(b"\x58\x19")
    assert mode == b"\x87\x00\x00" + bytes([~(0x58 + 0x19 + 0x87) & 0xFF])
    assert chip.receive(bytes([0xA8, 0x19, 0x8F, 0, 0, ~(0xA8 + 0x19 + 0x8F) & 0xFF])) == b""
    assert chip.receive(b"\x58\x19")[0] == 0x8F
    assert chip.receive(bytes([0xA8, 0x19, 0x00, 0, 0, 0x00])) == b"", "a wrong checksum changes nothing"
    assert chip.receive(b"\x58\x19")[0] == 0x8F
    assert chip.receive(b"\x58\x77") == b"", "no such register"


@pytest.mark.parametrize("name", scenario.names())
def test_a_scenario_is_the_same_every_time_and_stays_in_its_bounds(name: str, seed: int) -> None:
    one, same, other = scenario.load(name, seed), scenario.load(name, seed), scenario.load(name, seed + 1)
    times = [one.start_s + n * 617.0 for n in range(300)]
    day = [one.at(t) for t in times]
    assert day == [same.at(t) for t in times]
    assert (day != [other.at(t) for t in times]) or name == "still"
    assert all(0 <= now["illuminance_lx"] <= one.peak_lx for now in day)
    assert min(now["illuminance_lx"] for now in day) == 0, "a day has a night"
    assert max(now["illuminance_lx"] for now in day) > 0.3 * one.peak_lx
    calm = [now for t, now in zip(times, day, strict=True) if not one.event("mains_off_by_v", t)]
    assert all(abs(now["mains_voltage_v"] - 230) <= one.mains_noise_v for now in calm)


def test_an_unknown_scenario_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(SchemaError, match=r"no scenario 'mars'.*demo, .*still, street"):
        scenario.load("mars")


def test_a_demo_day_passes_in_minutes() -> None:
    clock = [100.0]
    environment = Environment(scenario.load("demo"), lambda: clock[0])
    start = environment.scenario_time_s()
    clock[0] += 240.0
    assert environment.scenario_time_s() - start == pytest.approx(86400)


def test_both_sides_of_the_protocol_have_the_same_numbers() -> None:
    text = (Path(next(iter(hal_folder.__path__))) / "hal.py").read_text()
    numbers = {
        name: int(value, 16) for name, value in re.findall(r"^([A-Z0-9_]+) = const\((0x[0-9A-F]+)\)", text, re.M)
    }
    assert numbers == {op.name: op.value for op in Op if op is not Op.HELLO}
