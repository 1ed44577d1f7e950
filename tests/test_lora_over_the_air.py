# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The shipped firmware on a virtual board with a radio chip, through the virtual air and a gateway, to a small network.

All of it in real time: what is tested is that windows which the node opens and moments at which a gateway sends agree.
"""

import asyncio
import base64
import json
import os
import re
import socket
import tty
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import pytest

from boards.virtual.board import VirtualBoard
from boards.virtual.site import Site
from tests.air_rig import PULL_ACK, PULL_DATA, PULL_RESP, PUSH_ACK, PUSH_DATA, TX_ACK, air, downlink
from tests.node_rig import identity, identity_files, make
from tests.upy.small_network import Server

pytestmark = pytest.mark.apart

WAIT_S = 80
EUI = "aabbccddeeff0011"
JOIN_REQUEST = 0


class GatewayServer(asyncio.DatagramProtocol):
    """Semtech UDP towards the gateway of the air; every uplink goes to *server*, its answers into RX1 or RX2."""

    def __init__(self, server: Server, window: int) -> None:
        self.server = server
        self.window = window
        self.pull: tuple[str, int] | None = None
        self.outcomes: list[str] = []
        self.uplinks: list[dict[str, Any]] = []
        self.changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        token, kind, body = data[1:3], data[3], data[12:]
        if kind == PULL_DATA:
            self.pull = source
            self.transport.sendto(bytes((2, *token, PULL_ACK)), source)
        elif kind == PUSH_DATA:
            self.transport.sendto(bytes((2, *token, PUSH_ACK)), source)
            for packet in json.loads(body).get("rxpk", []):
                if packet["stat"] == 1:
                    self._uplink(packet)
        elif kind == TX_ACK:
            self.outcomes.append(json.loads(body)["txpk_ack"]["error"] if body.strip(b"\0 ") else "NONE")
        self.changed.set()

    def _uplink(self, packet: dict[str, Any]) -> None:
        self.uplinks.append(packet)
        phy = base64.b64decode(packet["data"])
        delay_us = 5_000_000 if phy[0] >> 5 == JOIN_REQUEST else 1_000_000
        where = {"freq": packet["freq"], "datr": packet["datr"]}
        if self.window == 2:
            delay_us += 1_000_000
            where = {"freq": 869.525, "datr": "SF12BW125"}
        for answer in self.server.uplink(phy):
            self.send(answer, tmst=(packet["tmst"] + delay_us) & 0xFFFFFFFF, **where)

    def send(self, phy: bytes, **how: Any) -> None:
        body = json.dumps({"txpk": downlink(phy, **how)}).encode()
        self.transport.sendto(b"\x02\x00\x01" + bytes([PULL_RESP]) + body, self.pull)


class City:
    """One board, one gateway, one small network."""

    def __init__(self, folder: Path, window: int, lorawan: dict[str, Any]) -> None:
        self.server = Server()
        self._folder = folder
        values = identity(link="lora", interval_ms=3000, receipt_every=2)
        values["board"]["lorawan"] = lorawan
        self._image = make(folder, identity_files(values))
        self.gateway = GatewayServer(self.server, window)
        self.text = b""

    async def __aenter__(self) -> "City":
        loop = asyncio.get_running_loop()
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self.gateway, sock=udp)
        forwarder = f"127.0.0.1:{udp.getsockname()[1]}"
        quiet = ("--shadowing-db", "0", "--fading-db", "0")
        options = ("--forwarder", forwarder, "--gateway-eui", EUI, "--gateway-position", "300,0", *quiet)
        self._air = air(self._folder / "air", *options)
        self._air.__enter__()
        port = self._folder / "port"
        site = Site(self._folder / "air", "board-1")
        self._board = VirtualBoard(self._image, port=port, seed=1, scenario_name="still", site=site)
        await self._board.start()
        self._line = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._line)
        loop.add_reader(self._line, self._read)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._line)
        os.close(self._line)
        await self._board.stop()
        self._air.__exit__(kind, error, trace)
        self._transport.close()

    def _read(self) -> None:
        self.text += os.read(self._line, 4096)

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(WAIT_S):
                while not condition():
                    self.gateway.changed.clear()
                    await self.gateway.changed.wait()
        except TimeoutError:
            said = self.text.decode(errors="replace")
            raise AssertionError(f"never: {what}\n{said}\n{self.gateway.outcomes}\n{self.gateway.uplinks}") from None


@pytest.mark.parametrize("window", [1, 2])
def test_a_board_joins_and_delivers_over_the_air(tmp_path: Path, window: int) -> None:
    async def live() -> None:
        async with City(tmp_path, window, {}) as city:
            await city.until(lambda: city.server.base >= 4, "4 readings, receipted")
            assert city.server.joins
            assert set(city.gateway.outcomes) == {"NONE"}
            late = re.findall(rb"window -?\d+ us late", city.text)
            assert len(late) <= 1, city.text
            print(city.text.decode())

    asyncio.run(live())


def test_a_class_c_board_is_reached_at_any_time(tmp_path: Path) -> None:
    async def live() -> None:
        async with City(tmp_path, 1, {"class": "C"}) as city:
            await city.until(lambda: city.server.base >= 2, "2 readings, receipted")
            acks = city.server.acks
            session = city.server.session
            assert session is not None
            for _ in range(6):
                if city.server.acks == acks:
                    phy = session.seal_downlink(None, b"", confirmed=True)
                    city.gateway.send(phy, imme=True, freq=869.525, datr="SF12BW125")
                    uplinks = len(city.gateway.uplinks)
                    # Every second uplink is answered in RX1, where a call would meet the receipt: an odd number later
                    # it is the other one's turn.
                    await city.until(lambda: len(city.gateway.uplinks) >= uplinks + 3, "3 uplinks")  # noqa: B023
            assert city.server.acks > acks, city.text.decode(errors="replace")

    asyncio.run(live())
