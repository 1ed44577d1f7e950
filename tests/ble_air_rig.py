# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The shipped firmware on a virtual board with Bluetooth, and centrals of the tests' own in the same air.

`Central` is a host (bumble) that scans, connects, subscribes and writes; `Gateway` carries frames between it and a
small network; what a hostile central does, the tests do by hand with `Peer`.
"""

import asyncio
import contextlib
import os
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from bumble import core, hci
from bumble.core import AdvertisingData
from bumble.device import Advertisement, Connection, Device, DeviceConfiguration
from bumble.device import Peer as GattPeer
from bumble.transport import open_transport

from boards.schema import load_board
from boards.virtual.ble.air import Air, Conditions, open_air
from boards.virtual.board import VirtualBoard
from boards.virtual.site import Site
from firmware.wire import gatt
from firmware.wire.segment import READY, Reassembler, Segmenter
from tests.node_rig import identity, identity_files, make
from tests.upy.small_network import Server

WAIT_S = 150
"""Long, for a busy machine: what comes comes far sooner."""
CONNECTIONS = 3
BOARD = "virtual_ble"


class Central:
    """One adapter in the air; *number* makes its address."""

    def __init__(self, socket: Path, number: int = 1) -> None:
        self._socket = socket
        self._number = number
        self.wanted: Callable[[Advertisement], bool] = lambda _seen: True

    async def __aenter__(self) -> "Central":
        self._transport = await open_transport(f"unix:{self._socket}")
        address = hci.Address(f"C0:FF:EE:00:00:{self._number:02X}", hci.Address.RANDOM_DEVICE_ADDRESS)
        config = DeviceConfiguration(name="central", address=address)
        self.device = Device.from_config_with_hci(config, self._transport.source, self._transport.sink)
        await self.device.power_on()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.hang_up()
        await self._transport.close()

    async def hang_up(self) -> None:
        """End every connection."""
        with contextlib.suppress(core.BaseBumbleError, hci.HCI_Error, TimeoutError):
            async with asyncio.timeout(2):
                for connection in list(self.device.connections.values()):
                    await connection.disconnect()

    async def sighting(self, also: Callable[[Advertisement], bool] = lambda _seen: True) -> Advertisement:
        """The next advertisement with our service that is wanted."""
        found: asyncio.Future[Advertisement] = asyncio.get_running_loop().create_future()

        def heard(advertisement: Advertisement) -> None:
            if (
                hint_of(advertisement) is not None
                and self.wanted(advertisement)
                and also(advertisement)
                and not found.done()
            ):
                found.set_result(advertisement)

        self.device.on("advertisement", heard)
        await self.device.start_scanning(active=True, filter_duplicates=False)
        try:
            async with asyncio.timeout(WAIT_S):
                return await found
        finally:
            self.device.remove_listener("advertisement", heard)
            await self.device.stop_scanning()

    async def connect(self, advertisement: Advertisement | None = None) -> "Peer":
        """Connect to a board, by default to the next that advertises, and find its characteristics.

        A connection that is lost before that is tried again, as a host does. Raises TimeoutError.
        """
        for _ in range(CONNECTIONS):
            with _lost_connection_is_fine():
                return await self._connected(advertisement)
            await self.hang_up()
        raise TimeoutError(f"no connection held in {CONNECTIONS} attempts")

    async def _connected(self, advertisement: Advertisement | None) -> "Peer":
        seen = advertisement or await self.sighting()
        async with asyncio.timeout(WAIT_S):
            connection = await self.device.connect(seen.address, timeout=None)
        peer = Peer(connection)
        async with asyncio.timeout(5):
            await peer.discover()
        return peer


def hint_of(advertisement: Advertisement) -> bytes | None:
    """The six bytes, or None for somebody else's advertisement."""
    for company, data in advertisement.data.get_all(AdvertisingData.MANUFACTURER_SPECIFIC_DATA) or []:
        if company == gatt.COMPANY_ID:
            return bytes(data)
    return None


@contextlib.contextmanager
def _lost_connection_is_fine() -> Iterator[None]:
    """bumble also cancels who waits for an answer on a connection that ends."""
    try:
        yield
    except (core.BaseBumbleError, hci.HCI_Error, TimeoutError) as error:
        print(f"central: {error!r}")
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise


