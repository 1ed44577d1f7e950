# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The UDP socket that the packet forwarders talk to."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gateway.errors import LinkBusy, LinkError
from gateway.links import Uplink
from gateway.links.lora import bulk, bundle, quick_turn, semtech
from gateway.links.lora.addresses import parse_bind
from gateway.links.lora.admission import Admission
from gateway.links.lora.errors import MalformedDatagram
from gateway.operate.logs import EventLog
from gateway.radio import TxOutcome
from gateway.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.clock import Clock
    from gateway.links import Sink
    from gateway.links.lora import Settings
    from gateway.links.lora.bulk import Datagram, Datagrams
    from gateway.links.lora.forwarders import Forwarder
    from gateway.operate.counters import Counters
    from gateway.radio import RadioDownlink

_DATAGRAMS_PER_TURN = 128
"""Then the other tasks of the daemon have their turn; the kernel holds the rest."""
_GATHER_S = 0.004
"""After a look at the socket that found some, the next ones gather: a look costs as much as what is done for three."""
_FIRST_RETRY_S = 0.1
_LAST_RETRY_S = 2.0
_U32_MASK = 0xFFFFFFFF
_TX_ERRORS = (
    "TOO_LATE", "TOO_EARLY", "COLLISION_PACKET", "COLLISION_BEACON", "TX_FREQ", "TX_POWER", "GPS_UNLOCKED",
)  # fmt: skip


class _Gone(LinkError):
    """The socket failed while it was open."""


