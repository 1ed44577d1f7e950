# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Virtual boards with nothing but the radio package and a prompt, in an air of their own."""

import atexit
import json
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from boards.build import build_tree
from boards.schema import load_board
from boards.virtual.image import make_image
from boards.virtual.site import Site
from tests.virtual_board_rig import Bench, Terminal

# One line at the prompt runs one coroutine; what it returns is printed as JSON.
MAIN = """
import asyncio, gc, json, time
from firmware.node.radio import RadioError, open_radio
radio = open_radio({"radio": %r})

def shown(r):
    return r and [r.data.hex(), r.rssi_dbm, r.snr_db, r.crc_ok, r.at_us]

async def windows(at_us, *settings):
    radio.prepare_receive(*settings)
    return shown(await radio.receive(at_us))

async def frames(count, *settings):
    await radio.receive_continuous(*settings)
    got = []
    for _ in range(count):
        got.append(shown(await radio.next_frame()))
    radio.stop()
    return got

def send(data):
    radio._bus.select(True)
    try:
        radio._bus.write(data)
    finally:
        radio._bus.select(False)

def go(coroutine):
    try:
        print("=" + json.dumps(asyncio.run(coroutine)))
    except RadioError as error:
        print("=" + json.dumps({"error": str(error)}))
"""


@cache
def image(board: str = "virtual") -> Path:
    """A flash image that every test copies."""
    folder = Path(mkdtemp(prefix="radio"))
    atexit.register(shutil.rmtree, folder)
    tree = build_tree(folder / "tree", board, short_names=False)
    radio = load_board(board).node.as_map()["radio"]
    (tree / "boot.py").write_text("")
    (tree / "main.py").write_text(MAIN % (radio,))
    made = folder / "image"
    make_image(made, tree, board=board)
    return made


class RadioBench(Bench):
    """A board whose prompt drives its radio."""

    def __init__(
        self, folder: Path, name: str, air: Path | None = None, x_m: float = 0.0, board: str = "virtual"
    ) -> None:
        folder.mkdir(exist_ok=True)
        copy = folder / f"{name}.img"
        shutil.copyfile(image(board), copy)
        super().__init__(copy, board=board, site=air and Site(air, name, x_m))

    async def __aenter__(self) -> "RadioBench":
        await super().__aenter__()
        await self.prompt()
        return self

    def start(self, call: str) -> None:
        """Type a coroutine's call."""
        self.terminal.type(f"go({call})\r".encode())

    async def result(self) -> Any:
        """What the call returned, or {"error": …}."""
        terminal: Terminal = self.terminal
        await terminal.until(b"\n=")
        line = await terminal.until(b"\n")
        await terminal.until(b">>> ")
        return json.loads(line)

    async def go(self, call: str) -> Any:
        self.start(call)
        return await self.result()
