# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Driver and chip, byte by byte: what is sent on SPI, what a broken chip looks like, what a wrong driver meets."""

import json
from pathlib import Path

import pytest

from boards.virtual.models import sx126x, sx127x
from tests.radio_rig import RadioBench
from tests.test_virtual_radio import BOARDS, SF10, UP, now_us, with_board

VECTORS = json.loads((Path(__file__).parent / "vectors" / "radio" / "sx126x_spi.json").read_text("utf-8"))


def expected(part: str) -> list[str]:
    return [line.replace(" ", "").lower() for line, _section in VECTORS[part]]


def chip(bench: RadioBench) -> sx126x.Chip:
    model = bench.board.hardware.models["sx126x"]
    assert isinstance(model, sx126x.Chip)
    return model


def sent(bench: RadioBench) -> list[str]:
    commands = [command.hex() for command in chip(bench).commands]
    chip(bench).commands.clear()
    return commands


def test_the_sx126x_gets_the_bytes_of_the_data_sheet(tmp_path: Path) -> None:
    async def test(bench: RadioBench) -> None:
        assert sent(bench) == expected("init")
        await bench.go(f"radio.transmit({UP}, 14, b'hello')")
        commands = sent(bench)
        assert commands[:12] == expected("transmit")
        # 30976 us on air plus 100 ms plus the TCXO's 5 ms
        assert commands[12] == "83" + format((30976 + 100_000 + 5000) * 8 // 125, "06x")
        await bench.go(f"windows({now_us() + 100_000}, {UP}, 6)")
        assert sent(bench)[: len(expected("receive"))] == expected("receive")
        await bench.terminal.run("radio.sleep()")
        assert sent(bench)[-1] == "8404"
        assert bench.board.state()["misuses"] == 0

    with_board(tmp_path, None, test)


def test_numbers_of_the_sx126x(tmp_path: Path) -> None:
    async def test(bench: RadioBench) -> None:
        await bench.terminal.run("from firmware.node.radio.sx126x import symbol_timeout, frequency")
        # mantissa and exponent as in Semtech's sx126x_set_lora_symb_nb_timeout(), worked out by hand
        for symbols, argument, register in ((1, 2, 8), (6, 6, 24), (62, 62, 248), (64, 64, 65), (248, 248, 249)):
            assert await bench.terminal.run(f"symbol_timeout({symbols})") == f"({argument}, {register})"
        assert await bench.terminal.run("symbol_timeout(1000)") == "(248, 249)"
        for freq_hz in (863_000_000, 868_100_000, 869_525_000, 870_000_000):
            word = int((await bench.terminal.run(f"frequency({freq_hz}).hex()")).strip("'"), 16)
            assert word == freq_hz * 2**25 // 32_000_000

    with_board(tmp_path, None, test)


@pytest.mark.parametrize(
    ("power_dbm", "pa", "params"),
    [
        (16, "9502030001", "8e1502"),
        (22, "9504070001", "8e1602"),
        (2, "9502020001", "8e0a02"),
        (40, "9504070001", "8e1602"),
    ],
)
def test_power_of_the_sx1262(tmp_path: Path, power_dbm: int, pa: str, params: str) -> None:
    async def test(bench: RadioBench) -> None:
        sent(bench)
        await bench.go(f"radio.transmit({UP}, {power_dbm}, b'hello')")
        commands = sent(bench)
        assert pa in commands
        assert params in commands
        assert chip(bench).settings.power_dbm == min(power_dbm, 22)

    with_board(tmp_path, None, test)


def test_500_khz_and_slow_symbols(tmp_path: Path) -> None:
    async def test(bench: RadioBench) -> None:
        sent(bench)
        await bench.go("radio.transmit(868300000, 7, 500000, 14, b'hello')")
        assert "0d088901" in sent(bench)  # DS 15.1: bit 2 is cleared
        await bench.go("radio.transmit(868300000, 11, 125000, 14, b'')")
        commands = sent(bench)
        assert "8b0b040101" in commands  # low data rate optimisation
        assert "0d088905" in commands
        assert bench.board.state()["misuses"] == 0

    with_board(tmp_path, None, test)


def test_registers_of_the_sx127x(tmp_path: Path) -> None:
    async def test(bench: RadioBench) -> None:
        model = bench.board.hardware.models["sx127x"]
        assert isinstance(model, sx127x.Chip)
        registers = model.registers
        await bench.go(f"radio.transmit({UP}, 14, b'hello')")
        # data sheet rev. 7, section 6.4: frequency 868.1 MHz / 61.035 Hz, sync word, 125 kHz 4/5 explicit, SF7 with
        # CRC, preamble 8, PA_BOOST 14 dBm, standard I/Q, errata 2.3
        assert [registers[a] for a in (0x06, 0x07, 0x08)] == [0xD9, 0x06, 0x66]
        assert [registers[a] for a in (0x39, 0x1D, 0x1E, 0x20, 0x21)] == [0x34, 0x72, 0x74, 0x00, 0x08]
        assert [registers[a] for a in (0x09, 0x33, 0x3B, 0x2F, 0x30, 0x31)] == [0xFC, 0x27, 0x1D, 0x40, 0x00, 0x43]
        await bench.go(f"windows({now_us() + 100_000}, {SF10}, 6)")
        assert [registers[a] for a in (0x1E, 0x1F, 0x26, 0x33, 0x3B)] == [0xA0, 6, 0x04, 0x67, 0x19]
        assert abs(registers.image_hz - 868_300_000) < 100

    with_board(tmp_path, None, test, "virtual_sx127x")


def test_busy_that_stays_high_is_explained(tmp_path: Path) -> None:
    async def test(bench: RadioBench) -> None:
        await bench.board.stimulus("radio_busy_stuck", 1)
        error = (await bench.go(f"radio.transmit({UP}, 14, b'hello')"))["error"]
        for word in ("BUSY", "pin 14", "command 0x86", "after command 0x80", "30 ms", "tcxo_mv"):
            assert word in error, error
        await bench.board.stimulus("radio_busy_stuck", None)
        assert await bench.go("radio.init()") is None
        assert await bench.go(f"radio.transmit({UP}, 14, b'hello')") > 0

    with_board(tmp_path, None, test)


def test_a_tcxo_that_does_not_start_is_explained(tmp_path: Path) -> None:
    async def test(bench: RadioBench) -> None:
        await bench.board.stimulus("radio_tcxo_dead", 1)
        error = (await bench.go(f"radio.transmit({UP}, 14, b'hello')"))["error"]
        assert "was not sent" in error
        assert "TCXO" in error
        assert "TCXO" in (await bench.go("radio.init()"))["error"]
        await bench.board.stimulus("radio_tcxo_dead", None)
        assert await bench.go("radio.init()") is None
        # a board file that knows nothing of the TCXO, or gives it too little
        for wrong in ("{'tcxo_mv': 0}", "{'tcxo_mv': 1600}", "{'tcxo_start_us': 500}"):
            await bench.terminal.run("from firmware.node.radio.sx126x import SX126x")
            await bench.terminal.run(f"other = SX126x(radio._bus, dict(radio._settings, **{wrong}))")
            assert "tcxo_mv and tcxo_start_us" in (await bench.go("other.init()"))["error"]

    with_board(tmp_path, None, test)


@pytest.mark.parametrize("board", BOARDS)
def test_another_chip_is_named(tmp_path: Path, board: str) -> None:
    async def test(bench: RadioBench) -> None:
        # MISO stays low or high, as when nothing answers
        for level in (0x00, 0xFF):
            await bench.terminal.run(f"level = {level}")
            await bench.terminal.run("exchange = radio._bus.exchange")
            await bench.terminal.run("def dead(o, i): exchange(o, i); i[:] = bytes([level]) * len(i)\r\r")
            await bench.terminal.run("radio._bus.exchange = dead")
            error = (await bench.go("radio.init()"))["error"]
            await bench.terminal.run("radio._bus.exchange = exchange")
            assert f"0x{level:02x}" in error
            assert "MISO" in error
        assert await bench.go("radio.init()") is None

    with_board(tmp_path, None, test, board)


# At the prompt, and what the model says to it.
WRONG = [
    ("send(b'\\xee')", "unknown opcode 0xee"),
    ("send(b'\\xc5')", "SetCad (0xc5) is not simulated"),
    ("send(b'\\x80')", "SetStandby with 0 bytes"),
    ("send(b'\\x80\\x02')", "SetStandby 2"),
    ("send(b'\\x8b\\x0d\\x04\\x01\\x00')", "spreading factor 13"),
    (
        "send(b'\\x8b\\x0c\\x04\\x01\\x00'); send(b'\\x8c\\x00\\x08\\x00\\x01\\x01\\x00'); send(b'\\x82\\0\\0\\0')",
        "before freq_hz",
    ),
    ("radio._write(0x0999, b'x')", "register 0x0999"),
    ("send(b'\\x95\\x07\\x07\\x00\\x01')", "not in table 13-21"),
    ("send(b'\\x86\\x00\\x00\\x00\\x01')", "not 150 to 960 MHz"),
    ("send(b'\\x89\\x7f'); send(b'\\x80\\x00')", "while BUSY is high"),
    ("send(b'\\x80\\x01'); time.sleep_ms(20); send(b'\\x89\\x7f')", "Calibrate in STBY_XOSC"),
    ("machine.Pin(14, machine.Pin.OUT)", "two outputs would fight"),
    ("machine.Pin(16, machine.Pin.OUT)", "two outputs would fight"),
    ("radio._bus._spi.write(b'x')", "exactly one must be"),
]


def test_a_wrong_driver_is_told(tmp_path: Path) -> None:
    async def test(bench: RadioBench) -> None:
        run = bench.terminal.run
        await run("import machine")
        for i, (line, words) in enumerate(WRONG, start=1):
            shown = await run(line)
            assert words in shown, (line, shown)
            assert bench.board.state()["misuses"] == i
            await run("radio._bus.select(False); time.sleep_ms(20)")

    with_board(tmp_path, None, test)


def test_settings_survive_warm_sleep_only(tmp_path: Path) -> None:
    async def test(bench: RadioBench) -> None:
        registers = chip(bench).registers
        assert registers[0x08AC] == 0x96
        await bench.terminal.run("radio.sleep()")
        await bench.terminal.run("radio.stop()")
        assert registers[0x08AC] == 0x96  # retention list
        assert registers.sync_word == 0x34
        await bench.terminal.run("radio._command(0x84, b'\\0'); radio._asleep = True; radio.stop()")
        assert registers.sync_word == 0x12
        assert chip(bench).settings.packet_type == 0

    with_board(tmp_path, None, test)