class LoraLink(Turns):
    """All forwarders of one socket. The address of an uplink is the EUI of the gateway that heard it, in hex."""

    def __init__(self, settings: Settings, clock: Clock, counters: Counters) -> None:
        self.name = settings.name
        self.bound: tuple[str, int] | None = None
        """Address and port while the socket is open."""
        self._settings = settings
        self._clock = clock
        self._counters = counters
        self._log = EventLog("links.lora")
        self._admission = Admission(settings, self._log, self._count)
        self._socket: socket.socket | None = None
        self._lost: asyncio.Future[None] | None = None
        self._again: asyncio.TimerHandle | None = None
        self._watched = False
        self._looked_s = 0.0
        """When the socket was looked at last; what is there now came since then."""
        self._dropped = 0
        self._last_state = ""
        self._pushed = self._heard = 0
        """PUSH_DATA and uplinks of this turn, counted once: a lock for each costs a tenth of a datagram."""

    @property
    def forwarders(self) -> Mapping[bytes, Forwarder]:
        """The registered gateways by EUI, for the status page."""
        return self._admission.forwarders

    def adopt(self, settings: Settings) -> bool:
        """Go on with other settings, the socket open all the while; False where only another socket would do."""
        if (settings.bind, settings.receive_buffer_bytes) != (self._settings.bind, self._settings.receive_buffer_bytes):
            return False
        self._settings = settings
        self._admission.adopt(settings)
        return True

    def status(self) -> dict[str, object]:
        """Return what the status page shows."""
        now_s = self._clock.monotonic_s()
        return {
            "open": self.bound is not None,
            "at": f"UDP {self._settings.bind}",
            "gateways": [each.status(now_s, self._settings.away_s) for each in self.forwarders.values()],
        }

    async def run(self, sink: Sink) -> None:
        """Hear frames until cancelled; open the socket again, with growing pauses, when it cannot be had."""
        retry_s = _FIRST_RETRY_S
        while True:
            self._turned()
            try:
                opened = self._open()
                retry_s = _FIRST_RETRY_S
                await self._hear(opened, sink)
            except LinkError as error:
                self._say("lora_absent", str(error))
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, _LAST_RETRY_S)

    async def send(self, address: str, phy: bytes, when: RadioDownlink | None = None) -> TxOutcome:
        """Hand a frame to the gateway *address* and return what it says about it, or that it said nothing in time.

        Raises LinkError (no such gateway, no way to it, no *when*), LinkBusy (too much unanswered or unsent).
        """
        if when is None:
            raise LinkError(f"{self.name}: a radio frame needs a frequency, a data rate and a moment")
        forwarder = self.forwarders.get(_eui(address))
        if forwarder is None:
            raise LinkError(f"{self.name}: no gateway {address!r} is registered; add it under [[links.gateways]]")
        if forwarder.reduce_db:
            when = replace(when, power_dbm=max(0, when.power_dbm - forwarder.reduce_db))
        answer: asyncio.Future[TxOutcome] = asyncio.get_running_loop().create_future()
        to = forwarder.way_down(self._clock.monotonic_s(), self._settings.away_s)
        token = forwarder.expect(answer)
        try:
            self._send_pull_resp(forwarder, token, phy, when, to)
            outcome = await asyncio.wait_for(answer, self._settings.ack_wait_s)
        except TimeoutError:
            outcome = TxOutcome("no_answer")
        finally:
            forwarder.forget(token)
        self._count(f"downlink_{outcome.result}")
        if outcome.error:
            # Any word may stand there; only the protocol's own become names of counters.
            self._count(f"tx_error_{outcome.error.lower() if outcome.error in _TX_ERRORS else 'other'}")
        return outcome

    def _send_pull_resp(self, forwarder: Forwarder, token: int, phy: bytes, when: RadioDownlink, to: Any) -> None:
        try:
            datagram = semtech.build_pull_resp(token, phy, when)
        except ValueError as error:
            raise LinkError(f"{self.name}: {error}") from error
        if self._socket is None:
            raise LinkError(f"{self.name}: {self._settings.bind} is not open")
        try:
            self._socket.sendto(datagram, to)
        except (BlockingIOError, InterruptedError) as error:
            raise LinkBusy(f"{self.name}: the socket does not take more at the moment") from error
        except OSError as error:
            raise LinkError(f"{self.name}: gateway {forwarder.eui.hex()} cannot be reached: {error}") from error

    def _open(self) -> socket.socket:
        try:
            opened = open_socket(self._settings)
        except OSError as error:
            raise LinkError(f"{self._settings.bind} cannot be opened: {error}") from error
        self._dropped = 0
        self.bound = opened.getsockname()[:2]
        received_bytes = opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._say("lora_open", "", receive_buffer_bytes=received_bytes)
        return opened

    async def _hear(self, opened: socket.socket, sink: Sink) -> None:
        loop = asyncio.get_running_loop()
        self._socket = opened
        self._lost = loop.create_future()
        datagrams = bundle.datagrams(opened, most=_DATAGRAMS_PER_TURN, bundled=self._settings.bundled)
        self._watch(datagrams, sink)
        try:
            await self.until_lost(self._lost, self._looks)
        finally:
            if self._again is not None:
                self._again.cancel()
            loop.remove_reader(opened.fileno())
            self._socket, self._watched, self.bound = None, False, None
            self._lost.cancel()
            opened.close()
            for forwarder in self.forwarders.values():
                forwarder.give_up()

    def _looks(self) -> bool:
        """Tell whether somebody will look at the socket: the event loop, or this link at a time."""
        return self._watched or self._again is not None

    def _heard_some(self, datagrams: Datagrams, sink: Sink) -> None:
        """Take what came, then look again: at once where there may be more, else when more had the time to come."""
        loop, opened, self._again = asyncio.get_running_loop(), self._socket, None
        if opened is None:
            return
        full = getattr(sink, "full", False)  # then they wait in the kernel, which counts those that it cannot hold
        try:
            found = 0 if full else self._read(datagrams, sink)
        except Exception as error:  # noqa: BLE001 - ends run(), which is logged and begun anew; else nobody looks again
            if self._lost is not None and not self._lost.done():
                self._lost.set_exception(error)
            return
        if found or full:
            if self._watched:
                loop.remove_reader(opened.fileno())
                self._watched = False
            wait_s = 0.0 if found >= _DATAGRAMS_PER_TURN else _GATHER_S
            self._again = loop.call_later(wait_s, self._heard_some, datagrams, sink)
        elif not self._watched:
            self._watch(datagrams, sink)

    def _watch(self, datagrams: Datagrams, sink: Sink) -> None:
        """Have the event loop look, as long as nothing comes: to tell it so, and not, costs as much as 3 datagrams."""
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self._heard_some, datagrams, sink)
            self._watched = True

    def _read(self, datagrams: Datagrams, sink: Sink) -> int:
        """Take what the kernel holds, but not for ever: acknowledge first, then process (P section 3.1).

        Return how many there were.
        """
        try:
            came = datagrams.receive()
        except OSError as error:
            if self._lost is not None and not self._lost.done():
                self._lost.set_exception(_Gone(f"{self._settings.bind} failed: {error}"))
            return 0
        if datagrams.dropped != self._dropped:
            bundled = self._settings.bundled  # the kernel counts datagrams; what was in a bundle the front knows
            self._count(
                "kernel_dropped_bundles" if bundled else "kernel_dropped",
                (datagrams.dropped - self._dropped) & _U32_MASK,
            )
            self._dropped = datagrams.dropped
        now = self._clock.monotonic_s(), self._clock.wall_s()  # of all that came together
        heard = self._admission.admit_all(came, now[0])
        if heard is not None:
            self._count("ack_not_sent", quick_turn.acknowledge(datagrams, heard, len(came)))
            self._take_together(heard, sink, now)
        else:
            self._take_each(datagrams, came, sink, now)
        self._looked_s = now[0]
        self._count("push_data", self._pushed)
        self._count("uplink", self._heard)
        self._pushed = self._heard = 0
        return len(came)

    def _take_together(self, heard: list[quick_turn.Heard], sink: Sink, now: tuple[float, float]) -> None:
        uplinks = quick_turn.uplinks(self.name, heard, now, partial(self._other, now=now))
        self._pushed += len(uplinks) - self._heard  # each known by sight brings one; the others are counted
        self._heard = len(uplinks)
        many = getattr(sink, "many", None)
        if many is not None:
            many(uplinks, 0.0 if self._watched else now[0] - self._looked_s)
        else:
            for uplink in uplinks:
                sink(uplink)

    def _other(self, datagram: Datagram, forwarder: Forwarder, now: tuple[float, float]) -> list[Uplink]:
        found: list[Uplink] = []
        self._take(semtech.read_header(datagram.data), forwarder, datagram.sender, found.append, now)
        return found

    def _take_each(self, datagrams: Datagrams, came: list[Datagram], sink: Sink, now: tuple[float, float]) -> None:
        for header, forwarder, sender in self._acknowledged(datagrams, came, now[0]):
            self._take(header, forwarder, sender, sink, now)

    def _take(
        self, header: semtech.Header, forwarder: Forwarder, sender: Any, sink: Sink, now: tuple[float, float]
    ) -> None:
        try:
            pdu = semtech.parse_body(header)
            if isinstance(pdu, semtech.PushData):
                self._push_data(pdu, forwarder, sink, now)
            else:
                self._handle(pdu, forwarder, sender)
        except MalformedDatagram as refusal:
            self._admission.refuse(refusal.reason, sender, why=str(refusal))

    def _acknowledged(
        self, datagrams: Datagrams, came: list[Datagram], now_s: float
    ) -> list[tuple[semtech.Header, Forwarder, Any]]:
        """Return what is worth processing, once every PUSH_DATA of it has its PUSH_ACK."""
        admitted: list[tuple[semtech.Header, Forwarder, Any]] = []
        acks: list[tuple[int, bytes]] = []
        for datagram in came:
            taken = self._admission.admit(datagram, now_s)
            if taken is not None:
                admitted.append((*taken, datagram.sender))
                if taken[0].identifier is semtech.Identifier.PUSH_DATA:
                    acks.append((datagram.slot, semtech.build_push_ack(taken[0].token)))
        if acks:  # what the socket does not take: the forwarder only counts these, and nothing depends on them
            self._count("ack_not_sent", datagrams.answer(acks))
        return admitted

    def _handle(self, pdu: semtech.PullData | semtech.TxAck, forwarder: Forwarder, address: Any) -> None:
        if isinstance(pdu, semtech.PullData):
            self._count("pull_data")
            if forwarder.pulled(address, self._clock.monotonic_s()):
                self._count("pull_address_changed")
            self._acknowledge(semtech.build_pull_ack(pdu.token), address)
        elif forwarder.answer(pdu):
            self._count("tx_ack")
        else:
            self._admission.refuse("tx_ack_unmatched", address, eui=pdu.gateway_eui.hex())

    def _push_data(self, pdu: semtech.PushData, forwarder: Forwarder, sink: Sink, now: tuple[float, float]) -> None:
        heard_at_s, received_at = now
        self._pushed += 1
        if pdu.stat is not None:
            forwarder.stat, forwarder.stat_at = pdu.stat, received_at
        for reason, amount in pdu.refused.items():
            self._count(reason, amount)
        self._heard += len(pdu.packets)
        forwarder.uplinks += len(pdu.packets)
        for packet in pdu.packets:
            sink(Uplink(self.name, forwarder.name, packet.phy, received_at, packet.reception, heard_at_s))

    def _acknowledge(self, datagram: bytes, address: Any) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(datagram, address)
        except OSError:
            self._count("ack_not_sent")

    def _count(self, what: str, amount: int = 1) -> None:
        self._counters.add("links", f"{self.name}_{what}", amount)

    def _say(self, event: str, why: str, **fields: object) -> None:
        state = event + why
        if state == self._last_state:  # once per change, not once per try
            return
        self._last_state = state
        self._count(event)
        if why:
            self._log.warning(event, link=self.name, bind=self._settings.bind, why=why, **fields)
        else:
            self._log.info(event, link=self.name, bind=self._settings.bind, **fields)


def open_socket(settings: Settings) -> socket.socket:
    address, port = parse_bind(settings.bind)
    opened = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, settings.receive_buffer_bytes)
        with suppress(OSError):  # without it drops are only in /proc/net/udp
            opened.setsockopt(socket.SOL_SOCKET, bulk.SO_RXQ_OVFL, 1)
        opened.bind((str(address), port))
    except OSError:
        opened.close()
        raise
    return opened


def _eui(address: str) -> bytes:
    try:
        return bytes.fromhex(address)
    except ValueError:
        return b""
