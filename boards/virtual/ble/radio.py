# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The Bluetooth of a virtual board: what a port has below its `bluetooth` module, as a host (bumble) on the air.

Events wait here until the board fetches them, one at a time: a value that was written is visible to the board from the
moment its event is fetched, and a write request is answered when the next one is asked for. So ports with NimBLE do
it, where the handler runs before the stack goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bumble import att, gatt, hci
from bumble.core import UUID
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.transport.common import StreamPacketSink, StreamPacketSource

from boards.virtual.ble.air import place
from boards.virtual.protocol import HardwareError

log = logging.getLogger(__name__)

CENTRAL_CONNECT, CENTRAL_DISCONNECT, WRITE, READ_REQUEST, INDICATE_DONE, MTU_EXCHANGED = 1, 2, 3, 4, 20, 21
_DEFAULT_BUFFER = 20  # of an attribute, as in MicroPython
_MAX_EVENTS = 32
_MAX_NOTIFICATIONS = 8  # that the stack holds until the air takes them
_ANSWER_S = 5.0
_DEFAULT_MTU = 256


@dataclass
class Attribute:
    """One characteristic's value on the board's side."""

    characteristic: gatt.Characteristic[bytes]
    value: bytes = b""
    size: int = _DEFAULT_BUFFER
    append: bool = False

    def written(self, data: bytes) -> None:
        """A central wrote: what does not fit is cut off, without a word."""
        self.value = ((self.value if self.append else b"") + data)[: self.size]


@dataclass
class _Event:
    kind: int
    payload: bytes
    write: tuple[int, bytes] | None = None
    done: asyncio.Future[None] | None = field(default=None, repr=False)


