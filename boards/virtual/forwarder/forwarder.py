# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The packet forwarder: between a concentrator in the air and a network server that speaks Semtech UDP.

As in the original, two UDP sockets: one for what goes up (PUSH_DATA, PUSH_ACK), one for what comes down (PULL_DATA,
PULL_ACK, PULL_RESP, TX_ACK).
"""

import asyncio
import contextlib
import logging
import random
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from boards.errors import BoardsError
from boards.virtual.air.frames import PUBLIC_SYNC, Event, FrameHeard
from boards.virtual.air.server import Air
from boards.virtual.forwarder import semtech_pdus
from boards.virtual.forwarder.concentrator import Concentrator
from boards.virtual.forwarder.semtech_pdus import PUSH_ACK, Ack, MalformedDatagram, PullResp

log = logging.getLogger(__name__)

_MAX_UNACKNOWLEDGED = 64


class NoServer(BoardsError, OSError):
    """The network server's name or address cannot be used."""


@dataclass(frozen=True, slots=True)
class ForwarderConfig:
    """One gateway: the server it speaks to, its EUI, where it stands, and how often it reports."""

    host: str
    port: int
    eui: bytes
    x_m: float = 0.0
    y_m: float = 0.0
    keepalive_s: float = 5.0
    stat_s: float = 30.0

    @property
    def radio_id(self) -> str:
        """The gateway's name in the air."""
        return f"gateway-{self.eui.hex()}"


class _Socket(asyncio.DatagramProtocol):
    """One UDP socket; a server that is not there yet is no reason to stop."""

    def __init__(self, received: Callable[[bytes], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._received(data)

    def error_received(self, exc: Exception) -> None:
        log.info("network server does not answer: %s", exc)


class Forwarder:
    """Carries frames between one concentrator and one server."""

    def __init__(self, config: ForwarderConfig, air: Air, concentrator: Concentrator, rng: random.Random) -> None:
        self.config = config
        self._air = air
        self._concentrator = concentrator
        self._rng = rng
        self._up: asyncio.DatagramTransport | None = None
        self._down: asyncio.DatagramTransport | None = None
        self._unacknowledged: OrderedDict[bytes, None] = OrderedDict()
        self._pushed = self._acknowledged = self._forwarded = self._asked = 0

    async def open(self) -> None:
        """Make both sockets and enter the air."""
        loop = asyncio.get_running_loop()
        address = (self.config.host, self.config.port)
        try:
            self._up, _ = await loop.create_datagram_endpoint(lambda: _Socket(self._came_up), remote_addr=address)
            self._down, _ = await loop.create_datagram_endpoint(lambda: _Socket(self._came_down), remote_addr=address)
        except OSError as error:
            self.close()
            raise NoServer(
                f"no UDP socket to network server {address[0]}:{address[1]}: {error}; correct --forwarder"
            ) from error
        self._concentrator.join(self.config.x_m, self.config.y_m, self._air.now_us())
        self._air.attach(self._concentrator.radio_id, self._hear)

    @property
    def idle(self) -> bool:
        """Whether the server has acknowledged all that it was sent."""
        return not self._unacknowledged

    def close(self) -> None:
        """Close both sockets."""
        for transport in (self._up, self._down):
            if transport is not None:
                transport.close()
        self._up = self._down = None

    async def keep_alive(self) -> None:
        """Tell the server regularly that this gateway is there and where to reach it."""
        while True:
            if self._down is not None:
                self._down.sendto(semtech_pdus.pull_data(self._token(), self.config.eui))
            await asyncio.sleep(self.config.keepalive_s)

    async def report_state(self) -> None:
        """Send the gateway's counters regularly."""
        while True:
            self._push([], self._stat())
            await asyncio.sleep(self.config.stat_s)

    def _hear(self, events: list[Event]) -> None:
        rxpk = [self._concentrator.rxpk(event) for event in events if isinstance(event, FrameHeard)]
        forwarded = [description for description in rxpk if description is not None]
        if forwarded:
            self._forwarded += len(forwarded)
            self._push(forwarded, None)

    def _push(self, rxpk: list[dict[str, Any]], stat: dict[str, Any] | None) -> None:
        if self._up is None:
            return
        token = self._token()
        self._unacknowledged[token] = None
        if len(self._unacknowledged) > _MAX_UNACKNOWLEDGED:
            self._unacknowledged.popitem(last=False)
        self._pushed += 1
        self._up.sendto(semtech_pdus.push_data(token, self.config.eui, rxpk, stat))

    def _came_up(self, datagram: bytes) -> None:
        pdu = self._parse(datagram)
        if isinstance(pdu, Ack) and pdu.identifier == PUSH_ACK and pdu.token in self._unacknowledged:
            del self._unacknowledged[pdu.token]
            self._acknowledged += 1

    def _came_down(self, datagram: bytes) -> None:
        pdu = self._parse(datagram)
        if isinstance(pdu, PullResp):
            self._asked += 1
            self._send_frame(pdu)

    def _send_frame(self, pdu: PullResp) -> None:
        try:
            txpk = semtech_pdus.parse_txpk(pdu.txpk, PUBLIC_SYNC)
            outcome = self._concentrator.schedule(txpk, self._air.now_us())
        except MalformedDatagram as error:  # the original does not answer these either
            log.warning("gateway %s: %s", self.config.eui.hex(), error)
            self._air.note({"event": "downlink", "gateway": self.config.eui.hex(), "malformed": str(error)})
            return
        self._air.wake()
        self._air.note(
            {"event": "downlink", "gateway": self.config.eui.hex(), "at_us": outcome.at_us, "txpk_ack": outcome.answer}
        )
        if self._down is not None:
            self._down.sendto(semtech_pdus.tx_ack(pdu.token, self.config.eui, outcome.answer))

    def _parse(self, datagram: bytes) -> Ack | PullResp | None:
        try:
            return semtech_pdus.parse(datagram)
        except MalformedDatagram as error:
            log.warning("gateway %s: %s", self.config.eui.hex(), error)
            return None

    def _stat(self) -> dict[str, Any]:
        share = 100.0 * self._acknowledged / self._pushed if self._pushed else 0.0
        return {
            "time": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S GMT"),
            "rxnb": self._concentrator.received,
            "rxok": self._concentrator.received_ok,
            "rxfw": self._forwarded,
            "ackr": round(share, 1),
            "dwnb": self._asked,
            "txnb": self._concentrator.sent,
        }

    def _token(self) -> bytes:
        return self._rng.randbytes(2)


@contextlib.asynccontextmanager
async def run_forwarder(
    config: ForwarderConfig, air: Air, seed: int, counter_start: int | None = None
) -> AsyncIterator[Forwarder]:
    """A gateway in the air while the context is open.

    Without counter_start the counter starts 20 to 120 s (by the seed) before it wraps, so that every run sees a wrap.
    """
    rng = random.Random(f"{seed} {config.eui.hex()}")
    if counter_start is None:
        counter_start = (1 << 32) - rng.randrange(20_000_000, 120_000_000)
    concentrator = Concentrator(air.medium, config.radio_id, air.now_us(), counter_start)
    forwarder = Forwarder(config, air, concentrator, rng)
    await forwarder.open()
    tasks = [asyncio.create_task(forwarder.keep_alive()), asyncio.create_task(forwarder.report_state())]
    try:
        yield forwarder
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        air.detach(concentrator.radio_id)
        forwarder.close()