class Peer:
    """A board that a central is connected to."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.values: asyncio.Queue[bytes] = asyncio.Queue()
        self.gone = asyncio.Event()
        connection.on("disconnection", lambda _reason: self.gone.set())

    async def discover(self) -> None:
        """MTU, service, characteristics. Raises AssertionError when they are not as documented."""
        peer = GattPeer(self.connection)
        self.mtu = await peer.request_mtu(517)
        await peer.discover_services()
        (service,) = [each for each in peer.services if each.uuid == core.UUID(gatt.SERVICE_UUID)]
        await service.discover_characteristics()
        (self.uplink,) = [each for each in service.characteristics if each.uuid == core.UUID(gatt.UPLINK_UUID)]
        (self.downlink,) = [each for each in service.characteristics if each.uuid == core.UUID(gatt.DOWNLINK_UUID)]

    async def subscribe(self) -> None:
        """Have uplinks put into ``values``."""
        await self.uplink.subscribe(lambda value: self.values.put_nowait(bytes(value)))

    async def write(self, piece: bytes, response: bool = True) -> None:
        """One piece of a downlink. What the connection's end leaves undone is nobody's matter."""
        with _lost_connection_is_fine():
            async with asyncio.timeout(10):
                await self.downlink.write_value(piece, with_response=response)

    async def until_gone(self) -> None:
        """Wait for the connection's end."""
        async with asyncio.timeout(WAIT_S):
            await self.gone.wait()


class Gateway:
    """Serves one board after another connection, for as long as the block lasts: frames to *server* and back."""

    def __init__(self, central: Central, server: Server) -> None:
        self.server = server
        self.connections = 0
        self.frames = 0
        self.changed = asyncio.Event()
        self.peer: Peer | None = None
        self.lost = 0
        self._central = central

    async def __aenter__(self) -> "Gateway":
        self._task = asyncio.create_task(self._serve())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled() and (error := self._task.exception()) is not None:
            raise error

    async def _serve(self) -> None:
        while True:
            with _lost_connection_is_fine():
                self.peer = await self._central.connect()
                self.connections += 1
                await self._carry(self.peer)
            await self._central.hang_up()

    async def _carry(self, peer: Peer) -> None:
        await peer.subscribe()
        down, up = Segmenter(), Reassembler()
        await self._send(peer, down, READY)
        gone = asyncio.create_task(peer.gone.wait())
        try:
            while not peer.gone.is_set():
                value = asyncio.create_task(peer.values.get())
                await asyncio.wait([value, gone], return_when=asyncio.FIRST_COMPLETED)
                if not value.done():
                    value.cancel()
                    continue
                phy = up.feed(value.result())
                self.lost = up.lost
                if phy:
                    self.frames += 1
                    for answer in self.server.uplink(phy):
                        await self._send(peer, down, answer)
                self.changed.set()
        finally:
            gone.cancel()

    async def _send(self, peer: Peer, cutter: Segmenter, phy: bytes) -> None:
        for piece in cutter.split(phy, peer.mtu - gatt.ATT_HEADER):
            await peer.write(piece)

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for *condition*, looked at whenever a frame has come."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not condition():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise AssertionError(f"never: {what}; {self.frames} frames, {self.connections} connections") from None


class BleBoard:
    """A running board in the Bluetooth air; ``text`` is its console."""

    def __init__(self, image: Path, air: Path, number: int = 1, **options: Any) -> None:
        self._port = image.with_name(f"{image.name}.port")
        site = options.pop("site", None) or Site(None, f"board {number}", ble=air)
        defaults = {"board": BOARD, "scenario_name": "still", "seed": number, "site": site}
        self.board = VirtualBoard(image, port=self._port, **(defaults | options))
        self.text = b""
        self._said = asyncio.Event()
        self._line = -1

    async def __aenter__(self) -> "BleBoard":
        await self.board.start()
        self._line = os.open(self._port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._line)
        asyncio.get_running_loop().add_reader(self._line, self._read)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(self.text.decode(errors="replace"), self.board.state())
        asyncio.get_running_loop().remove_reader(self._line)
        os.close(self._line)
        await self.board.stop()

    async def until_says(self, words: bytes) -> None:
        """Wait for words on the console."""
        async with asyncio.timeout(WAIT_S):
            while words not in self.text:
                self._said.clear()
                await self._said.wait()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            self.text += os.read(self._line, 65_536)
        self._said.set()


def make_board(folder: Path, link: str = "ble", **changed: Any) -> Path:
    """An image whose identity says so."""
    folder.mkdir(exist_ok=True)
    values = identity(link=link, board=load_board(BOARD).node.as_map(), **changed)
    return make(folder, identity_files(values), BOARD)


@contextlib.asynccontextmanager
async def ble_air(folder: Path, conditions: Conditions | None = None, seed: int = 0) -> AsyncIterator[tuple[Air, Path]]:
    """An air in this process, and its socket."""
    path = folder / "ble.air"
    async with open_air(path, Air(conditions, seed)) as air:
        yield air, path
