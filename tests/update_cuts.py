# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The shipped node on a virtual board, updated by the gateway's own job over its cable, while the cable is pulled and
the power fails; and what its flash holds, whenever somebody looks."""

import asyncio
import hashlib
import os
import random
import subprocess
import tempfile
import time
import tty
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from firmware.wire import cobs
from firmware.wire.readings import FPORT_UPDATE
from gateway.updates.job import Job, Message, Patience
from provisioning.bench.package import Package
from provisioning.bench.slot_file import SUFFIX
from provisioning.updates import release, rollout
from provisioning.updates.rollout import BoardState
from tests.node_rig import Rig
from tests.update_rig import KEY

ROOT = Path(__file__).parent.parent
ROOM = 222
_NEVER = 1 << 60
_PATIENCE = Patience(2.0, 1.0)
"""Shorter than a gateway's, for there is one board, and it is here."""
_ROUND_S = 600


def complete(package: Package) -> list[dict[str, str]]:
    """What a slot holds that holds a version, as it comes by cable and as a release leaves it: SHA-256 by path."""
    tree = {**package.hashes, "manifest": hashlib.sha256(package.manifest).hexdigest()}
    return [tree, {SUFFIX: hashlib.sha256(package.slot_file).hexdigest()}]


def booted(image: Path, micropython: Path) -> dict[str, str]:
    """What lies in the slot that the board of this flash boots into: SHA-256 by path."""
    with tempfile.NamedTemporaryFile() as found:  # of its own: who updates and who troubles look at the same time
        found.write(image.read_bytes())
        found.flush()
        command = [str(micropython), "-X", "heapsize=8m", str(ROOT / "tests/upy/which_build.py"), found.name]
        env = {**os.environ, "MICROPYPATH": f"{ROOT}:.frozen"}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict((line.split()[0], line.split()[1]) for line in done.stdout.splitlines()[1:])


class Cables(Rig):
    """A board whose cable breaks after so many bytes, of both directions together."""

    def __init__(self, image: Path, micropython: Path, **options: Any) -> None:
        super().__init__(image, **options)
        self.image, self._micropython = image, micropython
        self.bytes_left = _NEVER
        self.pulled = asyncio.Event()

    def type(self, data: bytes) -> None:
        """As far as the cable carries it."""
        with suppress(OSError):  # nobody empties a line whose board is off
            super().type(self._carried(data))

    def _carried(self, data: bytes) -> bytes:
        data = data[: self.bytes_left]
        self.bytes_left -= len(data)
        if self.bytes_left == 0:
            self.pulled.set()
        return data

    def _taken(self) -> bytes:
        with suppress(OSError):
            return self._carried(os.read(self._line, 4096))
        return b""

    async def mend(self, away_s: float) -> None:
        """The cable is out for so long; then it is in again."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._line)
        await self.board.unplug()
        os.close(self._line)
        await asyncio.sleep(away_s)
        self.bytes_left = _NEVER
        self.pulled.clear()
        await self.board.replug()
        self._line = os.open(self._port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._line)
        loop.add_reader(self._line, self._read)

    async def runs(self) -> dict[str, str]:
        """What lies in the slot that the board would boot into if its power failed now."""
        return await asyncio.to_thread(booted, self.image, self._micropython)


class Trouble:
    """Faults, one after the other, while a release is on its way. ``left`` many of them."""

    def __init__(self, rig: Cables, rng: random.Random, left: int) -> None:
        self.rig, self._rng, self.left = rig, rng, left
        self.count: Counter[str] = Counter()

    async def run(self, may_run: list[Package]) -> None:
        """Until there are no more. After each the flash holds one of these versions."""
        while self.left:
            kind = self._rng.choice(["power", "power", "cable", "cable", "reset"])
            await getattr(self, f"_{kind}")()
            self.left -= 1
            self.count[kind] += 1
            found = await self.rig.runs()
            assert any(found in complete(each) for each in may_run), (kind, self.count, sorted(found))
            if kind == "power":
                await self.rig.board.power_on()

    async def _power(self) -> None:
        """In the middle of a flash operation."""
        await self.rig.board.power_cut(self._rng.randrange(1, 90))
        await self.rig.board.until(lambda state: not state["powered"], _ROUND_S)

    async def _cable(self) -> None:
        """After any byte."""
        self.rig.bytes_left = self._rng.randrange(1, 5000)
        async with asyncio.timeout(_ROUND_S):
            await self.rig.pulled.wait()
        await self.rig.mend(self._rng.uniform(0.05, 1.0))

    async def _reset(self) -> None:
        await asyncio.sleep(self._rng.uniform(0.1, 4.0))
        await self.rig.board.reset()


async def carry(rig: Cables, one: release.Release) -> BoardState:
    """What a gateway does with one board, until that has ended: its own job, which remembers nothing on disk."""
    job = Job("all", (one.signed, one.bundle), BoardState("00" * 8, 1, rollout.WAITING))
    told, end_s = len(rig.server.answers), time.monotonic() + _ROUND_S
    while not job.ended:
        now_s = time.monotonic()
        assert now_s < end_s, (job.board, rig.text[-4000:].decode(errors="replace"), rig.board.state())
        messages = list(job.due(now_s, _PATIENCE))
        while told < len(rig.server.answers):
            fport, payload = rig.server.answers[told]
            told += 1
            if fport == FPORT_UPDATE:
                messages += job.heard(payload, ROOM, now_s, _PATIENCE)
        note = job.note(now_s)
        messages += [] if note is None else job.noted(note, now_s)
        for each in messages:
            _send(rig, each)
        await asyncio.sleep(0.02)
    return job.board


def _send(rig: Cables, message: Message) -> None:
    rig.type(b"\0" + cobs.frame(rig.server.ask(message.fport, message.payload)))


def made(package: Package, sequence: int, base: Package, key: ec.EllipticCurvePrivateKey = KEY) -> release.Release:
    """A release upon what runs."""
    return release.make(package, sequence, key, base=release.Base.of(base), health_s=300)
