# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The Bluetooth air: every connection to its Unix socket is one more controller, driven by HCI packets (H4).

A host may say first where it stands: one byte PLACE and two doubles, x and y in metres. Without, it is at 0,0.
bumble's LocalLink and Controller are the ground; what differs here is written where it does, since it is either how
radio behaves (range, loss, delay, supervision time-out) or a fault of bumble 0.0.236.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import random
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bumble import hci, ll
from bumble.controller import Connection, Controller
from bumble.core import PhysicalTransport
from bumble.link import LocalLink
from bumble.transport.common import StreamPacketSink, StreamPacketSource

from boards.errors import PortError

log = logging.getLogger(__name__)

PLACE = 0xF0
_PLACE = struct.Struct("<Bdd")
_AT_1_M_DBM = -45.0
_SENSITIVITY_DBM = -95.0
_EXPONENT = 2.7  # between free space and a street with cars in it


@dataclass
class Conditions:
    """How good the air is; may be changed at any time."""

    loss: float = 0.0
    """Share of packets that are lost. An advertisement is gone; data is sent again, one interval later."""
    delay_s: float = 0.0
    """One connection event."""
    interval_s: float = 0.01
    supervision_s: float = 1.0
    """After so long without a packet either side gives a connection up."""


def rssi_dbm(distance_m: float) -> float:
    """What arrives at this distance from 0 dBm."""
    return _AT_1_M_DBM - 10 * _EXPONENT * math.log10(max(distance_m, 1.0))


