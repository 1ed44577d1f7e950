# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The gateway's stages in simulated time: what the daemon joins on its event loop is joined here on a timeline.

Between concentrators and network server run the bytes of the packet forwarders' protocol, written and read by both
sides' own code; only the sockets are missing.
"""

import logging
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from random import Random
from typing import Any

from boards.virtual.air.frames import PUBLIC_SYNC, Event, FrameHeard
from boards.virtual.forwarder import semtech_pdus
from boards.virtual.forwarder.concentrator import Concentrator
from gateway import identity
from gateway.intake import Intake
from gateway.links import Downlink, Uplink
from gateway.links.lora import semtech
from gateway.network.dedup import Deduplicator, Verdict
from gateway.network.duty import DutyBudget
from gateway.network.keyring import Keyring
from gateway.network.live import Joined, Opened
from gateway.network.options import Options
from gateway.network.quarantine import Quarantine
from gateway.network.register import KnownDevices
from gateway.network.scheduler import Planned
from gateway.network.server import NetworkServer
from gateway.network.sessions import SessionStore
from gateway.network.transmitter import Transmitter
from gateway.operate.counters import Counters
from gateway.outbox.store import Limits, Outbox
from gateway.radio import RadioDownlink, TxOutcome
from gateway.sealing import EnvelopeSealer
from tests.frame_devices import SECOND_US, Timeline
from tests.gateway_rig import GATEWAY_EUI, City
from tests.outbox_rig import TestClock

NET_ID = 1
DEDUP_S = 0.2
BACKHAUL_US = range(5_000, 60_000)
"""One way between a concentrator and the network server; less than the de-duplication waits."""


class WatchedServer(NetworkServer):
    """The network server; notes under which device each frame was taken."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.taken: list[tuple[bytes, Joined | Opened]] = []

    def quickly(self) -> Callable[[Uplink], Opened | None]:
        opens = super().quickly()

        def opened(uplink: Uplink) -> Opened | None:
            found = opens(uplink)
            if found is not None:
                self.taken.append((uplink.phy, found))
            return found

        return opened

    def receive(self, uplink: Uplink) -> Joined | Opened:
        found = super().receive(uplink)
        self.taken.append((uplink.phy, found))
        return found


class Stages(AbstractContextManager["Stages"]):
    """Network server, intake and outbox of one gateway, on disk; the city's register behind them."""

    def __init__(
        self,
        city: City,
        folder: Path,
        clock: TestClock,
        seed: int,
        options: Options | None = None,
        heard: Callable[[bytes, str, int, bytes], None] | None = None,
    ) -> None:
        folder.mkdir()
        self._stack = ExitStack()
        self.counters = Counters()
        self.quarantine = Quarantine(NET_ID)
        self.sessions = SessionStore(folder / "sessions.db", Keyring(city.kek))
        self._stack.callback(self.sessions.close)
        self.devices = KnownDevices(city.registry, clock)
        self.server = WatchedServer(self.devices, self.sessions, NET_ID, Random(seed), options)
        self.outbox = Outbox(folder / "outbox.db", sealer(city, clock), ("city",), Limits(), clock)
        self._stack.callback(self.outbox.close)
        self.intake = Intake(self.server, self.outbox, self.counters, self.quarantine, heard=heard)

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def count(self, group: str, name: str) -> int:
        return self.counters.snapshot().get(group, {}).get(name, 0)


def sealer(city: City, clock: TestClock) -> EnvelopeSealer:
    key = (city.folder / "gateway.key.pem").read_bytes()
    me = identity.load(GATEWAY_EUI.hex(), key, city.certificate_pem)
    return EnvelopeSealer(lambda: me, clock)


