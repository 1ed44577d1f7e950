# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A board on the air, the shipped gateway, and a register that says what it carries; all in stepped time.

The gateway is the daemon itself in this loop: its UDP server, its databases and its register's thread. The air loses
some of the long frames to the board, drawn from a seed.
"""

import asyncio
import contextlib
import io
import json
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from boards.schema import BoardFile, load_board
from boards.virtual.air.frames import Fate, Frame, Radio
from boards.virtual.air.link_budget import PathLoss
from boards.virtual.air.medium import Medium
from boards.virtual.air.server import Air, open_socket
from boards.virtual.board import VirtualBoard
from boards.virtual.forwarder.forwarder import ForwarderConfig, run_forwarder
from boards.virtual.site import Site
from boards.virtual.stepped import clock
from gateway.config import load
from gateway.daemon import Daemon
from provisioning.bench.package import Package
from provisioning.city import create_city
from provisioning.cli import main as lykta
from provisioning.images import identity_map
from provisioning.register import rollouts
from provisioning.updates import keys, rollout
from provisioning.updates.release import Release
from provisioning.updates.rollout import BoardState
from tests.node_rig import identity_files
from tests.update_rig import board_image

EUI = "0200000000000a01"
LONG_BYTES = 60
SLACK_US = 1000
_BEGUN_S = 1_800_000_000.0


class LossyMedium(Medium):
    """Of *loss* frames that have so many bytes or more nobody understands the data."""

    def __init__(self, rng: random.Random, loss: float, least_bytes: int) -> None:
        super().__init__(0, PathLoss(shadowing_db=0, fading_db=0))
        self._rng, self._loss, self._least_bytes = rng, loss, least_bytes
        self.lost = self.long = 0

    def _fate_of_payload(self, frame: Frame, radio: Radio, at_us: int) -> Fate:
        if len(frame.data) >= self._least_bytes:
            self.long += 1
            if self._rng.random() < self._loss:
                self.lost += 1
                return Fate.COLLISION
        return super()._fate_of_payload(frame, radio, at_us)


class SteppedClock:
    """The daemon's two clocks, both of this loop."""

    def __init__(self) -> None:
        self._now_s = clock()
        self._offset_s = _BEGUN_S - self._now_s()

    def wall_s(self) -> float:
        return self._now_s() + self._offset_s

    def monotonic_s(self) -> float:
        return self._now_s()


class SteppedStreet:
    """One board that runs *node*, on *hardware* or its own. ``medium`` counts what was lost, and who broke the duty
    cycle."""

    def __init__(
        self,
        folder: Path,
        node: Package,
        rng: random.Random,
        loss: float = 0.0,
        interval_s: int = 60,
        lost_from_bytes: int = LONG_BYTES,
        hardware: BoardFile | None = None,
    ) -> None:
        self.folder = folder
        self._hardware = load_board(node.board) if hardware is None else hardware
        self.city = create_city(folder / "city", "Teststad")
        keys.create(self.city)
        self.key = keys.signing(self.city)
        self.registry = self.city.registry()
        assert node.made_for is not None
        self.device = self.registry.register_device(node.made_for.kind, name="board 1")
        told = identity_map(self.registry, self.device, node.board, link="lora", interval_ms=1000 * interval_s)
        files = identity_files(told | {"queue_bytes": 8192, "receipt_every": 4})
        self._image = board_image(folder / "board", node, files, self._hardware, self.key)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self._server = probe.getsockname()
        self._config = folder / "gateway" / "gateway.toml"
        self.lykta(
            *("gateway", "enroll", "pole box", "--out", str(self._config.parent), "--broker", "127.0.0.1:9"),
            *("--lora-bind", f"127.0.0.1:{self._server[1]}", "--forwarder", EUI),
        )
        self.medium = LossyMedium(rng, loss, lost_from_bytes)
        self.said = io.BytesIO()
        self._daemon: asyncio.Task[None] | None = None

    def lykta(self, *arguments: str, code: int = 0) -> str:
        """Run a `lykta` command on this city; return what it said."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            found = lykta(["-C", str(self.city.home), *arguments])
        assert found == code, out.getvalue()
        return out.getvalue()

    def roll_out(self, release: Release, name: str) -> None:
        """Plan and start."""
        path = self.folder / f"{name}.lyktaup"
        path.write_bytes(release.write())
        self.lykta("update", "plan", str(path))
        self.lykta("update", "start", name)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Air, packet forwarder, board and gateway live while the block lasts; a failure tells what the board said."""
        now_s = clock()
        air = Air(self.medium, SLACK_US, lambda: round(now_s() * 1e6))
        async with AsyncExitStack() as stack:
            stack.callback(self.registry.close)
            await stack.enter_async_context(open_socket(air, self.folder / "air"))
            forwarder = ForwarderConfig(*self._server, bytes.fromhex(EUI), 300.0, 0.0, keepalive_s=5)
            self.start_gateway()
            stack.push_async_callback(self.stop_gateway)
            await stack.enter_async_context(run_forwarder(forwarder, air, 0))
            known = {"port": self.folder / "port", "seed": 1, "scenario_name": "still", "console_log": self.said}
            site = Site(self.folder / "air", "board", 0.0, 0.0)
            self.board = VirtualBoard(self._image, self._hardware, site=site, **known)
            await stack.enter_async_context(self.board)
            try:
                yield
            except BaseException:
                print(self.said.getvalue()[-8000:].decode(errors="replace"), self.board.state())
                raise

    def start_gateway(self) -> None:
        """Begin, or begin again."""
        self._daemon = asyncio.create_task(Daemon(load(self._config), SteppedClock()).run())

    async def stop_gateway(self) -> None:
        """Take it away in the middle of whatever it does."""
        task, self._daemon = self._daemon, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def state(self, name: str) -> BoardState:
        """What the register has of the board in this roll-out."""
        with self.registry.reading() as connection:
            (found,) = rollouts.boards(connection, name)
        return found

    def receipts(self) -> int:
        """How often the gateway told the board what it holds."""
        file = load(self._config).state_dir / "counters.json"
        counts: int = json.loads(file.read_text()).get("frames", {}).get("receipts", 0) if file.exists() else 0
        return counts

    async def until_receipts(self, count: int) -> None:
        """Wait for so many more."""
        enough, end_s = self.receipts() + count, clock()() + 20000
        while self.receipts() < enough:
            assert clock()() < end_s, f"never: {count} more receipts"
            await asyncio.sleep(60)

    def expect_lawful(self) -> None:
        """Nobody was on the air for longer than the duty cycle allows, and the board drove no chip wrongly."""
        duty = self.medium.duty
        assert duty.violation_count == 0, duty.last_violations
        assert self.board.state()["misuses"] == 0

    async def until(
        self, name: str, done: Callable[[BoardState], object], what: str, within_s: float = 40000
    ) -> BoardState:
        """Wait until the board of a roll-out is so."""
        end_s = clock()() + within_s
        while not done(found := self.state(name)):
            assert self._daemon is not None
            if self._daemon.done():
                self._daemon.result()
            assert found.state not in rollout.ENDED, f"ended before {what}: {found}"
            assert clock()() < end_s, f"never: {what}; {found}"
            await asyncio.sleep(60)
        return found
