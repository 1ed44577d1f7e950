# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An `org.bluez` on a private D-Bus, as far as bleak's own BlueZ backend asks it, with errors at a test's command.

What it says and when follows BlueZ's documentation of its D-Bus interfaces (doc/org.bluez.*.rst); bluetoothd's and the
kernel's timing are not in it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from contextlib import suppress
from typing import Any

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from firmware.wire import gatt
from tests.ble_rig import ADVERTISE_EVERY_S, Board, Refused

HCI0 = "/org/bluez/hci0"
ADAPTER, DEVICE = "org.bluez.Adapter1", "org.bluez.Device1"
SERVICE, CHARACTERISTIC = "org.bluez.GattService1", "org.bluez.GattCharacteristic1"
PROPERTIES, MANAGER = "org.freedesktop.DBus.Properties", "org.freedesktop.DBus.ObjectManager"

_MAX_HEARD = 20
"""Each time: a thousand advertisements a second. More is more than D-Bus takes."""

Interfaces = dict[str, dict[str, Variant]]


class BluezError(Exception):
    """What a method call is answered with."""

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(name)
        self.name = name if "." in name else f"org.bluez.Error.{name}"
        self.text = text


class LookAlike:
    """bluetoothd with one adapter, and the boards in its reach."""

    def __init__(self, boards: list[Board]) -> None:
        self.boards = {_path(board): board for board in boards}
        self.fail: dict[str, BluezError] = {}
        """By method: how its next calls end."""
        self.deaf = False
        """Discovery runs and finds nothing."""
        self.calls: dict[str, int] = {}
        self._objects: dict[str, Interfaces] = {}
        self._searching: set[str] = set()
        self._pipes: dict[str, _Pipe] = {}

    async def __aenter__(self) -> LookAlike:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def start(self) -> None:
        """Begin, as after a boot: nothing is remembered."""
        self._objects, self._searching = {}, set()
        self._bus = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
        self._bus.add_message_handler(self._take)
        self.plug()
        await self._bus.request_name("org.bluez")
        self._radio = asyncio.create_task(self._advertise())

    async def kill(self) -> None:
        """End without a word, as after SIGKILL; the kernel drops the connections."""
        self._radio.cancel()
        await asyncio.wait([self._radio])
        for board in self.boards.values():
            board.dropped = None  # bluetoothd is not there to say so
            board.disconnect()
        for path in list(self._pipes):
            self._close_pipe(path)
        self._bus.disconnect()
        with suppress(Exception):
            await self._bus.wait_for_disconnect()

    def plug(self) -> None:
        self._add(
            HCI0,
            ADAPTER,
            Address=Variant("s", "F0:F1:F2:F3:F4:F5"),
            Alias=Variant("s", "look-alike"),
            Powered=Variant("b", True),
            Discovering=Variant("b", False),
            Roles=Variant("as", ["central"]),
        )

    def unplug(self) -> None:
        """Pull the adapter: its boards disappear with it."""
        for board in self.boards.values():
            board.disconnect()
        for path in sorted(self._objects, reverse=True):
            self._remove(path)
        self._searching.clear()

    # the tree of objects

    def _add(self, path: str, interface: str, **properties: Variant) -> None:
        self._objects.setdefault(path, {})[interface] = properties
        self._signal("/", MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, {interface: properties}])

    def _remove(self, path: str) -> None:
        interfaces = self._objects.pop(path, {})
        self._signal("/", MANAGER, "InterfacesRemoved", "oas", [path, list(interfaces)])

    def _change(self, path: str, interface: str, **properties: Variant) -> None:
        if path in self._objects:
            self._objects[path][interface].update(properties)
            self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, properties, []])

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        self._bus.send(Message.new_signal(path, interface, member, signature, body))

    # the radio

    async def _advertise(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(ADVERTISE_EVERY_S)
            if not self._searching or self.deaf:
                continue
            heard = [path for path, board in self.boards.items() if board.advertising and board.dropped is None]
            for _ in range(min(_MAX_HEARD, len(heard))):
                turn += 1
                path = heard[turn % len(heard)]
                self._heard(path, self.boards[path])

    def _heard(self, path: str, board: Board) -> None:
        heard = {
            "RSSI": Variant("n", -60),
            "UUIDs": Variant("as", [gatt.SERVICE_UUID]),
            "ManufacturerData": Variant("a{qv}", {gatt.COMPANY_ID: Variant("ay", board.hint)}),
        }
        if path in self._objects:
            self._change(path, DEVICE, **heard)
            return
        self._add(
            path,
            DEVICE,
            Address=Variant("s", board.address),
            AddressType=Variant("s", "random"),
            Alias=Variant("s", gatt.NAME),
            Adapter=Variant("o", HCI0),
            Paired=Variant("b", False),
            Connected=Variant("b", False),
            ServicesResolved=Variant("b", False),
            **heard,
        )

    def _connected(self, path: str, board: Board) -> None:
        try:
            board.connect(lambda: self._disconnected(path))
        except Refused as error:
            raise BluezError("Failed", "le-connection-abort-by-peer") from error
        self._change(path, DEVICE, Connected=Variant("b", True))
        self._add(
            f"{path}/service0010",
            SERVICE,
            UUID=Variant("s", gatt.SERVICE_UUID),
            Device=Variant("o", path),
            Primary=Variant("b", True),
        )
        for number, (uuid, flags) in enumerate(
            ((gatt.UPLINK_UUID, ["notify"]), (gatt.DOWNLINK_UUID, ["write", "write-without-response"]))
        ):
            self._add(
                f"{path}/service0010/char{0x11 + 3 * number:04x}",
                CHARACTERISTIC,
                UUID=Variant("s", uuid),
                Service=Variant("o", f"{path}/service0010"),
                Flags=Variant("as", flags),
                MTU=Variant("q", board.mtu),
                **({"NotifyAcquired": Variant("b", False)} if flags == ["notify"] else {}),
            )
        self._change(path, DEVICE, ServicesResolved=Variant("b", True))

    def _disconnected(self, path: str) -> None:
        self._close_pipe(path)
        for child in sorted((each for each in self._objects if each.startswith(path + "/")), reverse=True):
            self._remove(child)
        self._change(path, DEVICE, ServicesResolved=Variant("b", False), Connected=Variant("b", False))

    def _acquire(self, path: str, board: Board) -> int:
        """Return the reader's end of a pipe that keeps values apart, as AcquireNotify does."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pipe = self._pipes[path] = _Pipe(ours)
        board.notify = pipe.put
        return theirs.detach()

    def _close_pipe(self, path: str) -> None:
        pipe = self._pipes.pop(path, None)
        if pipe is not None:
            pipe.close()

    # what is asked

    def _take(self, message: Message) -> bool:
        if message.message_type is not MessageType.METHOD_CALL or message.path is None:
            return False
        member = str(message.member)
        self.calls[member] = self.calls.get(member, 0) + 1
        try:
            if member in self.fail:
                raise self.fail[member]
            signature, body, pipes = self._answer(message, member, message.path)
        except BluezError as error:
            self._bus.send(Message.new_error(message, error.name, error.text))
        else:
            self._bus.send(Message.new_method_return(message, signature, body, pipes))
            for pipe in pipes:  # sent with the next turn of the loop
                asyncio.get_running_loop().call_later(0.5, os.close, pipe)
        return True

    def _answer(self, message: Message, member: str, path: str) -> tuple[str, list[Any], list[int]]:
        if member == "GetManagedObjects":
            return "a{oa{sa{sv}}}", [self._objects], []
        if path not in self._objects:
            raise BluezError("org.freedesktop.DBus.Error.UnknownObject", path)
        if member == "StartDiscovery":
            self._searching.add(str(message.sender))
        elif member == "StopDiscovery":
            self._searching.discard(str(message.sender))
        elif member != "SetDiscoveryFilter":
            return self._ask_board(message, member, path)
        return "", [], []

    def _ask_board(self, message: Message, member: str, path: str) -> tuple[str, list[Any], list[int]]:
        device = path.split("/service")[0]
        board = self.boards[device]
        if member == "Connect":
            self._connected(path, board)
        elif member == "Disconnect":
            board.disconnect()
        elif member == "AcquireNotify":
            return "hq", [0, board.mtu], [self._acquire(device, board)]
        elif member == "WriteValue":
            try:
                board.written(bytes(message.body[0]))
            except Refused as error:
                raise BluezError("Failed", "Operation failed with ATT error: 0x0d") from error
        else:
            raise BluezError("NotSupported", member)
        return "", [], []


class _Pipe:
    """What a socket does not take now waits, as in bluetoothd."""

    def __init__(self, ours: socket.socket) -> None:
        ours.setblocking(False)
        self._ours = ours
        self._waiting: deque[bytes] = deque()

    def put(self, piece: bytes) -> None:
        self._waiting.append(piece)
        self._flush()

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                self._ours.send(self._waiting[0])
                self._waiting.popleft()
        except BlockingIOError:
            loop.add_writer(self._ours, self._flush)
            return
        except OSError:  # the client has closed its end
            self._waiting.clear()
        loop.remove_writer(self._ours)

    def close(self) -> None:
        asyncio.get_running_loop().remove_writer(self._ours)
        self._ours.close()


def _path(board: Board) -> str:
    return f"{HCI0}/dev_{board.address.replace(':', '_')}"
