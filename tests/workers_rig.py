# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A gateway of two workers behind a front, as its operator runs it, and packet forwarders before it."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from gateway import division
from gateway.network.share import of_device
from gateway.outbox import stats
from tests.gateway_rig import ROOT, START_S, City, Daemon, Device, until
from tests.lora_rig import QUIET, Air, Asked, free_udp_port, listening, lora_config

COUNT = 2


def free_ports(count: int) -> int:
    """The first of some UDP ports in a row that nothing used a moment ago; below those that the kernel gives out."""
    while True:
        first = 20_000 + secrets.randbelow(12_000)
        with ExitStack() as probes, suppress(OSError):
            for port in range(first, first + count):
                probe = probes.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                probe.bind(("127.0.0.1", port))
            return first


def gateway(config: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one of the operator's commands."""
    command = [sys.executable, "-m", "gateway", *words, "--config", str(config)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=START_S)


def divided(config: Path) -> str:
    """Divide the state; return what the command said."""
    done = gateway(config, "divide")
    assert done.returncode == 0, done.stderr
    return done.stdout


def workers_config(city: City, port: int, count: int = COUNT, broker_port: int = 1, more: str = "") -> Path:
    """A gateway.toml with a LoRa link and nothing else that one process needs for itself."""
    path = lora_config(city, port, QUIET)
    text = path.read_text()
    begin, end = text.index('[[links]]\ntype = "serial"'), text.index("[[platforms]]")
    text = (text[:begin] + text[end:]).replace("port = 1\n", f"port = {broker_port}\n{more}\n")
    path.write_text(f"{text}\n[workers]\ncount = {count}\nport = {free_ports(count)}\n" if count > 1 else text)
    return path


class Divided:
    """The front and its workers, as processes."""

    def __init__(self, config: Path, port: int) -> None:
        self.config, self.port = config, port
        self.root = config.parent / "state"
        self.workers: dict[int, Daemon] = {}
        self.front: Daemon | None = None

    def start_worker(self, number: int) -> Daemon:
        made = self.workers[number] = Daemon(self.config, "--worker", str(number))
        return made

    def start_front(self) -> Daemon:
        self.front = Daemon(self.config, word="front")
        return self.front

    def start(self) -> None:
        daemons = [self.start_worker(number) for number in range(1, COUNT + 1)]
        front = self.start_front()
        for each in daemons:
            each.wait_for("lora_open", timeout_s=START_S)
        front.wait_for("front_open", timeout_s=START_S)

    def stop(self) -> list[int]:
        return [each.stop() for each in self._all()]

    def kill_front(self) -> None:
        assert self.front is not None
        self.front.kill()

    def kill(self) -> None:
        for each in self._all():
            each.kill()

    def _all(self) -> list[Daemon]:
        return [*self.workers.values(), *([] if self.front is None else [self.front])]

    def said(self) -> str:
        """Everything that the processes said, for whoever has to find out why."""
        return "\n".join(json.dumps(each.events[-30:]) for each in self._all())

    def folder(self, number: int) -> Path:
        return division.place(self.root, COUNT, number)

    def stats(self, number: int) -> stats.Stats:
        return stats.read(self.folder(number) / "outbox.db")

    def count(self, what: str) -> int:
        """A counter of the front's, as its file says."""
        try:
            found = json.loads((self.root / "front" / "counters.json").read_text())
        except (OSError, ValueError):
            return 0
        return int(found.get("front", {}).get(f"air_{what}", 0))

    def worker_counts(self, number: int, group: str) -> dict[str, int]:
        try:
            found: dict[str, Any] = json.loads((self.folder(number) / "counters.json").read_text())
        except (OSError, ValueError):
            return {}
        return dict(found.get(group, {}))


@asynccontextmanager
async def on_air(city: City, broker_port: int = 1, more: str = "") -> AsyncIterator[tuple[Air, Divided]]:
    """Two workers and their front, and forwarders that they know the way to."""
    port = free_udp_port()
    config = workers_config(city, port, broker_port=broker_port, more=more)
    divided(config)
    gateway = Divided(config, port)
    try:
        await asyncio.to_thread(gateway.start)
        async with listening(Air(port)) as air:
            yield air, gateway
        assert await asyncio.to_thread(gateway.stop) == [0, 0, 0], gateway.said()
    except BaseException as error:
        error.add_note(gateway.said())
        raise
    finally:
        gateway.kill()


def device_of(city: City, worker: int) -> Device:
    """Register one more device of a worker, from 1."""
    number = 1
    while (
        of_device(dev_eui := bytes.fromhex("70b3d57ed000") + number.to_bytes(2, "big"), COUNT) != worker - 1
        or city.registry.device(dev_eui) is not None
    ):
        number += 1
    return city.device(number)


async def receipted(air: Air, device: Device, *seqs: int) -> set[int]:
    """Let two forwarders hear readings until the device has a receipt for them, as devices do; return what it holds."""
    for _ in range(20):
        air.push(device.readings(*seqs, oldest=1), 5.0, -3.0)
        try:
            async with asyncio.timeout(3):
                asked = await air.next()
        except TimeoutError:
            continue
        device.take(asked.phy)
        if device.held >= set(seqs):
            return device.held
    raise AssertionError(f"no receipt came for {seqs}; held: {device.held}")


async def refused(air: Air, device: Device, seq: int, error: str) -> tuple[Asked, Asked]:
    """Let the forwarders refuse a receipt; return both tries."""
    for _ in range(20):
        air.push(device.readings(seq, oldest=1), 5.0, -3.0)
        with suppress(TimeoutError):
            async with asyncio.timeout(4):
                first, second = await air.refuse(error), await air.next()
                if second.phy == first.phy:
                    device.take(second.phy)
                    return first, second
    raise AssertionError("nothing was tried again")


async def joined(air: Air, device: Device) -> None:
    """Let a device join, again until it is heard: the way down is there a moment after its first keep-alive."""
    for _ in range(20):
        air.push(device.join_request())
        try:
            async with asyncio.timeout(3):
                asked: Asked = await air.next()
        except TimeoutError:
            continue
        device.take_accept(asked.phy)
        return
    raise AssertionError("nobody answered a Join-Request")


def held(gateway: Divided, number: int, device: Device) -> int:
    """Up to which reading a worker holds a device without a gap."""
    found = gateway.stats(number).devices.get(device.dev_eui.hex())
    return 0 if found is None else found.contiguous


async def stored(gateway: Divided, number: int, device: Device, upto: int) -> None:
    """Wait until a worker has a device's readings on disk."""
    await asyncio.to_thread(until, lambda: held(gateway, number, device) >= upto, f"worker {number} to hold {upto}")
