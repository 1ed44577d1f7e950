# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""bleak's public API behind the few verbs that the link needs; the one place that chooses bleak's backend.

Every wait ends: bleak's calls hang when bluetoothd does.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bleak import BleakClient, BleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakDBusError, BleakError

from firmware.wire import gatt
from gateway.errors import LinkError
from gateway.operate.logs import EventLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

    from gateway.links.ble import Settings

_START_S = 15.0
_STOP_S = 5.0
_WRITE_S = 5.0
_IN_PROGRESS = "org.bluez.Error.InProgress"
_FAILURES = (BleakError, OSError, EOFError, TimeoutError)
"""What bleak and the D-Bus library under it raise when Bluetooth does not do what it should."""
_log = EventLog("links.ble")


class AdapterAbsent(LinkError):
    """There is no Bluetooth adapter, it is switched off, or bluetoothd does not run."""


class DiscoveryStuck(LinkError):
    """BlueZ says that a search of before is still going on, and does not end it."""


class BoardLost(LinkError):
    """A board cannot be connected to, or went away."""


class NoService(BoardLost):
    """It is connected and has not the service that it advertises."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One advertisement with the service of the boards."""

    address: str
    hint: bytes
    rssi_dbm: int
    device: BLEDevice
    """bleak's own record, which it wants back for a connection."""


class Adapter:
    """The radio, as the settings choose it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._backend = _backend(settings.backend)
        self._bluez = {} if settings.adapter is None else {"adapter": settings.adapter}

    @asynccontextmanager
    async def scanning(self, heard: Callable[[Sighting], None]) -> AsyncIterator[None]:
        """Scan within the block. Raises AdapterAbsent, DiscoveryStuck, LinkError when it cannot begin."""

        def detected(device: BLEDevice, advertisement: AdvertisementData) -> None:
            hint = advertisement.manufacturer_data.get(gatt.COMPANY_ID)
            if hint is not None:
                heard(Sighting(device.address, bytes(hint), advertisement.rssi, device))

        chosen: dict[str, Any] = {} if self._backend is None else {"backend": self._backend.scanner}
        scanner = BleakScanner(detected, [gatt.SERVICE_UUID], bluez=self._bluez, **chosen)  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(_START_S):
                await scanner.start()
        except _FAILURES as error:
            await _end(scanner.stop)  # else BlueZ goes on searching for a client that has given up
            raise _why(error) from error
        try:
            yield
        finally:
            await _end(scanner.stop)

    @asynccontextmanager
    async def connected(self, device: BLEDevice, gone: Callable[[], None]) -> AsyncIterator[Channel]:
        """Be connected within the block; *gone* is called when the connection ends. Raises BoardLost, NoService."""
        chosen: dict[str, Any] = {} if self._backend is None else {"backend": self._backend.client}
        client = BleakClient(
            device,
            lambda _client: gone(),
            [gatt.SERVICE_UUID],
            timeout=self._settings.connect_s,
            bluez=self._bluez,  # type: ignore[arg-type]
            **chosen,
        )
        try:
            async with asyncio.timeout(self._settings.connect_s):
                await client.connect()
        except _FAILURES as error:
            await _end(client.disconnect)
            raise BoardLost(f"{device.address}: {_text(error)}") from error
        try:
            yield Channel(client, device.address)
        finally:
            await _end(client.disconnect)


class Channel:
    """The two characteristics of one connected board."""

    def __init__(self, client: BleakClient, address: str) -> None:
        """Raise NoService for a board without them."""
        self._client = client
        self._address = address
        uplink = client.services.get_characteristic(gatt.UPLINK_UUID)
        downlink = client.services.get_characteristic(gatt.DOWNLINK_UUID)
        if uplink is None or downlink is None:
            raise NoService(f"{address} does not have the characteristics of a board")
        self._uplink: BleakGATTCharacteristic = uplink
        self._downlink: BleakGATTCharacteristic = downlink

    @property
    def piece_bytes(self) -> int:
        """How much one write may hold now; the MTU is agreed on after the connection."""
        return min(self._downlink.max_write_without_response_size, gatt.MTU - gatt.ATT_HEADER)

    async def subscribe(self, notified: Callable[[bytes], None]) -> None:
        """Begin to hear notifications. Raises BoardLost.

        By a pipe of its own (AcquireNotify): as D-Bus signals, BlueZ merges values that come faster than it sends.
        """
        try:
            async with asyncio.timeout(_WRITE_S):
                await self._client.start_notify(
                    self._uplink, lambda _characteristic, data: notified(bytes(data)), bluez={"use_start_notify": False}
                )
        except _FAILURES as error:
            raise BoardLost(f"{self._address}: no notifications: {_text(error)}") from error

    async def write(self, piece: bytes) -> None:
        """Write one piece and wait until the board has it. Raises BoardLost."""
        try:
            async with asyncio.timeout(_WRITE_S):
                await self._client.write_gatt_char(self._downlink, piece, response=True)
        except _FAILURES as error:
            raise BoardLost(f"{self._address}: not written: {_text(error)}") from error


async def _end(verb: Callable[[], Any]) -> None:
    """Stop or disconnect. That it fails changes nothing for us, and it may hang."""
    try:
        async with asyncio.timeout(_STOP_S):
            await verb()
    except Exception as error:  # noqa: BLE001 - bleak raises whatever is left of its state; the object is not used again
        _log.debug("not_ended", what=getattr(verb, "__qualname__", ""), why=_text(error))


def _why(error: Exception) -> LinkError:
    if isinstance(error, BleakBluetoothNotAvailableError):
        return AdapterAbsent(f"{_text(error)} (bluetoothctl list shows the adapters, rfkill which are blocked)")
    if isinstance(error, BleakDBusError) and error.dbus_error == _IN_PROGRESS:
        return DiscoveryStuck("BlueZ keeps an old search going; if this stays: bluetoothctl power off, then power on")
    if isinstance(error, TimeoutError):
        return AdapterAbsent(f"no answer within {_START_S:.0f} s (systemctl status bluetooth says more)")
    return LinkError(f"scanning cannot begin: {_text(error)} (systemctl status bluetooth says more)")


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


def _backend(reference: str) -> Any:
    """Return what ``module:name`` names, None for bleak's own choice on Linux. Raises LinkError."""
    if reference == "bluez":
        return None
    module, _, name = reference.partition(":")
    with suppress(ImportError, AttributeError):
        found = getattr(import_module(module), name)
        if hasattr(found, "scanner") and hasattr(found, "client"):
            return found
    raise LinkError(
        f"backend = {reference!r}: there is no such module, or no such object with `scanner` and `client` in it"
    )
