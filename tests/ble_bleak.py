# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A backend of bleak on the virtual Bluetooth air: whoever uses bleak's public API scans and connects there.

bleak has no other way in than its `backend` arguments, which take the two classes; `backend` holds them. The air's
socket is in the environment, LYKTA_BLE_AIR. One adapter per event loop, as one hci0 per computer.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from contextlib import suppress
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakDeviceNotFoundError
from bleak.exc import BleakError as Failure
from bumble import core, hci
from bumble.core import AdvertisingData
from bumble.device import Advertisement, Device, DeviceConfiguration, Peer
from bumble.transport import open_transport

AIR = "LYKTA_BLE_AIR"
ADDRESS = "C0:FF:EE:00:00:01"
_MTU = 517
_OPEN_S = 5.0
_RADIO_ERRORS = (core.BaseBumbleError, hci.HCI_Error, OSError, asyncio.TimeoutError)
_UUID_LISTS = (
    AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
)


class Adapter:
    """One controller in the air, opened when it is first needed and again after it was pulled."""

    _of_loop: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, Adapter]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self._opening = asyncio.Lock()
        self.connecting = asyncio.Lock()
        """A controller makes one connection at a time."""
        self._device: Device | None = None
        self.clients: set[Client] = set()

    @classmethod
    def get(cls) -> Adapter:
        """Return the adapter of the running loop."""
        return cls._of_loop.setdefault(asyncio.get_running_loop(), cls())

    async def device(self) -> Device:
        """Return the host on it. Raises BleakBluetoothNotAvailableError."""
        async with self._opening:
            if self._device is None:
                try:
                    async with asyncio.timeout(_OPEN_S):
                        transport = await open_transport(f"unix:{os.environ.get(AIR, '')}")
                        address = hci.Address(ADDRESS, hci.Address.RANDOM_DEVICE_ADDRESS)
                        config = DeviceConfiguration(name="gateway", address=address)
                        device = Device.from_config_with_hci(config, transport.source, transport.sink)
                        await device.power_on()
                except (*_RADIO_ERRORS, KeyError) as error:
                    raise BleakBluetoothNotAvailableError(
                        f"no air at {os.environ.get(AIR)!r}: {error!r}", BleakBluetoothNotAvailableReason.NO_BLUETOOTH
                    ) from error
                transport.source.terminated.add_done_callback(lambda _: self._pulled())
                self._device = device
            return self._device

    def _pulled(self) -> None:
        self._device = None
        for client in list(self.clients):
            client.ended()