class BleRadio:
    """Belongs to the event loop that switch_on() ran in. *raise_line* tells the board that events wait."""

    def __init__(self, air: Path | None, address: bytes, raise_line: Callable[[], None]) -> None:
        self._air, self._raise_line = air, raise_line
        self.address = address
        self._device: Device | None = None
        self._ready = False
        self._starting: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._attributes: dict[int, Attribute] = {}
        self._connections: dict[int, Connection] = {}
        self._events: deque[_Event] = deque()
        self._handled: _Event | None = None
        self._reads: dict[int, asyncio.Future[int]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._mtu = _DEFAULT_MTU
        self._writing = asyncio.Lock()
        self.advertising = False
        self.dropped_events = 0
        self.notified = 0
        self.written = 0

    # The life of the radio.

    def switch_on(self) -> None:
        """Enter the air, soon; `ready` says when. OSError on the board when there is no air."""
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._start())

    @property
    def ready(self) -> bool:
        """Whether the stack runs. Raises HardwareError when it cannot."""
        if self._starting is not None and self._starting.done() and not self._ready:
            self._starting = None
            raise HardwareError(errno.ENODEV)
        return self._ready

    def switch_off(self) -> None:
        """Leave the air at once, as with the power: nobody is told."""
        if self._starting is not None:
            self._starting.cancel()
            self._starting = None
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        for task in self._tasks:
            task.cancel()
        self._device, self._ready, self.advertising, self._handled = None, False, False, None
        self._mtu, self._writing = _DEFAULT_MTU, asyncio.Lock()
        for kept in (self._attributes, self._connections, self._events, self._reads):
            kept.clear()

    async def _start(self) -> None:
        if self._air is None:
            log.warning("Bluetooth is switched on, but this board is in no Bluetooth air")
            return
        source = StreamPacketSource()
        try:
            transport, _ = await asyncio.get_running_loop().create_unix_connection(lambda: source, str(self._air))
        except OSError as error:
            log.warning("no Bluetooth air at %s: %s", self._air, error.strerror)
            return
        self._transport = transport
        transport.write(place(*self._place()))
        sink = StreamPacketSink(transport)
        address = hci.Address(self.address[::-1], hci.Address.RANDOM_DEVICE_ADDRESS)
        config = DeviceConfiguration(name="", address=address, gap_service_enabled=True)
        device = Device.from_config_with_hci(config, source, sink)
        device.gatt_server.max_mtu = self._mtu
        device.on("connection", self._connected)
        await asyncio.wait_for(device.power_on(), _ANSWER_S)
        self._device, self._ready = device, True

    def _place(self) -> tuple[float, float]:
        return self.x_m, self.y_m

    x_m = 0.0
    y_m = 0.0

    def _on(self) -> Device:
        if self._device is None:
            raise HardwareError(errno.ENODEV)
        return self._device

    @property
    def connected(self) -> int:
        """How many centrals there are."""
        return len(self._connections)

    # What the board asks for.

    def set_mtu(self, mtu: int) -> None:
        """The largest MTU that it will agree to."""
        self._mtu = mtu
        if self._device is not None:
            self._device.gatt_server.max_mtu = mtu

    def advertise(self, interval_us: int, connectable: bool, data: bytes, response: bytes) -> None:
        """Begin, or stop (0)."""
        device = self._on()
        self.advertising = interval_us > 0
        if not interval_us:
            self._run(device.stop_advertising())
            return
        if connectable and self._connections:
            raise HardwareError(errno.EALREADY)  # one connection, as ports are built by default
        device.advertising_data, device.scan_response_data = data, response
        self._run(self._advertise(device, interval_us / 1000))

    async def _advertise(self, device: Device, interval_ms: float) -> None:
        if device.is_advertising:
            await device.stop_advertising()
        await device.start_advertising(
            auto_restart=False,
            advertising_interval_min=interval_ms,
            advertising_interval_max=interval_ms,
            advertising_data=device.advertising_data,
            scan_response_data=device.scan_response_data,
        )

    def register(self, services: list[tuple[bytes, list[tuple[bytes, int]]]]) -> list[int]:
        """Add services; returns the value handles of their characteristics."""
        device = self._on()
        handles = []
        for service, characteristics in services:
            made = []
            for uuid, flags in characteristics:
                attribute = Attribute(None)  # type: ignore[arg-type]
                permissions = gatt.Characteristic.READABLE if flags & 0x02 else att.Attribute.Permissions(0)
                if flags & 0x0C:
                    permissions |= gatt.Characteristic.WRITEABLE
                attribute.characteristic = gatt.Characteristic(
                    UUID.from_bytes(uuid),
                    gatt.Characteristic.Properties(flags & 0x3E),
                    permissions,
                    self._value(attribute),
                )
                made.append(attribute)
            device.add_service(gatt.Service(UUID.from_bytes(service), [each.characteristic for each in made]))
            for attribute in made:
                self._attributes[attribute.characteristic.handle] = attribute
                handles.append(attribute.characteristic.handle)
        return handles

    def _value(self, attribute: Attribute) -> Any:
        async def read(connection: Connection) -> bytes:
            handle = attribute.characteristic.handle
            answer = asyncio.get_running_loop().create_future()
            self._reads[handle] = answer
            self._raise(_Event(READ_REQUEST, struct.pack("<HH", connection.handle, handle)))
            status = await asyncio.wait_for(answer, _ANSWER_S)
            if status:
                raise att.ATT_Error(att.ErrorCode(status))
            return attribute.value

        async def write(connection: Connection, value: bytes) -> None:
            handle = attribute.characteristic.handle
            payload = struct.pack("<HH", connection.handle, handle)
            async with self._writing:  # the stack goes on when the board's handler has run
                done = asyncio.get_running_loop().create_future()
                self._raise(_Event(WRITE, payload, (handle, bytes(value)), done))
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(done, _ANSWER_S)

        return gatt.CharacteristicValue(read=read, write=write)

    def attribute(self, handle: int) -> Attribute:
        """By its value handle; HardwareError."""
        try:
            return self._attributes[handle]
        except KeyError:
            raise HardwareError(errno.EINVAL) from None

    def read(self, handle: int) -> bytes:
        """The board reads a value; one that collects is empty after that."""
        attribute = self.attribute(handle)
        value = attribute.value
        if attribute.append:
            attribute.value = b""
        return value

    def answer_read(self, handle: int, status: int) -> None:
        """What the board's handler said to a central's read."""
        waiting = self._reads.pop(handle, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(status)

    def write(self, handle: int, data: bytes, send_update: bool) -> None:
        """The board sets a value, and perhaps tells who has subscribed."""
        attribute = self.attribute(handle)
        attribute.value = data
        if send_update:
            self._run(self._on().gatt_server.notify_subscribers(attribute.characteristic, data))

    def notify(self, handle: int, connection: int, data: bytes) -> None:
        """Send, subscribed or not, cut to what the MTU takes. ENOTCONN, and ENOMEM while the air does not keep up."""
        link = self._connection(connection)
        queue = self._on().host.get_data_packet_queue(connection)
        if queue is None or queue.pending >= _MAX_NOTIFICATIONS:
            raise HardwareError(errno.ENOMEM)
        value = data[: link.att_mtu - 3]
        pdu = att.ATT_Handle_Value_Notification(attribute_handle=handle, attribute_value=value)
        self._on().gatt_server.send_gatt_pdu(link, bytes(pdu))
        self.notified += 1

    def indicate(self, handle: int, connection: int, data: bytes) -> None:
        """Send, and say by an event whether it was confirmed."""
        link, characteristic = self._connection(connection), self.attribute(handle).characteristic

        async def send() -> None:
            status = 0
            try:
                await self._on().gatt_server.indicate_subscriber(link, characteristic, data, force=True)
            except TimeoutError:
                status = 1
            self._raise(_Event(INDICATE_DONE, struct.pack("<HHB", connection, handle, status)))

        self._run(send())

    def disconnect(self, connection: int) -> bool:
        """Tell the central; False when there is no such connection."""
        link = self._connections.get(connection)
        if link is None:
            return False
        self._run(link.disconnect())
        return True

    def _connection(self, handle: int) -> Connection:
        try:
            return self._connections[handle]
        except KeyError:
            raise HardwareError(errno.ENOTCONN) from None

    # What comes from the air.

    def fetch(self) -> bytes:
        """The next event, kind and payload, or nothing; the one before is handled now."""
        if self._handled is not None and self._handled.done is not None and not self._handled.done.done():
            self._handled.done.set_result(None)
        self._handled = None
        if not self._events:
            return b""
        event = self._handled = self._events.popleft()
        if event.write is not None:
            self._attributes[event.write[0]].written(event.write[1])
            self.written += 1
        return bytes([event.kind]) + event.payload

    def _raise(self, event: _Event) -> bool:
        if len(self._events) >= _MAX_EVENTS and event.kind not in (CENTRAL_CONNECT, CENTRAL_DISCONNECT):
            self.dropped_events += 1
            return False
        self._events.append(event)
        self._raise_line()
        return True

    def _connected(self, connection: Connection) -> None:
        peer = bytes([int(connection.peer_address.address_type) & 1]) + bytes(connection.peer_address)[::-1]
        who = struct.pack("<H", connection.handle) + peer
        self._connections[connection.handle] = connection
        self.advertising = False
        self._raise(_Event(CENTRAL_CONNECT, who))

        def mtu_changed() -> None:
            self._raise(_Event(MTU_EXCHANGED, struct.pack("<HH", connection.handle, connection.att_mtu)))

        def gone(_reason: int) -> None:
            self._connections.pop(connection.handle, None)
            self._raise(_Event(CENTRAL_DISCONNECT, who))

        connection.on("connection_att_mtu_update", mtu_changed)
        connection.on("disconnection", gone)

    def _run(self, coroutine: Any) -> None:
        async def safely() -> None:
            with contextlib.suppress(hci.HCI_Error, asyncio.TimeoutError, ConnectionError):
                await coroutine

        task = asyncio.get_running_loop().create_task(safely())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: coroutine.close())  # of a task that was cancelled before it began