class AirController(Controller):
    """A plain 4.2 controller with legacy advertising, somewhere in the air."""

    # Without these bumble would have to send the Enhanced Connection Complete event, which it does not.
    le_features = Controller.le_features & ~(hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING)
    x_m = 0.0
    y_m = 0.0
    link: Air

    def level_dbm(self, other: AirController) -> float:
        """How strong the other is heard."""
        return rssi_dbm(math.hypot(self.x_m - other.x_m, self.y_m - other.y_m))

    def hears(self, other: AirController) -> bool:
        """Whether packets pass at all."""
        return self.level_dbm(other) >= _SENSITIVITY_DBM

    def on_advertising_pdu(self, pdu: Any) -> None:
        """bumble repeats the advertisement as its scan response, and knows no levels."""
        sender = self.link.find_le_controller(pdu.advertiser_address)
        if not isinstance(sender, AirController) or not self.hears(sender):
            return
        if self.le_scan_enable:
            kinds = hci.HCI_LE_Advertising_Report_Event.EventType
            reports = [(kinds.ADV_IND, pdu.data)]
            if self.le_scan_type:
                reports.append((kinds.SCAN_RSP, sender.le_legacy_advertiser.scan_response_data))
            for kind, data in reports:
                report = hci.HCI_LE_Advertising_Report_Event.Report(
                    event_type=kind,
                    address_type=pdu.advertiser_address.address_type,
                    address=pdu.advertiser_address,
                    data=data,
                    rssi=round(self.level_dbm(sender)),
                )
                self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))
        pending = self.pending_le_connection
        if pending is not None and pending.peer_address == pdu.advertiser_address and sender.advertises():
            self.create_le_connection(pdu.advertiser_address)

    def advertises(self) -> bool:
        """Whether a connection request would be taken."""
        return self.le_legacy_advertiser.enabled

    def on_hci_le_create_connection_cancel_command(self, _command: Any) -> hci.HCI_StatusReturnParameters:
        """bumble answers yes and stays with the pending connection, so that no other is possible any more."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is not None:
            peer = pending.peer_address
            event = hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=peer.address_type,
                peer_address=peer,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            )
            asyncio.get_running_loop().call_soon(self.send_hci_packet, event)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_acl_data_packet(self, packet: hci.HCI_AclDataPacket) -> None:
        """Take a packet of the host; its buffer is free again when the packet was sent, and not at once."""
        connection = self.find_connection_by_handle(packet.connection_handle)
        if connection is None:
            return
        connection.assembler.feed_packet(packet)
        done = hci.HCI_Number_Of_Completed_Packets_Event(
            connection_handles=[connection.handle], num_completed_packets=[1]
        )
        delay_s = self.link.conditions.delay_s
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, self.send_hci_packet, done)
        else:
            self.send_hci_packet(done)


class Air(LocalLink):  # type: ignore[misc, unused-ignore]
    """All controllers. *seed* decides what is lost."""

    def __init__(self, conditions: Conditions | None = None, seed: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conditions = conditions or Conditions()
        self._rng = random.Random(seed)
        self._free_at: dict[tuple[hci.Address, hci.Address], float] = {}
        self._ports: set[_Port] = set()
        self._unheard: dict[tuple[str, int], float] = {}

    def send_advertising_pdu(self, sender_controller: Any, packet: Any) -> None:
        """Advertisements get lost; what makes a connection does not, or both ends would disagree."""
        if isinstance(packet, ll.ConnectInd) or self._rng.random() >= self.conditions.loss:
            super().send_advertising_pdu(sender_controller, packet)

    def send_acl_data(
        self, sender_controller: Any, destination_address: hci.Address, transport: PhysicalTransport, data: bytes
    ) -> None:
        """Deliver in order, with delay and repetitions. The source is the address of the connection: bumble takes the
        random one always, which no host that connected with its public address can match."""
        connection = sender_controller.le_connections.get(destination_address)
        if connection is None:
            return
        key = (connection.self_address, destination_address)
        now_s = asyncio.get_running_loop().time()
        wait_s = self.conditions.delay_s
        while self._rng.random() < self.conditions.loss:
            wait_s += self.conditions.interval_s
        at_s = max(now_s + wait_s, self._free_at.get(key, 0.0))
        self._free_at[key] = at_s
        self._deliver_at(at_s, connection, data)

    def _deliver_at(self, at_s: float, connection: Connection, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        if at_s <= loop.time():
            loop.call_soon(self._deliver, connection, data, loop.time())
        else:
            loop.call_at(at_s, self._deliver, connection, data, at_s)

    def _deliver(self, connection: Connection, data: bytes, sent_s: float) -> None:
        sender = connection.controller
        if sender.le_connections.get(connection.peer_address) is not connection:
            return
        receiver = self.find_le_controller(connection.peer_address)
        loop = asyncio.get_running_loop()
        if receiver is not None and self._passes(sender, receiver):
            receiver.on_link_acl_data(connection.self_address, PhysicalTransport.LE, data)
        elif loop.time() - sent_s < self.conditions.supervision_s:  # repeated until it passes
            loop.call_later(self.conditions.interval_s, self._deliver, connection, data, sent_s)

    def send_ll_control_pdu(self, sender_address: Any, receiver_address: Any, packet: Any) -> None:
        """As bumble, but a peer that has left the air is no error."""
        if self.find_le_controller(receiver_address) is not None:
            super().send_ll_control_pdu(sender_address, receiver_address, packet)

    @staticmethod
    def _passes(sender: Controller, receiver: Controller | None) -> bool:
        return isinstance(sender, AirController) and isinstance(receiver, AirController) and receiver.hears(sender)

    def watch(self) -> None:
        """Look for connections whose ends do not hear each other; each lasts the supervision time-out from then."""
        now_s = asyncio.get_running_loop().time()
        before, self._unheard = self._unheard, {}
        for controller in list(self.controllers):
            for peer, connection in list(controller.le_connections.items()):
                other = self.find_le_controller(peer)
                ok = isinstance(other, AirController) and connection.self_address in other.le_connections
                ok = ok and self._passes(controller, other)
                key = (controller.name, connection.handle)
                since_s = before.get(key, now_s)
                if not ok and now_s - since_s >= self.conditions.supervision_s:
                    controller.on_le_disconnected(connection, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
                elif not ok:
                    self._unheard[key] = since_s

    def plug(self, port: _Port) -> None:
        """One more host."""
        self._ports.add(port)

    def unplug(self, port: _Port) -> None:
        """A host has gone: its controller has no power any more."""
        self._ports.discard(port)

    def unplug_all(self) -> None:
        """The air ends."""
        for port in list(self._ports):
            port.close()


class _Port(StreamPacketSource):
    """One host's HCI connection."""

    _numbers = itertools.count(1)

    def __init__(self, air: Air) -> None:
        super().__init__()
        self._air = air
        self._controller: AirController | None = None
        self._transport: asyncio.Transport | None = None
        self._head: bytes | None = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        number = next(self._numbers) & 0xFFFF
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  of a stream server
        self._transport = transport
        address = hci.Address(f"F0:F1:F2:F3:{number >> 8:02X}:{number & 255:02X}", hci.Address.PUBLIC_DEVICE_ADDRESS)
        sink = StreamPacketSink(transport)
        self._controller = AirController(
            f"controller {number}", host_source=self, host_sink=sink, link=self._air, public_address=address
        )
        self._air.plug(self)

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            self._head += data
            if self._head[0] != PLACE:
                data, self._head = self._head, None
            elif len(self._head) < _PLACE.size:
                return
            else:
                _, x_m, y_m = _PLACE.unpack_from(self._head)
                data, self._head = self._head[_PLACE.size :], None
                if self._controller is not None:
                    self._controller.x_m, self._controller.y_m = x_m, y_m
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        controller, self._controller = self._controller, None
        self._air.unplug(self)
        if controller is not None:
            controller.le_legacy_advertiser.stop()
            controller.host = None
            controller.le_connections.clear()
            self._air.remove_controller(controller)

    def close(self) -> None:
        """Pull it."""
        if self._transport is not None:
            self._transport.abort()


@asynccontextmanager
async def open_air(path: Path, air: Air) -> AsyncIterator[Air]:
    """Let hosts join at a Unix socket for as long as the block lasts. Raises PortError."""
    _remove_stale(path)
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_unix_server(lambda: _Port(air), path)
    except OSError as error:
        raise PortError(f"cannot listen at {path}: {error.strerror}. Choose another --socket.") from error

    async def watch() -> None:
        while True:
            await asyncio.sleep(air.conditions.supervision_s / 4)
            air.watch()

    watching = asyncio.create_task(watch())
    try:
        yield air
    finally:
        watching.cancel()
        await asyncio.wait([watching])
        server.close()
        air.unplug_all()
        _remove_stale(path)


def _remove_stale(path: Path) -> None:
    if path.is_socket():
        path.unlink()


def place(x_m: float, y_m: float) -> bytes:
    """What a host says first."""
    return _PLACE.pack(PLACE, x_m, y_m)
