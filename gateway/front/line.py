# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One port of the front: the forwarders' socket, a trunk to each worker, a way down to each forwarder.

A PUSH_DATA is acknowledged when every worker that got some of it has acknowledged its part. What a worker that is down
would get is acknowledged to nobody, and counted.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from gateway.errors import LinkError
from gateway.front.trunk import Ticket, Trunk
from gateway.front.watch import Watch
from gateway.front.way_down import WayDown
from gateway.links.lora import bulk, bulk_out, quick_turn, semtech
from gateway.links.lora.admission import Admission
from gateway.links.lora.errors import MalformedDatagram
from gateway.links.lora.server import open_socket
from gateway.operate.logs import EventLog
from gateway.turns import Turns

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from gateway.clock import Clock
    from gateway.front.scan import Router
    from gateway.links.lora import Settings
    from gateway.links.lora.bulk import Datagram, Datagrams
    from gateway.links.lora.forwarders import Forwarder
    from gateway.operate.counters import Counters

_PER_TURN = 64
_GATHER_S = 0.003
"""What gathers in this time goes to a worker as one datagram."""
_GATHER_ACKS_S = 0.005
"""A forwarder waits 100 ms for its PUSH_ACK."""
KEEP_ALIVE_S = 2.0
_LOOK_S = 0.25
_START = bytes((semtech.VERSION,))
_PUSH_ACK, _PULL_ACK = bytes((semtech.Identifier.PUSH_ACK,)), bytes((semtech.Identifier.PULL_ACK,))
_U32_MASK = 0xFFFFFFFF


