# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The virtual Bluetooth air as a backend of bleak: what a gateway uses where there is no BlueZ.

In `gateway.toml`: ``backend = "boards.virtual.ble.bleak_backend:AIR"``. The environment variable LYKTA_BLE_AIR names
the socket of the air. One adapter per process, which scanners and clients share; it comes back when the air does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, TypeVar
from uuid import UUID

from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakError
from bumble import core, hci
from bumble.core import AdvertisingData
from bumble.device import Connection, Device, DeviceConfiguration, Peer
from bumble.transport import open_transport
from bumble.transport.common import Transport

SOCKET = "LYKTA_BLE_AIR"
_POWER_ON_S = 5.0
_MTU = 517  # as BlueZ asks for
_UUID_LISTS = (
    AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
)

T = TypeVar("T")


class _Adapter:
    """The process's only one."""

    def __init__(self) -> None:
        self._transport: Transport | None = None
        self._device: Device | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening: asyncio.Lock | None = None
        self.connecting = asyncio.Lock()
        self.scanners = 0

    async def device(self) -> Device:
        """The host, connected to the air. Raises BleakBluetoothNotAvailableError."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._device, self._opening = loop, None, asyncio.Lock()
            self.connecting, self.scanners = asyncio.Lock(), 0
        assert self._opening is not None  # noqa: S101  just made
        async with self._opening:
            if self._device is None:
                self._device = await self._open()
            return self._device

    async def _open(self) -> Device:
        path = os.environ.get(SOCKET, "")
        transport: Transport | None = None
        try:
            async with asyncio.timeout(_POWER_ON_S):
                transport = await open_transport(f"unix:{path}")
                address = hci.Address(f"C0:A7:E0:{os.urandom(3).hex(':')}".upper(), hci.Address.RANDOM_DEVICE_ADDRESS)
                config = DeviceConfiguration(name="gateway", address=address)
                device = Device.from_config_with_hci(config, transport.source, transport.sink)
                await device.power_on()
        except (OSError, TimeoutError, core.BaseBumbleError, hci.HCI_Error) as error:
            if transport is not None:  # else a controller that does not answer now would be ours for ever
                await transport.close()
            reason = BleakBluetoothNotAvailableReason.NO_BLUETOOTH
            raise BleakBluetoothNotAvailableError(f"{SOCKET}={path}: {error}", reason) from error
        self._transport = transport
        transport.source.terminated.add_done_callback(lambda _ended: self._lost(device))
        return device

    def is_current(self, device: Device) -> bool:
        """Whether the adapter is still this one. Does not look for another."""
        return self._device is device

    def _lost(self, device: Device) -> None:
        """The air has gone, or pulled us out."""
        if self._device is device:
            self._device, self.scanners = None, 0
        for handle in list(device.connections):
            device.host.on_hci_disconnection_complete_event(
                hci.HCI_Disconnection_Complete_Event(
                    status=hci.HCI_ErrorCode.SUCCESS,
                    connection_handle=handle,
                    reason=hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR,
                )
            )


_ADAPTER = _Adapter()


class AirScanner(BaseBleakScanner):
    """Active scan; every advertisement is reported."""

    def __init__(
        self, detection_callback: Any, service_uuids: Any, scanning_mode: Any = "active", **_more: Any
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._on: Device | None = None

    async def start(self) -> None:
        """Begin. Raises BleakBluetoothNotAvailableError."""
        self.seen_devices = {}
        device = await _ADAPTER.device()
        device.on("advertisement", self._heard)
        self._on = device
        _ADAPTER.scanners += 1
        if _ADAPTER.scanners == 1:
            await _asked(device.start_scanning(active=True, filter_duplicates=False))

    async def stop(self) -> None:
        """End; an adapter that has gone is no error."""
        device, self._on = self._on, None
        if device is None:
            return
        device.remove_listener("advertisement", self._heard)
        if _ADAPTER.is_current(device):
            _ADAPTER.scanners -= 1
            if _ADAPTER.scanners == 0:
                await _asked(device.stop_scanning())

    def _heard(self, advertisement: Any) -> None:
        data = advertisement.data
        uuids = [_text(each) for kind in _UUID_LISTS for found in data.get_all(kind) for each in found]
        if not self.is_allowed_uuid(uuids):
            return
        company = {number: bytes(value) for number, value in data.get_all(AdvertisingData.MANUFACTURER_SPECIFIC_DATA)}
        name = data.get(AdvertisingData.COMPLETE_LOCAL_NAME)
        address = advertisement.address.to_string(False)
        facts = AdvertisementData(name, company, {}, uuids, None, advertisement.rssi, (advertisement,))
        device = self.create_or_update_device(address, address, name, {"address": advertisement.address}, facts)
        self.call_detection_callbacks(device, facts)


class AirClient(BaseBleakClient):
    """One connection."""

    def __init__(self, device: Any, services: Any = None, **options: Any) -> None:
        callback, timeout = options["disconnected_callback"], options["timeout"]
        super().__init__(device, disconnected_callback=callback, timeout=timeout)
        self._peer_address = device.details["address"] if isinstance(device, BLEDevice) else None
        self._only = services
        self._connection: Connection | None = None

    @property
    def mtu_size(self) -> int:
        """Of ATT."""
        return 23 if self._connection is None else self._connection.att_mtu

    @property
    def is_connected(self) -> bool:
        """Whether the air says so."""
        return self._connection is not None

    async def connect(self, pair: bool, **_options: Any) -> None:
        """Connect, agree on an MTU, look for services. Raises BleakError, TimeoutError."""
        if self._peer_address is None:
            raise BleakError("a device from a scan is needed, not an address")
        device = await _ADAPTER.device()
        try:
            async with asyncio.timeout(self._timeout):
                async with _ADAPTER.connecting:  # a controller has one pending connection
                    self._connection = await _asked(device.connect(self._peer_address, timeout=None))
                self._connection.on("disconnection", self._gone)
                peer = Peer(self._connection)
                await _asked(peer.request_mtu(_MTU))
                await _asked(peer.discover_all())  # type: ignore[no-untyped-call]
        except BaseException:
            await self.disconnect()
            raise
        self.services = self._found(peer)

    def _found(self, peer: Peer) -> BleakGATTServiceCollection:
        found = BleakGATTServiceCollection()
        for service in peer.services:
            name = _text(service.uuid)
            if self._only and name not in self._only:
                continue
            group = BleakGATTService(service, service.handle, name)
            found.add_service(group)
            for each in service.characteristics:
                properties = list(gatt_char_props_to_strs(int(each.properties)))
                room = self._room
                # as with BlueZ, by the handle of the declaration, one before the value's
                found.add_characteristic(
                    BleakGATTCharacteristic(each, each.handle - 1, _text(each.uuid), properties, room, group)
                )
        return found

    def _room(self) -> int:
        return self.mtu_size - 3

    def _gone(self, _reason: int) -> None:
        if self._connection is not None:
            self._connection = None
            if self._disconnected_callback is not None:
                self._disconnected_callback()

    async def disconnect(self) -> None:
        """End it; none is fine too."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(BleakError, TimeoutError):
                async with asyncio.timeout(_POWER_ON_S):
                    await _asked(connection.disconnect())
            self._gone(0)

    async def pair(self, *_arguments: Any, **_options: Any) -> None:
        """Nothing here pairs."""
        raise NotImplementedError

    async def unpair(self) -> None:
        """Nothing here pairs."""
        raise NotImplementedError

    async def read_gatt_char(self, characteristic: Any, **_options: Any) -> bytearray:
        """Raises BleakError."""
        return bytearray(await _asked(characteristic.obj.read_value()))

    async def read_gatt_descriptor(self, descriptor: Any, **_options: Any) -> bytearray:
        """Raises BleakError."""
        return bytearray(await _asked(descriptor.obj.read_value()))

    async def write_gatt_char(self, characteristic: Any, data: Any, response: bool) -> None:
        """Raises BleakError."""
        self._needs_connection()
        await _asked(characteristic.obj.write_value(bytes(data), with_response=response))

    async def write_gatt_descriptor(self, descriptor: Any, data: Any) -> None:
        """Raises BleakError."""
        await _asked(descriptor.obj.write_value(bytes(data), with_response=True))

    async def start_notify(self, characteristic: Any, callback: Callable[[bytearray], Any], **_options: Any) -> None:
        """Raises BleakError."""
        self._needs_connection()
        await _asked(characteristic.obj.subscribe(lambda value: callback(bytearray(value)), prefer_notify=True))

    async def stop_notify(self, characteristic: Any) -> None:
        """Raises BleakError."""
        await _asked(characteristic.obj.unsubscribe(force=True))

    def _needs_connection(self) -> None:
        if self._connection is None:
            raise BleakError("not connected")


async def _asked(what: Awaitable[T]) -> T:
    """bumble's errors as bleak's; a wait that the end of the connection cancelled is one of them."""
    try:
        return await what
    except (core.BaseBumbleError, hci.HCI_Error) as error:
        raise BleakError(repr(error)) from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BleakError("the connection has ended") from None


def _text(uuid: core.UUID) -> str:
    return str(UUID(bytes=uuid.to_bytes(force_128=True)[::-1]))


AIR = SimpleNamespace(scanner=AirScanner, client=AirClient)
