# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Where bytes from outside enter the gateway, each as a function of bytes: a serial line, UDP datagrams, a broker.

Behind each stand the real stages, on disk. What a target lets out is a defect: everything that came from outside has to
be taken, refused or counted.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firmware.wire import cobs, cobs_stream, frame, readings
from gateway.errors import PlatformError
from gateway.links import Uplink
from gateway.links.lora import Settings as LoraSettings
from gateway.links.lora.server import LoraLink
from gateway.network.live import Joined
from gateway.operate.counters import Counters
from gateway.platforms._paho import Connection, Target, Version
from tests.fake_datagrams import FakeDatagrams
from tests.frame_gateway import Stages
from tests.fuzz import orders
from tests.fuzz.orders import CommandTarget
from tests.gateway_rig import City, Device, encoded
from tests.outbox_rig import TestClock

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a fresh folder is made in it
"""Where the stages keep their files: what is fuzzed is what they take, not the disk."""
NAMES = ("serial", "udp", "mqtt", "payload", "command")
FORWARDER = bytes.fromhex("0200000000000a01")
_NEW_DEVICE_AFTER = 2000
"""Inputs: sooner or later one says that everything below a high number is gone, and what follows is old."""
_SENDER = ("127.0.0.1", 40000)
_TARGET = Target("127.0.0.1", 1883, "fuzz", 30, None, None, None)
_PORTS = (1, 2, 4, 0, 223, 3, 5, 10)


class _Line:
    """A broker that has said all it will; sockets of the system would cost more than what is tried."""

    def __init__(self) -> None:
        self.holds = b""
        self._ends = socket.socketpair()

    def fileno(self) -> int:
        return self._ends[0].fileno()

    def recv(self, size: int) -> bytes:
        taken, self.holds = self.holds[:size], self.holds[size:]
        return taken

    def send(self, data: bytes) -> int:
        return len(data)

    def close(self) -> None:
        """The next connection uses it again."""

    def end(self) -> None:
        for each in self._ends:
            each.close()


class Gateway:
    """One gateway to throw bytes at."""

    def __init__(self, folder: Path) -> None:
        self.clock = TestClock()
        self.city = City(folder / "city")
        self.stages = Stages(self.city, folder / "state", self.clock, 1)
        self.device = self.city.device()
        self._loop = asyncio.new_event_loop()
        one = {"type": "lora", "name": "air", "gateways": [{"eui": FORWARDER.hex()}]}
        settings = LoraSettings.model_validate({**one, "rate_per_s": 1e6, "rate_burst": 1_000_000})
        self._link = LoraLink(settings, self.clock, Counters())
        self._said = 0
        self._line = _Line()
        self._folder = folder
        self._orders: CommandTarget | None = None
        self._join(self.device)

    def close(self) -> None:
        if self._orders is not None:
            self._orders.close()
        self._line.end()
        self._loop.close()
        self.stages.__exit__()
        self.city.registry.close()

    def target(self, name: str) -> Callable[[bytes], None]:
        if name == "command":
            self._orders = CommandTarget(self._folder)
            return self._orders
        return {"serial": self.serial, "udp": self.udp, "mqtt": self.mqtt, "payload": self.payload}[name]

    def serial(self, data: bytes) -> None:
        """What a line may carry: cut anywhere, resynchronised, deframed, processed."""
        deframer = cobs_stream.Deframer(frame.MAX_PHY)
        cut = data[0] % (len(data) or 1) if data else 0
        for part in (data[:cut], data[cut:]):
            self._process([Uplink("line", "port", phy, self.clock.wall_s()) for phy in deframer.feed(part)])

    def udp(self, data: bytes) -> None:
        """One datagram, from a registered forwarder's address."""
        heard: list[Uplink] = []
        self._link._read(FakeDatagrams.of(data, sender=_SENDER), heard.append)
        self._process(heard)

    def payload(self, data: bytes) -> None:
        """What an authentic device may say: MAC commands and any port, under a right integrity code."""
        if not data:
            return
        self._said += 1
        if self._said % _NEW_DEVICE_AFTER == 0:
            self.device = self.city.device(2 + self._said // _NEW_DEVICE_AFTER)
            self._join(self.device)
        session, choice = self.device.live, data[0]
        body = data[1:200]
        fport = _PORTS[choice % len(_PORTS)]
        fopts = body[:15] if choice & 0x80 and fport else b""
        phy = session.seal_uplink(fport, body[len(fopts) :], confirmed=bool(choice & 0x40), fopts=fopts)
        self._process([Uplink("line", "port", phy, self.clock.wall_s())])

    def mqtt(self, data: bytes) -> None:
        """What a broker may send over an open connection."""
        asyncio.events._set_running_loop(self._loop)  # a connection asks for it; to really run one costs twice as much
        try:
            self._mqtt(data)
        finally:
            asyncio.events._set_running_loop(None)
        self._said += 1
        if self._said % 100 == 0:  # what connections left for the loop to do, else it gathers
            self._loop.call_soon(self._loop.stop)
            self._loop.run_forever()

    def _mqtt(self, data: bytes) -> None:
        line = self._line
        line.holds = data[1:60_000]
        version: Version = "5" if data[:1] < b"\x80" else "3.1.1"
        connection = Connection(_TARGET, version, lambda *_: None)
        client: Any = connection._client
        try:
            client._sock, client._host = line, "127.0.0.1"
            connection._attach()
            connection.publish("a/b", b"first")
            for _ in range(1 + len(data)):
                if connection._closed.done():
                    break
                connection._read()
            if connection._closed.done():
                assert isinstance(connection._closed.exception(), PlatformError)
        finally:
            connection.close()

    def _process(self, uplinks: list[Uplink]) -> None:
        if uplinks:
            self.stages.intake.process(uplinks)
            self.stages.server.taken.clear()
            self.clock.sleep(0.05)

    def _join(self, device: Device) -> None:
        device.session = None
        found = self.stages.server.receive(Uplink("line", "port", device.join_request(), self.clock.wall_s()))
        assert isinstance(found, Joined)
        self.stages.server.commit()
        device.take_accept(found.accept)


def path_of(name: str) -> Path:
    """Where the inputs of a target are kept."""
    return Path(__file__).parent / "corpus" / f"{name}.txt"


def corpus(name: str) -> list[str]:
    """Inputs that were kept, in hexadecimal."""
    return path_of(name).read_text().split() if path_of(name).is_file() else []


def seeds(name: str, device: Device) -> list[bytes]:
    """Inputs that go deep, to begin with: what a sound peer sends, then those of the corpus."""
    found: list[bytes] = []
    if name == "serial":
        found += [cobs.frame(device.readings(1, 2, oldest=1)), b"\0" + cobs.frame(device.join_request()) + b"\0\0"]
    if name == "command":
        found += orders.seeds(device.dev_eui)
    if name == "payload":
        found += [
            b"\x00" + readings.pack([encoded(3)], 1),
            b"\x83" + bytes([2, 0x0D, 6, 255, 20]),
            b"\x41" + encoded(9),
        ]
    return found + [bytes.fromhex(line) for line in corpus(name)]
