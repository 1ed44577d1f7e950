# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The radio drivers on virtual boards, in an air of their own: frames, windows, faults.

Every moment that is compared is one that messages carry. The air waits long before it decides, so that a busy
computer changes nothing.
"""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from boards.virtual.models import sx126x, sx127x
from tests.air_rig import DOWNLINK, AirProcess, Radio, air, now_us
from tests.radio_rig import RadioBench, image
from tests.test_virtual_board_cli import ask, running

SLACK_MS = 60
AHEAD_US = 600_000
UP = "868100000, 7, 125000"
BOARDS = ["virtual", "virtual_sx127x"]
SYMBOL_US = 8192  # SF10 at 125 kHz
DOWN_SF10 = DOWNLINK | {"sf": 10, "crc": False}
SF10 = "868100000, 10, 125000"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirProcess]:
    with air(tmp_path_factory.mktemp("air") / "air", "--slack-ms", str(SLACK_MS), "--fading-db", "0") as process:
        yield process


def with_board(
    folder: Path, process: AirProcess | None, test: Callable[[RadioBench], Awaitable[None]], board: str = "virtual"
) -> None:
    async def run() -> None:
        async with RadioBench(folder, "board", process and process.path, board=board) as bench:
            assert await bench.go("radio.init()") is None
            await test(bench)

    asyncio.run(run())


@contextmanager
def gateway(process: AirProcess) -> Iterator[Radio]:
    """Something that sends downlinks."""
    radio = Radio(process.path, "gateway", x_m=100)
    try:
        yield radio
    finally:
        radio.close()


async def opened_us(bench: RadioBench, at_us: int) -> int:
    """When the window really opened: as asked, or later than that because the computer is busy, and then told so."""
    models = bench.board.hardware.models
    chip = models.get("sx126x") or models.get("sx127x")
    assert isinstance(chip, sx126x.Chip | sx127x.Chip)
    late_us = chip.modem.since_us - at_us
    assert 0 <= late_us <= int(await bench.terminal.run("radio.late_us"))
    return chip.modem.since_us


# A window that hears a frame however late a busy computer opens it: ten symbols early, 24 long.
EARLY_US = 10 * SYMBOL_US
LONG = f"{SF10}, 24"


@pytest.mark.parametrize("board", BOARDS)
def test_two_boards_exchange_frames_in_both_polarities(tmp_path: Path, process: AirProcess, board: str) -> None:
    async def run() -> None:
        async with (
            RadioBench(tmp_path, "one", process.path, board=board) as one,
            RadioBench(tmp_path, "two", process.path, x_m=200, board="virtual") as two,
        ):
            await one.go("radio.init()")
            await two.go("radio.init()")
            for sender, receiver in ((one, two), (two, one)):
                for inverted in (False, True):
                    receiver.start(f"frames(1, {UP}, {inverted})")
                    await receiver.board.until(listens)
                    payload = bytes(range(7)) + bytes([inverted])
                    end_us = await sender.go(f"radio.transmit({UP}, 14, {payload!r}, {inverted})")
                    [[data, rssi_dbm, snr_db, crc_ok, at_us]] = await receiver.result()
                    assert (bytes.fromhex(data), crc_ok, at_us) == (payload, True, end_us)
                    # 14 dBm over 200 m: what the link budget leaves, give or take the shadowing
                    assert -140 < rssi_dbm < -70
                    assert snr_db > -7.5
            for bench in (one, two):
                assert bench.board.state()["misuses"] == 0, bench.board.state()["last_misuse"]
                assert await bench.terminal.run("radio.missed_irqs") == "0"

    asyncio.run(run())


def listens(state: dict[str, object]) -> bool:
    models = state["models"]
    assert isinstance(models, dict)
    return any(models.get(name, {}).get("mode") in modes for name, modes in (("sx126x", (5,)), ("sx127x", (0x85,))))


@pytest.mark.parametrize("board", BOARDS)
def test_a_window_hears_a_frame_unless_it_opens_too_late(tmp_path: Path, process: AirProcess, board: str) -> None:
    async def test(bench: RadioBench) -> None:
        with gateway(process) as radio:
            # Opened so many symbols after the start of the frame; five of eight must be left.
            for symbols_late in (-4, 0, 2.9, 3.2, 9):
                at_us = now_us() + AHEAD_US
                sent = radio.send(at_us, b"down", **DOWN_SF10)
                window_us = at_us + round(symbols_late * SYMBOL_US)
                got = await bench.go(f"windows({window_us}, {SF10}, 12)")
                heard = await opened_us(bench, window_us) + 5 * SYMBOL_US <= at_us + 8 * SYMBOL_US
                assert (got is not None) == heard, (symbols_late, got)
                if got is not None:
                    assert (got[0], got[3], got[4]) == (b"down".hex(), True, sent["until_us"])
        assert bench.board.state()["misuses"] == 0, bench.board.state()["last_misuse"]

    with_board(tmp_path, process, test, board)


@pytest.mark.parametrize("board", BOARDS)
def test_an_empty_window_closes_after_its_symbols(tmp_path: Path, process: AirProcess, board: str) -> None:
    async def test(bench: RadioBench) -> None:
        for symbols in (6, 20):
            at_us = now_us() + AHEAD_US
            assert await bench.go(f"windows({at_us}, {SF10}, {symbols})") is None
            closed_us = int(await bench.terminal.run("radio._irq_us"))
            assert closed_us == await opened_us(bench, at_us) + symbols * SYMBOL_US
        assert await bench.terminal.run("radio.missed_irqs") == "0"

    with_board(tmp_path, process, test, board)


def test_a_window_ends_though_a_preamble_had_no_frame(tmp_path: Path, process: AirProcess) -> None:
    async def test(bench: RadioBench) -> None:
        with gateway(process) as radio:
            at_us = now_us() + AHEAD_US
            radio.send(at_us, b"down", **DOWN_SF10)
            radio.say(op="idle", from_us=at_us + 7 * SYMBOL_US)
            assert await bench.go(f"windows({at_us - EARLY_US}, {LONG})") is None
            # the chip's own timer: 24 symbols of window and 24 for what follows a preamble
            closed_us = int(await bench.terminal.run("radio._irq_us"))
            opened = await opened_us(bench, at_us - EARLY_US)
            assert closed_us == pytest.approx(opened + 48 * SYMBOL_US, abs=16)

    with_board(tmp_path, process, test)


def test_the_wrong_polarity_register_hears_nothing(tmp_path: Path, process: AirProcess) -> None:
    async def test(bench: RadioBench) -> None:
        await bench.terminal.run("right = radio._tune")
        with gateway(process) as radio:
            for wrong in ("", "; radio._change(0x0736, 0, 4)"):
                await bench.terminal.run(f"def tune(*a): right(*a){wrong}\r\r")
                await bench.terminal.run("radio._tune = tune")
                at_us = now_us() + AHEAD_US
                radio.send(at_us, b"down", **DOWN_SF10)
                got = await bench.go(f"windows({at_us - EARLY_US}, {LONG})")
                assert (got is None) == bool(wrong)

    with_board(tmp_path, process, test)


def test_continuous_reception_ends_when_told(tmp_path: Path, process: AirProcess) -> None:
    async def test(bench: RadioBench) -> None:
        with gateway(process) as radio:
            bench.start("frames(3, 868100000, 7, 125000)")
            await bench.board.until(listens)
            first_us = now_us() + AHEAD_US
            payloads = [bytes([i]) * (1 + 120 * i) for i in range(3)]  # the third wraps around the end of the buffer
            sent = [
                radio.send(first_us + i * 500_000, payload, **DOWNLINK, crc=False) for i, payload in enumerate(payloads)
            ]
            got = await bench.result()
            assert [(frame[0], frame[4]) for frame in got] == [
                (payload.hex(), txed["until_us"]) for payload, txed in zip(payloads, sent, strict=True)
            ]
            heard = bench.board.state()["models"]["sx126x"]["frames_heard"]
            last = radio.send(now_us() + AHEAD_US, b"too late", **DOWNLINK)
            assert process.frame(last["frame"])["fates"].get("board") is None
            assert bench.board.state()["models"]["sx126x"]["frames_heard"] == heard

    with_board(tmp_path, process, test)


@pytest.mark.parametrize("board", BOARDS)
def test_lost_interrupts_are_found_by_looking(tmp_path: Path, process: AirProcess, board: str) -> None:
    async def test(bench: RadioBench) -> None:
        await bench.board.stimulus("radio_irq_lost", 1)
        end_us = await bench.go(f"radio.transmit({UP}, 14, b'hello')")
        # an estimate then: from when the driver saw the start, which a busy computer shows it later
        assert end_us >= frame_of(process, "board")["until_us"] - 1000
        with gateway(process) as radio:
            at_us = now_us() + AHEAD_US
            radio.send(at_us, b"down", **DOWN_SF10)
            got = await bench.go(f"windows({at_us - EARLY_US}, {LONG})")
            assert got[0] == b"down".hex()
        assert await bench.go(f"windows({now_us() + AHEAD_US}, {SF10}, 6)") is None
        assert await bench.terminal.run("radio.missed_irqs") == "3"

    with_board(tmp_path, process, test, board)


def frame_of(process: AirProcess, radio: str) -> dict[str, int]:
    while True:
        line = process.next_line()
        if line["event"] == "frame" and line["from"] == radio:
            return line


@pytest.mark.parametrize("board", BOARDS)
def test_a_wrong_crc_is_told(tmp_path: Path, process: AirProcess, board: str) -> None:
    async def test(bench: RadioBench) -> None:
        await bench.board.stimulus("radio_crc_errors", 1)
        with gateway(process) as radio:
            at_us = now_us() + AHEAD_US
            radio.send(at_us, b"down", **DOWN_SF10)
            got = await bench.go(f"windows({at_us - EARLY_US}, {LONG})")
            assert got[3] is False

    with_board(tmp_path, process, test, board)


def test_losing_power_breaks_a_frame_off(tmp_path: Path, process: AirProcess) -> None:
    async def test(bench: RadioBench) -> None:
        bench.start("radio.transmit(868100000, 12, 125000, 14, bytes(50))")
        await bench.board.until(lambda state: state["models"]["sx126x"]["mode"] == 6)
        await bench.board.power_cut()
        assert frame_of(process, "board")["cut"] is True
        await bench.board.power_on()
        await bench.prompt()
        assert await bench.go("radio.init()") is None
        assert await bench.go(f"radio.transmit({UP}, 14, b'again')")
        assert frame_of(process, "board")["cut"] is False

    with_board(tmp_path, process, test)


@pytest.mark.parametrize("board", BOARDS)
def test_without_an_air_it_sends_and_hears_nothing(tmp_path: Path, board: str) -> None:
    async def test(bench: RadioBench) -> None:
        await bench.terminal.run("radio.sleep()")
        assert await bench.go(f"radio.transmit({UP}, 14, b'hello')") > 0
        assert await bench.go(f"windows({now_us() + 100_000}, {UP}, 24)") is None
        state = bench.board.state()
        assert (
            next(state["models"][name]["frames_sent"] for name in ("sx126x", "sx127x") if name in state["models"]) == 1
        )
        assert state["misuses"] == 0, state["last_misuse"]

    with_board(tmp_path, None, test, board)


def test_an_air_that_is_not_there_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        with pytest.raises(OSError, match=r"no air at .*Start one first"):
            async with RadioBench(tmp_path, "board", tmp_path / "nothing"):
                pass

    asyncio.run(run())


def test_the_driver_s_memory(tmp_path: Path) -> None:
    async def test(bench: RadioBench) -> None:
        # an interrupt handler must not allocate
        await bench.terminal.run("from micropython import heap_lock, heap_unlock")
        assert await bench.terminal.run("heap_lock(); radio.on_edge(None); heap_unlock()") == "0"
        print(json.dumps({"heap_bytes": int(await bench.terminal.run("(gc.collect(), gc.mem_alloc())[1]"))}))

    with_board(tmp_path, None, test)


def test_a_board_joins_the_air_from_the_command_line(tmp_path: Path, process: AirProcess) -> None:
    control = tmp_path / "control"
    copy = tmp_path / "lamp.img"
    shutil.copyfile(image(), copy)
    options = ("--control", control, "--air", process.path, "--radio-id", "lamp-7", "--position", "250,-40")
    with running(copy, "--port", tmp_path / "port", *options):
        assert ask(control, '{"cmd": "stimulus", "name": "radio_tcxo_dead", "value": 1}')["ok"] is True
        assert ask(control, '{"cmd": "state"}')["state"]["values"]["radio_tcxo_dead"] == 1
        twin = Radio(process.path)
        twin.say(op="hello", id="lamp-7")
        assert "already" in twin.expect("error")["error"]
        twin.close()


@pytest.mark.parametrize("board", BOARDS)
def test_a_carrier_is_sent_until_it_is_ended(tmp_path: Path, process: AirProcess, board: str) -> None:
    """As a laboratory asks for it (TS009 TxCwReq); afterwards the radio is set up anew and sends frames."""
    chip = "sx127x" if board == "virtual_sx127x" else "sx126x"

    async def test(bench: RadioBench) -> None:
        await bench.terminal.run(f"from firmware.node.radio import {chip}_carrier as carrier")
        await bench.terminal.run("carrier.start(radio, 869525000, 10)")
        await bench.terminal.run("time.sleep_ms(50)")
        await bench.terminal.run("carrier.end(radio)")
        line = process.next_line()
        while line["event"] != "carrier":
            line = process.next_line()
        assert (line["from"], line["freq_hz"], line["power_dbm"]) == ("board", 869_525_000, 10)
        sent_us = line["until_us"] - line["at_us"]
        assert sent_us > 20_000, "the board waited for 50 ms; its start may be seen late, and its end early"
        assert line["duty"]["used_us"] >= sent_us
        assert await bench.go("radio.init()") is None
        await bench.go(f"radio.transmit({UP}, 14, b'frame')")
        assert frame_of(process, "board")["cut"] is False
        assert bench.board.state()["misuses"] == 0, bench.board.state()["last_misuse"]

    with_board(tmp_path, process, test, board)
