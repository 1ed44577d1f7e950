# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The virtual rig whose time stands still while anybody computes (boards/virtual/stepped.py).

Board, air and packet forwarder run in one event loop in a thread; MicroPython and UDP are the real ones. What takes
the device minutes takes seconds here, and no window is missed because this computer is busy.
"""

import asyncio
import contextlib
import io
import json
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from boards.build import build_tree
from boards.virtual.air.link_budget import PathLoss
from boards.virtual.air.medium import Medium
from boards.virtual.air.server import Air, open_socket
from boards.virtual.board import VirtualBoard
from boards.virtual.forwarder.forwarder import ForwarderConfig, run_forwarder
from boards.virtual.image import make_image
from boards.virtual.site import Site
from boards.virtual.stepped import SteppedLoop, SteppedTime
from firmware.node import slots
from firmware.wire import cbor
from hil_tests.clocks import SteppedClock
from hil_tests.rigs import WAIT_S, Needs, identity_values, new_identity
from hil_tests.semtech_end import SemtechEnd

T = TypeVar("T")
SLACK_US = 1000
_LAST_PIECES = 40
"""Of what the console said, kept for a failure's message."""
GATEWAY_EUI = bytes.fromhex("aabbccddeeff0011")


class _World(threading.Thread):
    """The loop in its thread, with the air and its gateway."""

    def __init__(self, socket: Path, log: Path, server: tuple[str, int]) -> None:
        super().__init__(name="virtual world", daemon=True)
        self.board: VirtualBoard | None = None
        self.time = SteppedTime()
        self._loop = SteppedLoop(self.time)
        self._socket, self._log, self._server = socket, log, server
        self._ended = asyncio.Event()
        self.ready = threading.Event()

    def run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._live())

    def do(self, what: Callable[[], Awaitable[T]]) -> T:
        """Run this in the world while its time stands still."""

        async def work() -> T:
            return await what()

        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(WAIT_S)

    async def end(self) -> None:
        self._ended.set()

    async def _live(self) -> None:
        with self._log.open("a", encoding="utf-8") as journal:
            quiet = PathLoss(shadowing_db=0, fading_db=0)
            air = Air(Medium(0, quiet), SLACK_US, lambda: round(self.time.now_s * 1e6), journal)
            gateway = ForwarderConfig(*self._server, GATEWAY_EUI, 300.0, 0.0, keepalive_s=2)
            async with open_socket(air, self._socket), run_forwarder(gateway, air, 0) as forwarder:
                self.time.parties.append(lambda: forwarder.idle)  # a test hears what it sends before time goes on
                self.ready.set()
                await self._ended.wait()


class _Ear(io.RawIOBase):
    """Where a board's console is copied to."""

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self._hear = hear

    def write(self, data: Any) -> int:
        self._hear(bytes(data))
        return len(data)


class VirtualRig:
    """A virtual board with the shipped firmware; a new board for each `fresh`."""

    def __init__(self, folder: Path, interval_ms: int = 1500) -> None:
        self.identity = new_identity()
        self.semtech = SemtechEnd()
        self.tell: Callable[[bytes], None] = lambda _data: None
        self._said: deque[bytes] = deque(maxlen=_LAST_PIECES)
        self._folder, self._interval_ms = folder, interval_ms
        # Paths of Unix sockets are short.
        self._sockets = tempfile.TemporaryDirectory(prefix="hil-")
        self._air_socket = Path(self._sockets.name, "air")
        self._join_nonce = self._boards = 0
        self._tree = build_tree(folder / "tree")
        self._world = _World(self._air_socket, folder / "air.jsonl", self.semtech.address)
        self.semtech.clock = SteppedClock(self._world.time, self._world)
        self._world.start()
        if not self._world.ready.wait(WAIT_S) or not self.semtech.connected.wait(WAIT_S):
            raise RuntimeError("the virtual air did not start")

    def fresh(self, needs: Needs) -> None:
        self._stop_board()
        self._boards += 1
        image = self._folder / f"board-{self._boards}"
        made = self._folder / "-".join(map(str, astuple(needs)))
        if not made.exists():
            values = identity_values(self.identity, needs, "virtual", "street_light", self._interval_ms)
            make_image(made, self._tree, {"/data/identity.a": slots.pack(1, cbor.dumps(values))})
        shutil.copyfile(made, image)
        site = Site(self._air_socket, image.name, 0.0, 0.0)
        port = Path(self._sockets.name, "port")

        async def start() -> VirtualBoard:
            scene: dict[str, Any] = {"seed": 1, "scenario_name": "still", "site": site}
            board = VirtualBoard(image, "virtual", port=port, console_log=cast("BinaryIO", _Ear(self._hear)), **scene)
            await board.start()
            return board

        self._world.board = self._world.do(start)

    def power(self, on: bool) -> None:
        board = self._board()
        self._world.do(board.power_on if on else board.power_cut)

    def next_join_nonce(self) -> int:
        self._join_nonce += 1
        return self._join_nonce

    def console(self) -> str:
        board = self._board()

        async def state() -> dict[str, Any]:
            return board.state()

        last = b"".join(self._said).decode("utf-8", "replace")
        return f"{json.dumps(self._world.do(state))}; it said last:\n{last}"

    def air_log(self) -> list[dict[str, Any]]:
        self.semtech.clock.sleep(2 * SLACK_US / 1e6)
        lines = (self._folder / "air.jsonl").read_text().splitlines()
        return [line for text in lines if (line := json.loads(text))["event"] == "frame"]

    def close(self) -> None:
        self._stop_board()
        with contextlib.suppress(RuntimeError):
            self._world.do(self._world.end)
        self._world.join(WAIT_S)
        self.semtech.close()
        self._sockets.cleanup()

    def _hear(self, data: bytes) -> None:
        self._said.append(data)
        self.tell(data)

    def _board(self) -> VirtualBoard:
        if self._world.board is None:
            raise RuntimeError("no board has been switched on yet")
        return self._world.board

    def _stop_board(self) -> None:
        board, self._world.board = self._world.board, None
        if board is not None:
            self._world.do(board.stop)
