# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The link: scans, lets the daemon say who is who, and gives each board its turn.

Scanning rests while a connection is being made, since many adapters cannot do both; connected boards go on meanwhile.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from gateway.errors import LinkError
from gateway.links import Uplink
from gateway.links.ble.adapter import AdapterAbsent, BoardLost, DiscoveryStuck
from gateway.links.ble.connection import Connection, heed_cancel
from gateway.links.ble.peers import Peers
from gateway.operate.logs import EventLog, Seldom
from gateway.turns import Turns

if TYPE_CHECKING:
    from gateway.clock import Clock
    from gateway.links import Recognise, Sink
    from gateway.links.ble import Settings
    from gateway.links.ble.adapter import Adapter, Sighting
    from gateway.links.ble.peers import Peer
    from gateway.operate.counters import Counters
    from gateway.radio import RadioDownlink

MAX_UNASKED = 256
_ASK_AGAIN_S = 60.0
_FIRST_PAUSE_S = 0.2
_LAST_PAUSE_S = 15.0
_SHORTEST_LOOK_S = 1.0
_SLOW_ADAPTER_S = 120.0
"""BlueZ may take its time, and has limits of its own (gateway.links.ble.adapter)."""


async def _nobody(_hint: bytes) -> str | None:
    return None


class BleLink(Turns):
    """One adapter. An address on it is that of a connected board."""

    def __init__(self, settings: Settings, clock: Clock, counters: Counters, adapter: Adapter) -> None:
        self.name = settings.name
        self._settings = settings
        self._clock = clock
        self._counters = counters
        self._adapter = adapter
        self._recognise: Recognise = _nobody
        self._peers = Peers()
        self._connections: dict[str, Connection] = {}
        self._unasked: dict[str, Sighting] = {}
        self._asked = asyncio.Event()
        self._news = asyncio.Event()
        self._state = "starting"
        self.longest_turn_s = settings.scan_s + settings.connect_s + _SLOW_ADAPTER_S
        self._looked_s = clock.monotonic_s()
        """When the connections were looked at last."""
        self._log = EventLog("links.ble")
        self._seldom = Seldom()

    def introduce(self, recognise: Recognise) -> None:
        """Take the function that tells registered devices' hints from others."""
        self._recognise = recognise

    def status(self) -> dict[str, object]:
        """Return what the status page shows."""
        now_s = self._clock.monotonic_s()
        return {
            "open": self._state == "scanning",
            "at": self._settings.adapter or "the first adapter",
            "state": self._state,
            "connected": sum(each.open for each in self._connections.values()),
            "waiting": len(self._peers.waiting(now_s)),
            "in_reach": len(self._peers),
        }

    async def run(self, sink: Sink) -> None:
        """Hear frames until cancelled, whatever becomes of the adapter."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask())
            group.create_task(self._make_room())
            await self._radio(group, sink)

    async def send(self, address: str, phy: bytes, when: RadioDownlink | None = None) -> None:
        """Queue a frame for a connected board. Raises LinkError (not connected), LinkBusy (it does not take more)."""
        connection = self._connections.get(address)
        if connection is None or not connection.open:
            raise LinkError(f"{self.name}: {address} is not connected")
        connection.send(phy)

    async def _radio(self, group: asyncio.TaskGroup, sink: Sink) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            heed_cancel()
            self._turn_done()
            try:
                async with self._adapter.scanning(self._heard):
                    self._say("scanning")
                    pause_s = _FIRST_PAUSE_S
                    await self._until_a_turn()
                await self._connect(group, sink)
            except Exception as error:  # noqa: BLE001 - the top of the task: bleak raises what BlueZ leaves it with
                self._say_why(error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LAST_PAUSE_S)

    async def _until_a_turn(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.scan_s):
                while self._turn() is None:
                    self._news.clear()
                    await self._news.wait()

    def _turn(self) -> Peer | None:
        if len(self._connections) >= self._settings.connections:
            return None
        busy = {each.peer.who for each in self._connections.values()}
        busy |= self._connections.keys()  # whoever else says that he is there: one address is one connection
        return self._peers.next(self._clock.monotonic_s(), busy)

    async def _connect(self, group: asyncio.TaskGroup, sink: Sink) -> None:
        """Connect to those whose turn it is, one after another, as many as there is room for."""
        for _ in range(self._settings.connections):
            peer = self._turn()
            if peer is None:
                return
            connection = Connection(peer, self._clock, self._add)
            self._connections[connection.address] = connection
            group.create_task(self._hold(connection, sink))
            await connection.settled.wait()
            self._turn_done()

    def _turn_done(self) -> None:
        if self._clock.monotonic_s() - self._looked_s < self.longest_turn_s:
            self._turned()

    async def _hold(self, connection: Connection, sink: Sink) -> None:
        def heard(phy: bytes) -> None:
            self._add("frames", 1)
            sink(Uplink(self.name, connection.address, phy, self._clock.wall_s()))

        peer = connection.peer
        try:
            async with self._adapter.connected(peer.sighting.device, connection.gone) as channel:
                self._add("connected", 1)
                connection.settled.set()
                await connection.serve(channel, heard, self._settings.alive_s)
        except BoardLost as error:
            connection.why = connection.why or ("lost" if connection.settled.is_set() else "not_connected")
            self._log.debug("board_lost", link=self.name, why=error)
        except Exception:  # noqa: BLE001 - the top of the task: bleak raises what BlueZ leaves it with
            connection.why = "error"
            self._log.exception("connection_failed", link=self.name, address=connection.address)
        finally:
            connection.settled.set()
            connection.open = False
            del self._connections[connection.address]
            self._note_end(connection)

    def _note_end(self, connection: Connection) -> None:
        peer, now_s = connection.peer, self._clock.monotonic_s()
        self._add(f"ended_{connection.why or 'cancelled'}", 1)
        if connection.answered or (peer.answered and connection.frames):
            self._peers.served(peer, now_s)
        else:
            self._peers.failed(peer, now_s)
        self._news.set()

    def _heard(self, sighting: Sighting) -> None:
        """Take one advertisement; there may be thousands a second."""
        now_s = self._clock.monotonic_s()
        peer = self._peers.get(sighting.address)
        if peer is not None and peer.sighting.hint == sighting.hint and now_s - peer.asked_s < _ASK_AGAIN_S:
            self._peers.seen(peer, sighting, now_s)
            if len(self._connections) < self._settings.connections:
                self._news.set()
        elif sighting.address in self._unasked or len(self._unasked) < MAX_UNASKED:
            self._unasked[sighting.address] = sighting
            self._asked.set()
        else:
            self._add("not_looked_at", 1)

    async def _ask(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            while self._unasked:
                sighting = self._unasked.pop(next(iter(self._unasked)))
                who = await self._recognise(sighting.hint)
                if who is None:
                    self._add("strangers", 1)
                    continue
                self._peers.add(sighting, who, self._clock.monotonic_s())
                self._news.set()
            await asyncio.sleep(0)

    async def _make_room(self) -> None:
        """End connections that are dead, and those whose turn is over while others wait."""
        settings = self._settings
        while True:
            await asyncio.sleep(min(_SHORTEST_LOOK_S, settings.prove_s / 4))
            now_s = self._looked_s = self._clock.monotonic_s()
            held = [each for each in self._connections.values() if each.open]
            for each in held:
                if now_s - each.last_frame_s >= settings.quiet_s:
                    each.end("quiet")
            over = [each for each in held if now_s - each.began_s >= self._longest_s(each)]
            over.sort(key=lambda each: (each.answered, each.last_frame_s))
            waiting = self._peers.waiting(now_s)
            busy = {each.peer.who for each in self._connections.values()}
            others = len({peer.who for peer in waiting} - busy)
            for each in over:
                # Somebody who repeats a device's advertisements must not keep the device itself out.
                rival = any(peer.who == each.peer.who and peer is not each.peer for peer in waiting)
                if rival and not each.answered:
                    each.end("turn")
                elif others > settings.connections - len(self._connections):
                    others -= 1
                    each.end("turn")

    def _longest_s(self, connection: Connection) -> float:
        return self._settings.turn_s if connection.answered else self._settings.prove_s

    def _add(self, name: str, amount: int) -> None:
        self._counters.add("links", f"{self.name}_{name}", amount)

    def _say_why(self, error: Exception) -> None:
        if isinstance(error, AdapterAbsent):
            for connection in self._connections.values():  # nobody else may ever say that they are gone
                connection.gone()
            self._say("absent", str(error))
        elif isinstance(error, DiscoveryStuck):
            self._say("stuck", str(error))
        elif isinstance(error, LinkError):
            self._say("failing", str(error))
        else:
            self._say("failing", f"{type(error).__name__}: {error}")
            if self._seldom.allow("radio") is not None:
                self._log.exception("radio_failed", link=self.name)

    def _say(self, state: str, why: str = "") -> None:
        if state == self._state:  # once per change, not once per try
            return
        self._state = state
        self._add(f"radio_{state}", 1)
        if why:
            self._log.warning(f"ble_{state}", link=self.name, why=why)
        else:
            self._log.info(f"ble_{state}", link=self.name)
