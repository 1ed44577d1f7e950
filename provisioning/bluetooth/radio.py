# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""This computer's Bluetooth adapter, by bleak's public API: what advertises, and frames to one board and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from firmware.wire import gatt
from firmware.wire.segment import Reassembler, Segmenter
from provisioning.errors import BluetoothError, ContactLost

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

_CONNECT_S: Final = 15.0
_CALL_S: Final = 5.0
_SEARCH_S: Final = 5.0
"""Then a new search: nobody tells that one has ended, as with an adapter that was pulled and plugged in again."""
_MAX_FOUND: Final = 1024
_MAX_FRAMES: Final = 256
_NEXT: Final = "bluetoothctl list shows the adapters, bluetoothctl show whether one is switched on"


@dataclass(frozen=True, slots=True)
class Found:
    """A board that advertises: six bytes of hint, and how strong it was heard the last time."""

    address: str
    hint: bytes
    rssi_dbm: int
    device: BLEDevice


@dataclass(frozen=True)
class Radio:
    """Which adapter, and who drives it: "bluez" or ``module:name`` of an object with `scanner` and `client`."""

    backend: str = "bluez"
    adapter: str | None = None

    async def scan(self, seconds: float, enough: Callable[[Found], bool] = lambda _found: False) -> list[Found]:
        """Listen for so long, or until one is *enough*; the strongest first.

        Raises BluetoothError when there is no adapter.
        """
        found: dict[str, Found] = {}
        done = asyncio.Event()

        def heard(device: BLEDevice, said: AdvertisementData) -> None:
            hint = said.manufacturer_data.get(gatt.COMPANY_ID)
            if hint is not None and (device.address in found or len(found) < _MAX_FOUND):
                one = found[device.address] = Found(device.address, bytes(hint), said.rssi, device)
                if enough(one):
                    done.set()

        end_s = time.monotonic() + seconds
        while not done.is_set() and (left_s := end_s - time.monotonic()) > 0:
            await self._listen(heard, done, min(_SEARCH_S, left_s))
        return sorted(found.values(), key=lambda each: -each.rssi_dbm)

    async def _listen(self, heard: Callable[[Any, Any], None], done: asyncio.Event, seconds: float) -> None:
        from bleak import BleakScanner

        scanner = BleakScanner(heard, [gatt.SERVICE_UUID], **self._options("scanner"))
        try:
            async with asyncio.timeout(_CONNECT_S):
                await scanner.start()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await done.wait()
        except _failures() as error:
            await asyncio.sleep(0)  # bleak may have awaited nothing; who tries again at once must hear D-Bus's news
            raise BluetoothError("Bluetooth cannot be listened to.", value=_text(error), next_step=_NEXT) from error
        finally:
            await _quietly(scanner.stop)

    @asynccontextmanager
    async def connected(self, found: Found) -> AsyncIterator[Line]:
        """A line to the board for as long as the block lasts. Raises BluetoothError."""
        from bleak import BleakClient

        def gone(_client: object) -> None:
            line.end()

        client = BleakClient(found.device, gone, [gatt.SERVICE_UUID], timeout=_CONNECT_S, **self._options("client"))
        line = Line(client)
        try:
            async with asyncio.timeout(_CONNECT_S):
                await client.connect()
                await line.open()
        except _failures() as error:
            await _quietly(client.disconnect)
            raise ContactLost(
                "The board does not take a connection.",
                value=f"{found.address}: {_text(error)}",
                reason="It may be connected to its gateway, or too far away.",
                next_step="go nearer and try again",
            ) from error
        try:
            yield line
        finally:
            await _quietly(client.disconnect)

    def _options(self, part: str) -> dict[str, Any]:
        options: dict[str, Any] = {"bluez": {} if self.adapter is None else {"adapter": self.adapter}}
        if self.backend != "bluez":
            module, _, name = self.backend.partition(":")
            try:
                options["backend"] = getattr(getattr(import_module(module), name), part)
            except (ImportError, AttributeError, ValueError) as error:
                raise BluetoothError("There is no such Bluetooth backend.", value=self.backend) from error
        return options


class Line:
    """Frames in pieces over one connection."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._cutter = Segmenter()
        self._pieces = Reassembler()
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue(_MAX_FRAMES)
        self._ended = False

    async def open(self) -> None:
        """Find the characteristics and subscribe. Raises what bleak raises."""
        from bleak.exc import BleakError

        self._downlink = self._client.services.get_characteristic(gatt.DOWNLINK_UUID)
        uplink = self._client.services.get_characteristic(gatt.UPLINK_UUID)
        if self._downlink is None or uplink is None:
            raise BleakError("it has not the characteristics of a board")
        await self._client.start_notify(uplink, self._heard, bluez={"use_start_notify": False})

    async def send(self, phy: bytes) -> None:
        """Write one frame. Raises BluetoothError."""
        size = min(self._downlink.max_write_without_response_size, gatt.MTU - gatt.ATT_HEADER)
        try:
            async with asyncio.timeout(_CALL_S):
                for piece in self._cutter.split(phy, size):
                    await self._client.write_gatt_char(self._downlink, piece, response=True)
        except _failures() as error:
            raise ContactLost("The connection to the board was lost.", value=_text(error)) from error

    async def receive(self, within_s: float) -> bytes | None:
        """Return the next frame, None when none came in time. Raises ContactLost when none can come any more."""
        frame = None
        if not self._ended or not self._frames.empty():
            try:
                async with asyncio.timeout(within_s):
                    frame = await self._frames.get()
            except TimeoutError:
                return None
        if frame is None:
            raise ContactLost("The connection to the board was lost.", next_step="go nearer and try again")
        return frame

    def end(self) -> None:
        """Note that the connection is no more."""
        self._ended = True
        with suppress(asyncio.QueueFull):  # then nobody waits
            self._frames.put_nowait(None)

    def _heard(self, _characteristic: object, data: bytearray) -> None:
        frame = self._pieces.feed(bytes(data))
        if frame:
            with suppress(asyncio.QueueFull):
                self._frames.put_nowait(frame)


async def _quietly(verb: Any) -> None:
    """End something, whatever state it is in."""
    with suppress(*_failures()):
        async with asyncio.timeout(_CALL_S):
            await verb()


def _failures() -> tuple[type[Exception], ...]:
    from bleak.exc import BleakError

    return (BleakError, OSError, EOFError, TimeoutError)


def _text(error: Exception) -> str:
    """Its words; some of bleak's errors carry a member of an enumeration beside them."""
    if any(isinstance(each, Enum) for each in error.args):
        return str(error.args[0])
    return str(error) or type(error).__name__