class RadioGateway:
    """The stages behind concentrators. ``run`` of the timeline must happen in a task: the transmitter asks for one."""

    def __init__(self, timeline: Timeline, clock: TestClock, stages: Stages, rng: Random) -> None:
        self.concentrators: dict[str, Concentrator] = {}
        self.heard_ok = 0
        self.items_sent = 0
        """Frames that carried something of a queue."""
        self.planned: dict[bytes, bytes] = {}
        """The DevEUI for which each downlink was sealed."""
        self.missed: list[Planned] = []
        """Those that found no way."""
        self._timeline = timeline
        self._clock = clock
        self._start = (clock.wall, clock.monotonic)
        self._stages = stages
        self._rng = rng
        self._dedup = Deduplicator(DEDUP_S)
        self.budget = DutyBudget()
        self._transmitter = Transmitter(self._send, self.budget, clock, stages.counters)
        self._token = 0

    def add(self, eui: bytes, x_m: float, y_m: float) -> None:
        """Put a concentrator into the air; its counter wraps within the first minutes."""
        concentrator = Concentrator(self._timeline.medium, f"gateway-{eui.hex()}", 0, (1 << 32) - 300 * SECOND_US)
        concentrator.join(x_m, y_m, 0)
        self.concentrators[eui.hex()] = concentrator
        self._timeline.heard[concentrator.radio_id] = lambda event: self._forward(eui, concentrator, event)

    def set_clock(self) -> float:
        """Bring the gateway's clock to the timeline's moment; return its monotonic reading."""
        passed_s = self._timeline.now_us / SECOND_US
        self._clock.wall, self._clock.monotonic = self._start[0] + passed_s, self._start[1] + passed_s
        return self._clock.monotonic

    def moment_us(self, monotonic_s: float) -> int:
        """Return the timeline's moment of the gateway's clock."""
        return round((monotonic_s - self._start[1]) * SECOND_US)

    def _forward(self, eui: bytes, concentrator: Concentrator, event: Event) -> None:
        if not isinstance(event, FrameHeard) or (rxpk := concentrator.rxpk(event)) is None:
            return
        self.heard_ok += 1
        datagram = semtech_pdus.push_data(self._rng.randbytes(2), eui, [rxpk], None)
        arrives_us = self._timeline.now_us + self._rng.choice(BACKHAUL_US)
        self._timeline.at(arrives_us, lambda: self._arrive(datagram))

    def _arrive(self, datagram: bytes) -> None:
        now_s = self.set_clock()
        pdu = semtech.parse(datagram)
        assert isinstance(pdu, semtech.PushData)
        assert not pdu.refused
        for packet in pdu.packets:
            self._stages.counters.add("frames", "heard")
            uplink = Uplink(
                "air", pdu.gateway_eui.hex(), packet.phy, self._clock.wall, packet.reception, heard_at_s=now_s
            )
            verdict = self._dedup.add(uplink, now_s)
            if verdict is Verdict.FIRST:
                due_us = self._timeline.now_us + math.ceil(DEDUP_S * SECOND_US) + 1
                self._timeline.at(due_us, self._release)
            else:
                self._stages.counters.add("frames", f"heard_{verdict.value}")

    def look(self) -> None:
        """Send what devices get that always listen, as the daemon does each second."""
        for planned in self._stages.intake.at_once(self.set_clock()):
            self.planned[planned.phy] = planned.dev_eui
            self._transmit(planned)

    def _release(self) -> None:
        uplinks = self._dedup.take(self.set_clock())
        for downlink in self._stages.intake.process(uplinks) if uplinks else []:
            assert not isinstance(downlink, Downlink), "there is no line here"
            self.planned[downlink.phy] = downlink.dev_eui
            self._transmit(downlink)

    def _transmit(self, planned: Planned) -> None:
        step = self._transmitter.transmit(planned)
        try:
            step.send(None)
        except StopIteration as done:
            if not done.value:
                self.missed.append(planned)
            if planned.item is not None:
                self.items_sent += bool(done.value)
                self._stages.server.settle(planned, self.set_clock(), sent=done.value)
            return
        raise AssertionError("nothing in simulated time waits for an answer")

    async def _send(self, link: str, address: str, phy: bytes, when: RadioDownlink | None) -> TxOutcome:
        assert link == "air"
        assert when is not None
        self._token = (self._token + 1) % 0x10000
        resp = semtech_pdus.parse(semtech.build_pull_resp(self._token, phy, when))
        assert isinstance(resp, semtech_pdus.PullResp)
        txpk = semtech_pdus.parse_txpk(resp.txpk, PUBLIC_SYNC)
        arrives_us = self._timeline.now_us + self._rng.choice(BACKHAUL_US)
        outcome = self.concentrators[address].schedule(txpk, arrives_us)
        ack = semtech.parse(semtech_pdus.tx_ack(resp.token, bytes.fromhex(address), outcome.answer))
        assert isinstance(ack, semtech.TxAck)
        assert ack.token == self._token
        return TxOutcome("refused" if ack.error else "sent", ack.error, ack.warning, ack.value)


class LogWatch(logging.Handler):
    """What the gateway logs as an error, or with a traceback."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._logger = logging.getLogger("lykta.gateway")
        self._before = self._logger.handlers[:], self._logger.propagate
        self.bad: list[str] = []
        self.events: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.events[record.getMessage()] = self.events.get(record.getMessage(), 0) + 1
        if record.exc_info or record.levelno >= logging.ERROR:
            self.bad.append(f"{record.getMessage()} {getattr(record, 'fields', '')} {record.exc_info}")

    def __enter__(self) -> "LogWatch":
        """In place of whatever else listens: pytest would keep every record, and with it the memory."""
        self._before = self._logger.handlers[:], self._logger.propagate
        self._logger.handlers[:], self._logger.propagate = [self], False
        return self

    def __exit__(self, *exception: object) -> None:
        self._logger.handlers[:], self._logger.propagate = self._before