class Line(Turns):
    """One ``[[links]]`` table of type lora. *workers*: where each worker listens for it."""

    def __init__(
        self, settings: Settings, workers: Sequence[tuple[str, int]], router: Router, clock: Clock, counters: Counters
    ) -> None:
        self.name = settings.name
        self._settings = settings
        self._workers = workers
        self._router = router
        self._clock = clock
        self._counters = counters
        self._log = EventLog("front")
        self._admission = Admission(settings, self._log, self._count)
        self._socket: socket.socket | None = None
        self._trunks: list[Trunk] = []
        self._ways: dict[bytes, WayDown] = {}
        self._acks: bulk_out.Acks | None = None
        self._watches: list[Watch] = []
        self._lost: asyncio.Future[None] | None = None
        self._dropped = self._pushed = 0

    @property
    def bound(self) -> tuple[str, int] | None:
        """Address and port while it is open."""
        return None if self._socket is None else self._socket.getsockname()[:2]

    @property
    def forwarders(self) -> Mapping[bytes, Forwarder]:
        """The registered gateways by EUI."""
        return self._admission.forwarders

    def status(self) -> dict[str, Any]:
        """Return how the port, its forwarders and its workers are."""
        now_s, away_s = self._clock.monotonic_s(), self._settings.away_s
        return {
            "name": self.name,
            "open": self._socket is not None,
            "at": f"UDP {self._settings.bind}",
            "gateways": [each.status(now_s, away_s) for each in self._admission.forwarders.values()],
            "workers": [{"worker": each.number, "away": each.away} for each in self._trunks],
        }

    def fits(self, settings: Settings) -> bool:
        """Tell whether the port can go on with other settings."""
        old = self._settings
        return (settings.name, settings.bind, settings.receive_buffer_bytes) == (
            old.name, old.bind, old.receive_buffer_bytes,
        )  # fmt: skip

    def adopt(self, settings: Settings) -> None:
        """Go on with settings that fit, the port open all the while: let in who is listed now, and nobody else."""
        self._settings = settings
        self._admission.adopt(settings)
        if self._socket is None:
            return
        loop, known = asyncio.get_running_loop(), self._ways
        for eui in [each for each in known if each not in self.forwarders]:
            way = known.pop(eui)
            loop.remove_reader(way.socket.fileno())
            way.close()
        for eui, forwarder in self.forwarders.items():
            if eui in known:
                known[eui].away_s = settings.away_s
            else:
                way = known[eui] = self._way(forwarder)
                loop.add_reader(way.socket.fileno(), self._sent_down, way)

    def _way(self, forwarder: Forwarder) -> WayDown:
        return WayDown(forwarder, self._trunks, self._send, self._count, self._settings.away_s)

    async def run(self) -> None:
        """Serve until cancelled. Raises LinkError when the port cannot be had or is lost."""
        loop = asyncio.get_running_loop()
        self._lost = loop.create_future()
        try:
            self._open()
            self._watch()
            looking = loop.create_task(self._look())
            try:
                await asyncio.wait({looking, self._lost}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                looking.cancel()
            if looking.done() and not looking.cancelled():
                looking.result()
            if self._lost.done():
                self._lost.result()
        finally:
            self._close()

    def _open(self) -> None:
        try:
            self._socket = open_socket(self._settings)
        except OSError as error:
            raise LinkError(f"{self._settings.bind} cannot be opened: {error}") from error
        self._dropped = 0
        buffer_bytes = self._settings.receive_buffer_bytes
        for number, address in enumerate(self._workers, 1):
            self._trunks.append(Trunk(number, address, buffer_bytes, self._counted(f"worker_{number}")))
        for eui, forwarder in self._admission.forwarders.items():
            self._ways[eui] = self._way(forwarder)
        self._log.info("front_open", link=self.name, bind=self._settings.bind, workers=len(self._trunks))

    def _close(self) -> None:
        loop = asyncio.get_running_loop()
        for watch in self._watches:
            watch.close()
        for way in self._ways.values():
            loop.remove_reader(way.socket.fileno())
            way.close()
        for trunk in self._trunks:
            trunk.close()
        if self._socket is not None:
            self._socket.close()
        self._socket, self._acks, self._watches, self._trunks, self._ways = None, None, [], [], {}
        for forwarder in self._admission.forwarders.values():
            forwarder.give_up()

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        if self._socket is None:
            return
        datagrams = bulk.datagrams(self._socket, _PER_TURN, semtech.MAX_DATAGRAM_BYTES)
        self._acks = bulk_out.acks(self._socket)
        self._watches = [
            Watch(self._socket, partial(self._heard, datagrams)),
            *(Watch(trunk.socket, partial(self._acknowledged, trunk)) for trunk in self._trunks),
        ]
        for way in self._ways.values():
            loop.add_reader(way.socket.fileno(), self._sent_down, way)

    def _heard(self, datagrams: Datagrams) -> float | None:
        try:
            came = datagrams.receive()
        except OSError as error:
            if self._lost is not None and not self._lost.done():
                self._lost.set_exception(LinkError(f"{self._settings.bind} failed: {error}"))
            return None
        if not came:
            return None
        if datagrams.dropped != self._dropped:
            self._count("kernel_dropped", (datagrams.dropped - self._dropped) & _U32_MASK)
            self._dropped = datagrams.dropped
        now_s = self._clock.monotonic_s()
        heard = self._admission.admit_all(came, now_s)
        if heard is None:
            self._take_each(came, now_s)
        else:
            self._take_together(heard, now_s)
        for trunk in self._trunks:
            trunk.flush()
        self._count("push_data", self._pushed)
        self._pushed = 0
        return 0.0 if len(came) == _PER_TURN else _GATHER_S

    def _take_together(self, heard: list[quick_turn.Heard], now_s: float) -> None:
        quick, trunks = self._router.quick, self._trunks
        for datagram, forwarder in heard:
            if not quick_turn.is_push_data(datagram):
                self._take(semtech.read_header(datagram.data), datagram, forwarder, now_s)
                continue
            data, _, sender, _ = datagram
            worker = quick(data)
            if worker is None:
                self._push(data, sender, forwarder)
                continue
            self._pushed += 1
            forwarder.uplinks += 1
            trunks[worker].push(data, Ticket(sender, _START + data[1:3] + _PUSH_ACK, 1))

    def _take_each(self, came: list[Datagram], now_s: float) -> None:
        for datagram in came:
            admitted = self._admission.admit(datagram, now_s)
            if admitted is not None:
                self._take(admitted[0], datagram, admitted[1], now_s)

    def _take(self, header: semtech.Header, datagram: Datagram, forwarder: Forwarder, now_s: float) -> None:
        if header.identifier is semtech.Identifier.PUSH_DATA:
            self._push(datagram.data, datagram.sender, forwarder)
        elif header.identifier is semtech.Identifier.PULL_DATA:
            self._pull(datagram, forwarder, now_s)
        elif self._ways[forwarder.eui].tx_ack(datagram.data):
            self._count("tx_ack", 1)
        else:
            self._admission.refuse("tx_ack_unmatched", datagram.sender, eui=forwarder.name)

    def _push(self, data: bytes, sender: Any, forwarder: Forwarder) -> None:
        """Divide a PUSH_DATA of any form. What is damaged is acknowledged as one process does: it will not improve."""
        self._pushed += 1
        ack = _START + data[1:3] + _PUSH_ACK
        try:
            shares = self._router.split(data[12:])
        except MalformedDatagram as refusal:
            self._admission.refuse(refusal.reason, sender, why=str(refusal))
            shares = {}
        if not shares:
            self._send(ack, sender)
            return
        forwarder.uplinks += 1
        ticket = Ticket(sender, ack, len(shares))
        for worker, body in shares.items():
            self._trunks[worker].push(data[:12] + body, ticket)

    def _pull(self, datagram: Datagram, forwarder: Forwarder, now_s: float) -> None:
        self._count("pull_data", 1)
        self._ways[forwarder.eui].pull(now_s)
        if forwarder.pulled(datagram.sender, now_s):
            self._count("pull_address_changed", 1)
        self._send(_START + datagram.data[1:3] + _PULL_ACK, datagram.sender)

    def _sent_down(self, way: WayDown) -> None:
        way.read(self._clock.monotonic_s())

    def _acknowledged(self, trunk: Trunk) -> float | None:
        done = trunk.read()
        if done is None:
            return None
        if done and self._acks is not None:
            self._count("not_sent", self._acks.send([(ticket.to, ticket.ack) for ticket in done]))
            self._count("push_ack", len(done))
        return _GATHER_ACKS_S

    def _send(self, data: bytes, to: Any) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(data, to)
        except OSError:
            self._count("not_sent", 1)

    async def _look(self) -> None:
        """Let time do its work: PULL_DATA, what was not acknowledged, workers that are silent."""
        kept_s = float("-inf")
        while True:
            self._turned()
            now_s = self._clock.monotonic_s()
            if now_s - kept_s >= KEEP_ALIVE_S:
                kept_s = now_s
                for eui, way in self._ways.items():
                    if now_s - self._admission.forwarders[eui].pulled_at_s <= self._settings.away_s:
                        way.pull(now_s)
            for trunk in self._trunks:
                trunk.expire(now_s)
                self._tell(trunk, trunk.silent(now_s))
            await asyncio.sleep(_LOOK_S)

    def _tell(self, trunk: Trunk, away: bool) -> None:
        if away == trunk.away:
            return
        trunk.away = away
        if away:
            self._count(f"worker_{trunk.number}_away", 1)
            effect = "frames of its devices are not acknowledged"
            self._log.error("worker_away", link=self.name, worker=trunk.number, effect=effect)
        else:
            self._log.info("worker_back", link=self.name, worker=trunk.number)

    def _counted(self, prefix: str) -> Any:
        return lambda what, amount: self._count(f"{prefix}_{what}", amount)

    def _count(self, what: str, amount: int = 1) -> None:
        self._counters.add("front", f"{self.name}_{what}", amount)


async def serve(line: Line, log: EventLog) -> None:
    """Serve a port until cancelled, and again when it was lost."""
    while True:
        with suppress(asyncio.TimeoutError):
            try:
                await line.run()
            except LinkError as error:
                log.warning("front_absent", link=line.name, why=error)
        await asyncio.sleep(1.0)
