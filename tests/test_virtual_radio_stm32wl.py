# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The driver of the STM32WL's inner radio on the model of its SX126x core, behind what MicroPython's port gives of it.

``SHIM`` stands for that port: ``SPI("SUBGHZ")`` without pins, chip select and BUSY through functions, and an interrupt
that is a level: it calls its handler once and is off then, until it is asked for again.
"""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from boards.build import build_tree
from boards.schema import load_board
from boards.virtual.image import make_image
from boards.virtual.site import Site
from tests.air_rig import air
from tests.radio_rig import MAIN, RadioBench
from tests.virtual_board_rig import Bench

SHIM = """
import machine
from machine import Pin
_spi = machine.SPI
_cs, _busy, _line = Pin(%(cs)d, Pin.OUT, value=1), Pin(%(busy)d, Pin.IN), Pin(%(dio1)d, Pin.IN)
Pin(%(reset)d, Pin.OUT, value=1)
_handler = None
armed = 0

def SPI(id, baudrate):
    assert id == "SUBGHZ"
    return _spi(%(spi)d, baudrate=baudrate, polarity=0, phase=0, sck=%(sck)d, mosi=%(mosi)d, miso=%(miso)d)

machine.SPI = SPI

def subghz_cs(level):
    _cs.value(level)

def subghz_is_busy():
    return _busy.value() == 1

def _fire(_pin):
    global _handler
    handler, _handler = _handler, None
    if handler:
        handler(None)

def subghz_irq(handler):
    global _handler, armed
    _handler = handler
    armed += 1
    if handler and _line.value():
        _fire(_line)

_line.irq(_fire, Pin.IRQ_RISING)
"""
RECEIVING = 5
UP = "868100000, 7, 125000"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stm32wl")
    tree = build_tree(folder / "tree", short_names=False)
    radio = load_board("virtual").node.as_map()["radio"]
    lines = {name: radio[name] for name in ("cs", "busy", "dio1", "reset")}
    bus = {name: radio["spi"][name] for name in ("sck", "mosi", "miso")}
    (tree / "stm.py").write_text(SHIM % {**lines, **bus, "spi": radio["spi"]["id"]})
    (tree / "boot.py").write_text("")
    inner = {"chip": "stm32wl", "tcxo_mv": radio["tcxo_mv"], "dio2_rf_switch": True}
    (tree / "main.py").write_text(MAIN % (inner,))
    make_image(folder / "image", tree)
    return folder / "image"


class InnerRadioBench(RadioBench):
    def __init__(self, image: Path, folder: Path, air_socket: Path) -> None:
        copy = folder / "board.img"
        shutil.copyfile(image, copy)
        Bench.__init__(self, copy, site=Site(air_socket, "board"))


def listens(state: dict[str, Any]) -> bool:
    return bool(state["models"]["sx126x"]["mode"] == RECEIVING)


def test_the_inner_radio_exchanges_frames_with_another_chip_and_misses_no_interrupt(made: Path, tmp_path: Path) -> None:
    async def live(socket: Path) -> None:
        async with (
            InnerRadioBench(made, tmp_path, socket) as inner,
            RadioBench(tmp_path / "other", "other", socket, x_m=200) as other,
        ):
            assert await inner.go("radio.init()") is None
            assert await other.go("radio.init()") is None
            for sender, receiver in ((inner, other), (other, inner), (inner, other)):
                receiver.start(f"frames(1, {UP}, True)")
                await receiver.board.until(listens)
                end_us = await sender.go(f"radio.transmit({UP}, 14, b'payload', True)")
                [[data, _, _, crc_ok, at_us]] = await receiver.result()
                assert (bytes.fromhex(data), crc_ok, at_us) == (b"payload", True, end_us)
            assert await inner.go(f"windows(time.ticks_us() + 200000, {UP}, 8)") is None  # nobody sends: a time-out
            assert inner.board.state()["misuses"] == 0, inner.board.state()["last_misuse"]
            assert await inner.terminal.run("radio.missed_irqs") == "0"

    with air(tmp_path / "air", "--slack-ms", "60", "--fading-db", "0") as process:
        asyncio.run(live(process.path))


def test_an_interrupt_that_nobody_asked_about_does_not_silence_the_next_one(made: Path, tmp_path: Path) -> None:
    """A listener is cancelled between the interrupt and the look at its flags: it is off until somebody turns it on."""

    async def live(socket: Path) -> None:
        async with InnerRadioBench(made, tmp_path, socket) as inner:
            assert await inner.go("radio.init()") is None
            await inner.terminal.run("__import__('stm').subghz_irq(None)")
            assert isinstance(await inner.go(f"radio.transmit({UP}, 14, b'payload')"), int)
            assert await inner.terminal.run("radio.missed_irqs") == "0"

    with air(tmp_path / "air", "--slack-ms", "60", "--fading-db", "0") as process:
        asyncio.run(live(process.path))
