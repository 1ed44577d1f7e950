# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Virtual boards with small programs of the tests' own, and their consoles."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from boards.virtual.board import VirtualBoard
from boards.virtual.image import make_image

PROMPT = b">>> "


def flash(folder: Path, main: str = "", boot: str = "", files: dict[str, bytes] | None = None) -> Path:
    """An image with boot.py, main.py and data files."""
    tree = folder / "tree"
    tree.mkdir(parents=True, exist_ok=True)
    for name, text in (("boot.py", boot), ("main.py", main)):
        if text:
            (tree / name).write_text(text)
    image = folder / "flash.img"
    make_image(image, tree, files)
    return image


class Terminal:
    """A client of the serial port."""

    def __init__(self, port: Path) -> None:
        self.fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.text = b""
        self.hung_up = False
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self.fd, 65_536)
        except OSError:
            data = b""
        if not data:
            self.hung_up = True
            asyncio.get_running_loop().remove_reader(self.fd)
        self.text += data
        self._changed.set()

    def type(self, data: bytes) -> None:
        os.write(self.fd, data)

    async def until(self, words: bytes, timeout_s: float = 20.0) -> bytes:
        """Wait for words; returns and forgets everything up to their end."""
        try:
            async with asyncio.timeout(timeout_s):
                while words not in self.text:
                    assert not self.hung_up, self.text
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"never {words!r}; so far {self.text!r}") from None
        end = self.text.index(words) + len(words)
        seen, self.text = self.text[:end], self.text[end:]
        return seen

    async def until_hung_up(self) -> None:
        async with asyncio.timeout(20):
            while not self.hung_up:
                self._changed.clear()
                await self._changed.wait()

    async def run(self, line: str) -> str:
        """One line at the prompt; what it prints."""
        self.type(line.encode() + b"\r")
        shown = await self.until(PROMPT)
        return shown.removesuffix(PROMPT).partition(b"\r\n")[2].decode().strip()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.fd)
        os.close(self.fd)


class Bench:
    """A running board with a terminal on its port."""

    def __init__(self, image: Path, **options: Any) -> None:
        self.port = image.with_suffix(".port")
        self.board = VirtualBoard(image, port=self.port, **({"scenario_name": "still", "seed": 1} | options))
        self.terminal: Terminal

    async def __aenter__(self) -> "Bench":
        await self.board.start()
        self.terminal = Terminal(self.port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.terminal.close()
        await self.board.stop()

    async def prompt(self) -> Terminal:
        """Wait for the REPL, and have an empty prompt."""
        await self.board.until(lambda state: state["phase"] == "repl")
        self.terminal.type(b"print('re' + 'ady')\r")
        await self.terminal.until(b"ready\r\n" + PROMPT)
        return self.terminal


async def until_true(look: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Wait for something that only looking can tell, such as another process's state."""
    async with asyncio.timeout(timeout_s):
        while not look():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def mpremote(port: Path, *arguments: str) -> str:
    """Run mpremote against a port; its output. Fails on a non-zero exit."""
    program = Path(sys.executable).with_name("mpremote")
    process = await asyncio.create_subprocess_exec(
        program, "connect", str(port), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(30):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, output
    return output.decode()