class Scanner(BaseBleakScanner):
    """What stands behind a BleakScanner."""

    def __init__(
        self, detection_callback: Any, service_uuids: list[str] | None, scanning_mode: str, **_other: Any
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"
        self._device: Device | None = None

    async def start(self) -> None:
        """Begin."""
        self.seen_devices = {}
        self._device = await Adapter.get().device()
        self._device.on("advertisement", self._heard)
        try:
            async with asyncio.timeout(_OPEN_S):
                await self._device.start_scanning(active=self._active, filter_duplicates=False)
        except _RADIO_ERRORS as error:
            raise Failure(repr(error)) from error

    async def stop(self) -> None:
        """End."""
        device, self._device = self._device, None
        if device is not None:
            device.remove_listener("advertisement", self._heard)
            try:
                async with asyncio.timeout(_OPEN_S):
                    await device.stop_scanning()
            except _RADIO_ERRORS as error:
                raise Failure(repr(error)) from error

    def _heard(self, heard: Advertisement) -> None:
        lists: list[Any] = [found for kind in _UUID_LISTS for found in heard.data.get_all(kind)]
        uuids = [_text(each) for found in lists for each in found]
        if not self.is_allowed_uuid(uuids):
            return
        makers = heard.data.get_all(AdvertisingData.MANUFACTURER_SPECIFIC_DATA)
        seen = AdvertisementData(
            None, {company: bytes(data) for company, data in makers}, {}, uuids, None, heard.rssi, ()
        )
        address = heard.address.to_string(False)
        device = self.create_or_update_device(address, address, None, heard.address, seen)
        self.call_detection_callbacks(device, seen)


class Client(BaseBleakClient):
    """What stands behind a BleakClient."""

    def __init__(self, address_or_ble_device: BLEDevice | str, services: Any = None, **options: Any) -> None:
        super().__init__(
            address_or_ble_device,
            disconnected_callback=options["disconnected_callback"],
            timeout=options["timeout"],
        )
        self._peer: Peer | None = None
        self._device = address_or_ble_device

    @property
    def name(self) -> str:
        """The address: no names are kept."""
        return self.address

    @property
    def mtu_size(self) -> int:
        """As agreed."""
        return 23 if self._peer is None else int(self._peer.gatt_client.mtu)

    @property
    def is_connected(self) -> bool:
        """Whether it is."""
        return self._peer is not None

    async def connect(self, pair: bool, **_options: Any) -> None:
        """Connect, agree on an MTU, find the services."""
        if not isinstance(self._device, BLEDevice):
            raise BleakDeviceNotFoundError(self.address, "this backend connects to what its scanner found")
        adapter = Adapter.get()
        host: Any = await adapter.device()
        connection = None
        try:
            async with asyncio.timeout(self._timeout):
                async with adapter.connecting:
                    try:
                        connection = await host.connect(self._device.details, timeout=None)
                    except asyncio.CancelledError:
                        await host.cancel_connection()
                        raise
                connection.on("disconnection", lambda _reason: self.ended())
                peer: Any = Peer(connection)
                await peer.request_mtu(_MTU)
                await peer.discover_all()
        except BaseException as error:
            if connection is not None:
                with suppress(*_RADIO_ERRORS):
                    async with asyncio.timeout(2):
                        await connection.disconnect()
            if isinstance(error, _RADIO_ERRORS) and not isinstance(error, TimeoutError):
                raise Failure(repr(error)) from error
            raise
        self._peer = peer
        self.services = self._described(peer)
        adapter.clients.add(self)

    def _described(self, peer: Peer) -> BleakGATTServiceCollection:
        found = BleakGATTServiceCollection()
        for service in peer.services:
            described = BleakGATTService(service, service.handle, _text(service.uuid))
            found.add_service(described)
            for each in service.characteristics:
                properties = list(gatt_char_props_to_strs(int(each.properties)))
                found.add_characteristic(
                    BleakGATTCharacteristic(
                        each, each.handle, _text(each.uuid), properties, lambda: self.mtu_size - 3, described
                    )
                )
        return found

    def ended(self) -> None:
        """The connection is over, whoever ended it."""
        peer, self._peer, self.services = self._peer, None, None
        Adapter.get().clients.discard(self)
        if peer is not None and self._disconnected_callback is not None:
            self._disconnected_callback()

    async def disconnect(self) -> None:
        """End it."""
        if self._peer is not None:
            await _radio(self._peer.connection.disconnect())

    async def pair(self, *_arguments: Any, **_options: Any) -> None:
        """Not needed here."""
        raise NotImplementedError

    async def unpair(self) -> None:
        """Not needed here."""
        raise NotImplementedError

    async def read_gatt_char(self, characteristic: BleakGATTCharacteristic, **_options: Any) -> bytearray:
        """Read a value."""
        return bytearray(await _radio(characteristic.obj.read_value()))

    async def read_gatt_descriptor(self, descriptor: Any, **_options: Any) -> bytearray:
        """Not needed here."""
        raise NotImplementedError

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: Any, response: bool) -> None:
        """Write a value."""
        await _radio(characteristic.obj.write_value(bytes(data), with_response=response))

    async def write_gatt_descriptor(self, descriptor: Any, data: Any) -> None:
        """Not needed here."""
        raise NotImplementedError

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: Any, **_options: Any) -> None:
        """Subscribe."""
        await _radio(characteristic.obj.subscribe(lambda value: callback(bytearray(value))))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """End that."""
        await _radio(characteristic.obj.unsubscribe(force=True))


class backend:  # noqa: N801 - it is a name in a configuration
    """``backend = "tests.ble_bleak:backend"``."""

    scanner = Scanner
    client = Client


async def _radio(asked: Any) -> Any:
    try:
        return await asked
    except _RADIO_ERRORS as error:
        raise Failure(repr(error)) from error


def _text(found: core.UUID) -> str:
    return str(uuid.UUID(bytes=bytes(reversed(found.to_bytes(force_128=True)))))
