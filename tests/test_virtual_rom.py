# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a port has in C lies outside the heap of a virtual board: the image that MicroPython runs it from."""

import asyncio
import re
from pathlib import Path

from boards.virtual import rom
from boards.virtual.image import make_image
from tests.node_rig import Rig

HEAP_BYTES = 64 * 1024
USED_BYTES = 25 * 1024
BARE = """
import gc
gc.collect()
print("heap: %d bytes used" % gc.mem_alloc())
import machine
try:
    machine.freq(1)
finally:
    print("names:", [name for name in dir(machine) if name.isupper() and not name.endswith(("RESET", "SLEEP"))])
"""


def said_by(tmp_path: Path, main: str, until: bytes) -> str:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "main.py").write_text(main)
    make_image(tmp_path / "image", tmp_path / "tree", {})

    async def run() -> str:
        async with Rig(tmp_path / "image", heap_bytes=HEAP_BYTES) as rig:
            await rig.until_says(until)
            return rig.text.decode()

    return asyncio.run(run())


def test_the_simulated_hardware_takes_little_of_the_heap_and_names_its_lines(tmp_path: Path) -> None:
    said = said_by(tmp_path, BARE, b">>> ")
    used = re.search(r"heap: (\d+) bytes used", said)
    assert used is not None, said
    assert int(used[1]) < USED_BYTES
    source = (rom.HAL / "board_machine.py").read_text().splitlines()
    place = re.search(r'File "board_machine.py", line (\d+), in freq', said)
    assert place is not None, said
    assert "clock is fixed" in source[int(place[1]) - 1]
    assert "names: ['ADC', 'PWM', 'I2C', 'SPI', 'UART', 'RTC', 'WDT']" in said, "no number of the protocol"


def test_the_image_is_a_romfs_of_bytecode() -> None:
    image = rom.image()
    assert image[:3] == b"\xd2\xcd\x31"
    assert len(image) % 2 == 0
    names = set(re.findall(rb"([a-z_]+)\.mpy\x02", image))
    there = {path.stem.encode() for path in rom.HAL.glob("*.py")}
    assert names == there - {b"start", b"image_tool"}
    assert image.count(b"M\x06") >= len(names)  # each is bytecode of .mpy version 6


def test_numbers_of_the_protocol_are_put_in_where_they_are_named() -> None:
    numbers = {"BLE": "0x90", "RESET": "0x10"}
    assert rom._with(numbers, "x.py", "hal.call(hal.BLE)\nhal.RESETS, A_RESET") == "hal.call(0x90)\nhal.RESETS, A_RESET"
    assert rom._with(numbers, "hal.py", "call(RESET)") == "call(0x10)"
