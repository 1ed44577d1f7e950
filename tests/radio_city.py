# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The shipped firmware on a virtual board with a radio chip, in the virtual air, a small network behind a gateway.

In stepped time (``boards.virtual.stepped.run``) the air is in the same loop, else a process.
"""

import asyncio
import base64
import contextlib
import json
import os
import socket
import tty
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from boards.schema import load_board
from boards.virtual.air.link_budget import PathLoss
from boards.virtual.air.medium import Medium
from boards.virtual.air.server import Air, open_socket
from boards.virtual.board import VirtualBoard
from boards.virtual.forwarder.forwarder import ForwarderConfig, run_forwarder
from boards.virtual.site import Site
from boards.virtual.stepped import SteppedLoop, clock
from tests.air_rig import PULL_ACK, PULL_DATA, PULL_RESP, PUSH_ACK, PUSH_DATA, TX_ACK, air, downlink
from tests.node_rig import identity, identity_files, make
from tests.upy.small_network import Server

WAIT_S = 200
EUI = "aabbccddeeff0011"
JOIN_REQUEST = 0
SLACK_US = 1000


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
    """One board, one gateway, one small network. *board*: options of ``VirtualBoard``, and ``node`` for the board map;
    *changed*: of the identity."""

    def __init__(
        self,
        folder: Path,
        window: int = 1,
        lorawan: dict[str, Any] | None = None,
        board: dict[str, Any] | None = None,
        files: dict[str, bytes] | None = None,
        **changed: Any,
    ) -> None:
        self.server = Server()
        self._folder = folder
        self._options = {"scenario_name": "still", "seed": 1} | (board or {})
        self._ble_air = self._options.pop("ble_air", None)
        node = self._options.pop("node", {})
        values = identity(**{"link": "lora", "interval_ms": 3000, "receipt_every": 2} | changed)
        name = self._options.get("board", "virtual")
        values["board"] = load_board(name).node.as_map() | {"lorawan": lorawan or {}} | node
        self._image = make(folder, identity_files(values) | (files or {}), name)
        self.gateway = GatewayServer(self.server, window)
        self.text = b""

    async def __aenter__(self) -> "City":
        loop = asyncio.get_running_loop()
        self._air = contextlib.AsyncExitStack()
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self.gateway, sock=udp)
        if isinstance(loop, SteppedLoop):
            await self._open_air(udp.getsockname())
        else:
            forwarder = f"127.0.0.1:{udp.getsockname()[1]}"
            quiet = ("--shadowing-db", "0", "--fading-db", "0")
            options = ("--forwarder", forwarder, "--gateway-eui", EUI, "--gateway-position", "300,0", *quiet)
            self._air.enter_context(air(self._folder / "air", *options))
        port = self._folder / "port"
        site = Site(self._folder / "air", "board-1", ble=self._ble_air)
        self.board = VirtualBoard(self._image, port=port, site=site, **self._options)
        await self.board.start()
        self._line = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._line)
        loop.add_reader(self._line, self._read)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._line)
        os.close(self._line)
        await self.board.stop()
        await self._air.aclose()
        self._transport.close()

    async def _open_air(self, server: tuple[str, int]) -> None:
        now_s = clock()
        medium = Medium(0, PathLoss(shadowing_db=0, fading_db=0))
        here = Air(medium, SLACK_US, lambda: round(now_s() * 1e6))
        await self._air.enter_async_context(open_socket(here, self._folder / "air"))
        await self._air.enter_async_context(run_forwarder(ForwarderConfig(*server, bytes.fromhex(EUI), 300.0), here, 0))

    def _read(self) -> None:
        self.text += os.read(self._line, 4096)
        self.gateway.changed.set()

    async def until(self, condition: Callable[[], bool], what: str, wait_s: float = WAIT_S) -> None:
        try:
            async with asyncio.timeout(wait_s):
                while not condition():
                    self.gateway.changed.clear()
                    await self.gateway.changed.wait()
        except TimeoutError:
            said = self.text.decode(errors="replace")
            raise AssertionError(f"never: {what}\n{said}\n{self.gateway.outcomes}\n{self.gateway.uplinks}") from None
