# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LoRaWAN from the other side: packet forwarders on real UDP around a device of class A, and their daemon."""

from __future__ import annotations

import asyncio
import base64
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gateway.config
import gateway.daemon
from firmware.wire import joining
from tests.gateway_rig import City, Daemon, Device, until
from tests.packet_forwarder import PacketForwarder, push_body, receive, rxpk

EUIS = [bytes.fromhex(f"aa555a000000010{number}") for number in range(3)]
U32 = 1 << 32
QUIET = "adr = false\nstatus_every_h = 0"
SECOND_US = 1_000_000


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Asked:
    """A downlink that the daemon asked one forwarder to send."""

    gateway: int
    token: int
    txpk: dict[str, Any]
    after_s: float
    """How long after the last uplink it came."""

    @property
    def phy(self) -> bytes:
        return base64.b64decode(self.txpk["data"])


class Air:
    """Forwarders that hear what they are told to, and pass on what the daemon asks them to send."""

    def __init__(self, port: int, daemon: Daemon | None = None) -> None:
        self._daemon = daemon
        self.forwarders = [PacketForwarder(("127.0.0.1", port), eui) for eui in EUIS]
        self.asked: asyncio.Queue[Asked] = asyncio.Queue()
        self.tmst = [number * 1000 for number in range(len(EUIS))]
        """Each forwarder's counter at the end of the last uplink."""
        self._pushed_s = 0.0
        self.acks: list[set[int]] = [set() for _ in EUIS]

    @property
    def daemon(self) -> Daemon:
        """The daemon, when it is a process."""
        assert self._daemon is not None
        return self._daemon

    def close(self) -> None:
        for forwarder in self.forwarders:
            forwarder.close()

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait for something that the daemon does, while the forwarders go on listening."""
        await asyncio.to_thread(until, condition, what)

    async def listen(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(len(self.forwarders)):
                tasks.create_task(self._listen(number))

    async def _listen(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        forwarder = self.forwarders[number]
        while True:
            data = await loop.sock_recv(forwarder.down, 65536)
            if data[3] == 3:  # PULL_RESP
                token, txpk = forwarder.decode_pull_resp(data)
                self.asked.put_nowait(Asked(number, token, txpk, time.monotonic() - self._pushed_s))

    def push(self, phy: bytes, *snrs: float, tmst: int | None = None, **changes: object) -> None:
        """Let as many forwarders hear a frame as there are signals; each by its own counter."""
        self._pushed_s = time.monotonic()
        for number, snr_db in enumerate(snrs or (5.0,)):
            self.tmst[number] = (self.tmst[number] + 20 * SECOND_US) % U32 if tmst is None else tmst
            self.forwarders[number].push(push_body(rxpk(phy, tmst=self.tmst[number], lsnr=snr_db, **changes)))

    def body(self, phy: bytes) -> bytes:
        """The body of a PUSH_DATA of the first forwarder."""
        self.tmst[0] = (self.tmst[0] + 20 * SECOND_US) % U32
        return push_body(rxpk(phy, tmst=self.tmst[0]))

    async def acknowledged(self, number: int, token: int | None = None) -> set[int]:
        """Return the tokens of PUSH_DATA that a forwarder got PUSH_ACK for, once that of *token* is there."""
        found = self.acks[number]
        while token is not None and token not in found:
            found.add(int.from_bytes((await receive(self.forwarders[number].up))[1:3], "big"))
        return found

    def window(self, asked: Asked) -> float | None:
        """Seconds from the last uplink to the moment that was asked for; None for at once."""
        if asked.txpk.get("imme"):
            return None
        return ((asked.txpk["tmst"] - self.tmst[asked.gateway]) % U32) / SECOND_US

    async def next(self, *errors: str) -> Asked:
        """Return the next downlink asked for, with the forwarder's answer given: fine, or the first of *errors*."""
        async with asyncio.timeout(20):
            asked = await self.asked.get()
        report = {"error": errors[0]} if errors else {}
        self.forwarders[asked.gateway].tx_ack(asked.token, **report)
        return asked

    async def refuse(self, error: str = "TOO_LATE") -> Asked:
        return await self.next(error)

    async def silent(self, wait_s: float = 0.5) -> bool:
        """Whether nothing is asked for during *wait_s*; waiting longer proves more."""
        try:
            async with asyncio.timeout(wait_s):
                asked = await self.asked.get()
        except TimeoutError:
            return True
        self.asked.put_nowait(asked)
        return False

    async def join(self, device: Device, **changes: object) -> joining.JoinAccept:
        self.push(device.join_request(), **changes)
        return device.take_accept((await self.next()).phy)


def lora_config(city: City, port: int, network: str = "", link: str = "") -> Path:
    """A gateway.toml with a LoRa link, and a broker that is not there; *network* and *link* add to their tables."""
    gateways = "".join(f'[[links.gateways]]\neui = "{eui.hex()}"\n' for eui in EUIS)
    extra = f'[[links]]\ntype = "lora"\nname = "air"\nbind = "127.0.0.1:{port}"\n{link}\n{gateways}'
    path = city.config(city.folder / "no-port", 1, extra)
    path.write_text(path.read_text().replace("net_id = 0x000001", f"net_id = 0x000001\n{network}"))
    return path


@asynccontextmanager
async def on_air(city: City, network: str = QUIET, link: str = "") -> AsyncIterator[Air]:
    """The daemon as a process, and forwarders that it knows the way to."""
    port = free_udp_port()
    daemon = Daemon(lora_config(city, port, network, link))
    try:
        await asyncio.to_thread(daemon.wait_for, "lora_open")
        async with listening(Air(port, daemon)) as air:
            yield air
        assert await asyncio.to_thread(daemon.stop) == 0, daemon.events
    finally:
        daemon.kill()


@asynccontextmanager
async def in_process(city: City, network: str = QUIET) -> AsyncIterator[tuple[Air, gateway.daemon.Daemon]]:
    """The daemon in this process, for what no other program can ask of it yet."""
    port = free_udp_port()
    daemon = gateway.daemon.Daemon(gateway.config.load(lora_config(city, port, network)))
    running = asyncio.create_task(daemon.run())
    link: Any = daemon._ends.links["air"]
    async with asyncio.timeout(20):
        while link.bound is None:  # noqa: ASYNC110 - the link has no event for it
            await asyncio.sleep(0.01)
    try:
        async with listening(Air(port)) as air:
            yield air, daemon
    finally:
        daemon.stop()
        await running


@asynccontextmanager
async def listening(air: Air) -> AsyncIterator[Air]:
    try:
        for forwarder in air.forwarders:
            await forwarder.pull()
        listening = asyncio.create_task(air.listen())
        yield air
        listening.cancel()
        await asyncio.wait([listening])
    finally:
        air.close()
