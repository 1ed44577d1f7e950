# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The shipped firmware on a virtual board, its console in our hands, a small network at the other end of the line."""

import asyncio
import contextlib
import os
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

from boards.build import build_tree
from boards.schema import load_board
from boards.virtual.board import VirtualBoard
from boards.virtual.image import make_image
from firmware.node import slots
from firmware.wire import cbor, cobs, cobs_stream
from tests.upy.small_network import KEY, Server

TIMEOUT_S = 40


def identity(**changed: Any) -> dict[str, Any]:
    """What provisioning writes: readings five times a second, a receipt for every fourth."""
    board = load_board("virtual")
    values = {
        "dev_eui": bytes.fromhex("0200000000000001"),
        "join_eui": bytes.fromhex("0200000000000002"),
        "app_key": KEY,
        "kind": "street_light",
        "link": "serial",
        "console": True,
        "interval_ms": 200,
        "receipt_every": 4,
        "queue_bytes": 65536,
        "board": board.node.as_map(),
    }
    values.update(changed)
    return values


def identity_files(values: dict[str, Any]) -> dict[str, bytes]:
    return {"/data/identity.a": slots.pack(1, cbor.dumps(values))}


def make(folder: Path, data: dict[str, bytes], board: str = "virtual") -> Path:
    """Return an image with the compiled firmware and *data*."""
    image = folder / "image"
    make_image(image, build_tree(folder / "tree", board), data, board)
    return image


class Rig:
    """A running board. ``text`` is what it said between its frames; ``connected`` whether the network listens."""

    def __init__(self, image: Path, server: Server | None = None, **options: Any) -> None:
        self.server = server or Server()
        self.text = b""
        self.frames = 0
        self.connected = True
        self._port = image.with_name("port")
        self.board = VirtualBoard(image, port=self._port, **({"scenario_name": "still", "seed": 1} | options))
        self._deframer = cobs_stream.Deframer()
        self._changed = asyncio.Event()
        self._line = -1

    async def __aenter__(self) -> "Rig":
        await self.board.start()
        self._line = os.open(self._port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._line)
        asyncio.get_running_loop().add_reader(self._line, self._read)
        return self

    async def __aexit__(self, *exc: object) -> None:
        asyncio.get_running_loop().remove_reader(self._line)
        os.close(self._line)
        await self.board.stop()

    def type(self, data: bytes) -> None:
        """Send bytes to the board as they are."""
        os.write(self._line, data)

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for *condition*, looked at whenever the board says something."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"never: {what}\n{self.text.decode(errors='replace')}\n{self.board.state()}") from None

    async def until_says(self, words: bytes) -> None:
        await self.until(lambda: words in self.text, f"the board says {words!r}")

    def _taken(self) -> bytes:
        with contextlib.suppress(OSError):
            return os.read(self._line, 4096)
        return b""

    def _read(self) -> None:
        data = self._taken()
        self.text += bytes(byte for byte in data if 9 <= byte < 127)
        for phy in self._deframer.feed(data):
            self.frames += 1
            for answer in self.server.uplink(phy) if self.connected else []:
                self.type(cobs.frame(answer))
        self._changed.set()
