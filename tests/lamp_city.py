# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Street lights of class C by the thousand, and one signed command for all of them, frame by frame in simulated time.

Lamps measure and ask for receipts as class A devices do; between their windows they listen on RX2 (TS001-1.0.4 section
17), obey, and answer as soon as their duty cycle lets them. The gateway's side is its own: the office that takes the
command, the queue, the budget, the transmitter.
"""

import asyncio
import cmath
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from boards.virtual.air.frames import Channel
from boards.virtual.air.medium import Medium
from consumer import results
from consumer.certificates import TrustStore
from consumer.commands import Command, new_id, sign
from firmware.wire import cbor, region, requests
from firmware.wire.readings import FPORT_COMMANDS
from firmware.wire.session import Received
from gateway import identity
from gateway.commands.judge import Judge
from gateway.commands.office import CommandOffice
from gateway.commands.results import ResultSigner
from gateway.links import Uplink
from gateway.network.live import Joined
from gateway.network.options import Options
from gateway.radio import Reception
from tests.commands_rig import URN, add_commander
from tests.frame_devices import SECOND_US, FrameDevice, Habits, Seal, Timeline, spreading_factor
from tests.frame_gateway import LogWatch, RadioGateway, Stages
from tests.gateway_rig import GATEWAY_EUI, City, Device
from tests.outbox_rig import TestClock

GATEWAYS = ((0.0, 0.0), (-500.0, 600.0), (400.0, -600.0))
RADIUS_M = 1200.0
MARGIN_DB = 8.0
LIFE_S = 3600


class Lamp(FrameDevice):
    """A device of class C. It has joined already."""

    def __init__(self, timeline: Timeline, wire: Device, place: tuple[float, float], sf: int, habits: Habits) -> None:
        self.obeyed_us: int | None = None
        """When the command came that it obeyed."""
        self.heard_twice = 0
        self._answers: list[bytes] = []
        super().__init__(timeline, wire, place, sf, habits, Random(wire.dev_eui))

    def _join(self) -> None:
        """``accepted`` does it."""

    def accepted(self, phy: bytes) -> None:
        """Take the Join-Accept that came before the simulation, and begin to listen."""
        self._take_accept(phy)
        self._listen()

    def _listen(self) -> None:
        """On RX2's parameters, unless it sends just now: then it listens again when that is over."""
        if not self._sends:
            rxc = Channel(region.RX2_HZ, region.DATA_RATES[self._rx2_dr][0], 125_000, iq=True)
            self._timeline.medium.listen(self.name, self._timeline.now_us, frozenset({rxc}))

    @property
    def _sends(self) -> bool:
        return bool(self.sent) and self._timeline.now_us < self.sent[-1].frame.until_us

    def _shut(self) -> None:
        if not self._sends:
            super()._shut()
            self._listen()

    def _send(self, seal: Seal, delay_us: int) -> None:
        sent = len(self.sent)
        super()._send(seal, delay_us)
        if len(self.sent) > sent:
            self._hearing = None
            self._timeline.at(self.sent[-1].frame.until_us, self._listen)

    def _report(self) -> None:
        if self._answers:
            self._send(self._seal_answer, region.RECEIVE_DELAY1_MS * 1000)
        else:
            super()._report()

    def _seal_answer(self) -> tuple[bytes, int | None, bytes, tuple[int, ...]]:
        if not self._answers:  # it went meanwhile
            return self._seal_readings()
        answer = self._answers.pop()
        return self.wire.live.seal_uplink(FPORT_COMMANDS, answer, ack=True), FPORT_COMMANDS, answer, ()

    def _hear(self, received: Received) -> None:
        if received.fport != FPORT_COMMANDS:
            return
        if self.obeyed_us is None:
            self.obeyed_us = self._timeline.now_us
        else:
            self.heard_twice += 1
        number = requests.decode(received.payload)[requests.ID]
        self._answers = [cbor.dumps({requests.ID: number, requests.STATUS_KEY: requests.DONE})]
        self._timeline.at(self._timeline.now_us + SECOND_US // 10, self._report)


@dataclass(frozen=True)
class Scene:
    """What is simulated. Lamps are measured and heard for ``calm_s`` before the command is given."""

    lamps: int = 1000
    gateways: int = 1
    seed: int = 1
    rx2_dr: int = 3
    interval_s: int = 1800
    calm_s: int = 1800
    most_s: int = LIFE_S


@dataclass
class Night:
    """What happened: moments in seconds after the command was given."""

    scene: Scene
    obeyed_s: list[float] = field(default_factory=list)
    """When each lamp that obeyed did, sorted."""
    done_s: list[float] = field(default_factory=list)
    """When the gateway had signed that a lamp has done it, sorted."""
    ended_count: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    """Results by state."""
    airtime_s: list[tuple[float, float]] = field(default_factory=list)
    """(moment, share of the law's hour of 869.4-869.65 MHz that the fullest gateway has used)."""
    commands_sent: int = 0
    """Frames that carried it, repetitions included."""
    heard_twice: int = 0
    readings: int = 0
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    violations: int = 0
    bad: list[str] = field(default_factory=list)
    took_s: float = 0.0


class _City:
    def __init__(self, folder: Path, scene: Scene) -> None:
        self.scene = scene
        self.city = City(folder / "city")
        self.clock = TestClock(wall=time.time())  # within the certificate's time
        self.timeline = Timeline(Medium(scene.seed))
        self.rng = Random(scene.seed)
        self.night = Night(scene)
        self.given_us = scene.calm_s * SECOND_US
        self.key = add_commander(self.city.registry)
        self.trust = TrustStore([self.city.ca])
        self.trust.add(self.city.certificate_pem)
        self._seen = 0
        self._folder = folder

    def run(self) -> Night:
        options = Options(rx2_dr=self.scene.rx2_dr, adr=False, status_every_s=0)
        began_s = time.monotonic()
        with (
            LogWatch() as log,
            Stages(self.city, self._folder / "state", self.clock, self.scene.seed, options, self._heard) as stages,
        ):
            self.stages = stages
            self.office = self._open_office(stages)
            self.gateway = RadioGateway(self.timeline, self.clock, stages, self.rng)
            for number, place in enumerate(GATEWAYS[: self.scene.gateways]):
                self.gateway.add(bytes.fromhex(f"aa555a00000001{number + 1:02x}"), *place)
            self.lamps = [self._lamp(number) for number in range(self.scene.lamps)]
            stages.server.commit()
            self.timeline.at(self.given_us, self._give)
            asyncio.run(self._run())
            self._sum_up(stages, log)
        self.night.took_s = time.monotonic() - began_s
        self.city.registry.close()
        return self.night

    async def _run(self) -> None:
        self.timeline.run()

    def _heard(self, dev_eui: bytes, kind: str, fport: int, payload: bytes) -> None:
        self.office.heard(dev_eui, kind, fport, payload)

    def _open_office(self, stages: Stages) -> CommandOffice:
        me = identity.load(
            GATEWAY_EUI.hex(), (self.city.folder / "gateway.key.pem").read_bytes(), self.city.certificate_pem
        )
        judge = Judge(URN, self.city.registry.commander, stages.devices.active, lambda _device: True)
        signer = ResultSigner(lambda: me, self.clock)
        return CommandOffice(stages.server, stages.sessions, judge, signer, self.clock, stages.counters)

    def _lamp(self, number: int) -> Lamp:
        place = cmath.rect(RADIUS_M * math.sqrt(self.rng.random()), 2 * math.pi * self.rng.random())
        nearest = min(range(self.scene.gateways), key=lambda each: abs(place - complex(*GATEWAYS[each])))
        sf = spreading_factor(abs(place - complex(*GATEWAYS[nearest])), MARGIN_DB)
        interval_us = self.scene.interval_s * SECOND_US
        end_us = self.given_us + self.scene.most_s * SECOND_US
        habits = Habits(1, end_us, interval_us, min(self.scene.interval_s, self.scene.calm_s))
        wire = self.city.device(number)
        lamp = Lamp(self.timeline, wire, (place.real, place.imag), sf, habits)
        eui = list(self.gateway.concentrators)[nearest]
        where = Reception(bytes.fromhex(eui), 0, 868_100_000, sf, 125_000, -100.0, 5.0)
        joined = self.stages.server.receive(
            Uplink("air", eui, wire.join_request(), self.clock.wall_s(), where, self.clock.monotonic_s())
        )
        assert isinstance(joined, Joined)
        lamp.accepted(joined.accept)
        return lamp

    def _give(self) -> None:
        self._set_clock()
        now_s = int(self.clock.wall_s())
        command = Command(
            commander="room",
            gateway=URN,
            devices=tuple(lamp.wire.dev_eui for lamp in self.lamps),
            verb="dim",
            arguments={"percent": 40},
            iat_s=now_s,
            exp_s=now_s + self.scene.most_s,
            command_id=new_id(),
        )
        self.office.take("city", ("room", command.command_id), sign(command, self.key))
        self._look()

    def _set_clock(self) -> None:
        self.gateway.set_clock()

    def _look(self) -> None:
        """What the daemon's loops do: send, hear what became of it, ask again, publish results."""
        self._set_clock()
        self.gateway.look()
        self.office.fates(self.stages.server.fates())
        self.office.look()
        after_s = (self.timeline.now_us - self.given_us) / SECOND_US
        for answer in self.office.answers("city", self._seen, 10_000):
            self._seen = answer.row
            result = results.read(answer.message, self.trust)
            if result.device is not None:
                self.night.ended_count += 1
                self.night.done_s += [after_s] if result.state == "done" else []
        self._note_airtime(after_s)
        if after_s < self.scene.most_s and self.night.ended_count < self.scene.lamps:
            wait_s = self.stages.server.pace.wait_s(self.clock.monotonic_s(), 1.0)
            self.timeline.at(self.timeline.now_us + math.ceil(wait_s * SECOND_US), self._look)
        else:
            self.timeline.stop()

    def _note_airtime(self, after_s: float) -> None:
        now_us = int(self.clock.monotonic_s() * SECOND_US)
        used = max(self.gateway.budget.share(eui, region.RX2_HZ, now_us) for eui in self.gateway.concentrators)
        if not self.night.airtime_s or after_s - self.night.airtime_s[-1][0] >= 5:
            self.night.airtime_s.append((after_s, used))

    def _sum_up(self, stages: Stages, log: LogWatch) -> None:
        night = self.night
        obeyed_us = [lamp.obeyed_us for lamp in self.lamps if lamp.obeyed_us is not None]
        night.obeyed_s = sorted((at_us - self.given_us) / SECOND_US for at_us in obeyed_us)
        night.counts = stages.counters.snapshot()
        commands = night.counts.get("commands", {})
        night.ended = {
            state: commands[state] for state in ("done", "failed", "expired", "unanswered") if state in commands
        }
        night.heard_twice = sum(lamp.heard_twice for lamp in self.lamps)
        night.commands_sent = self.gateway.items_sent
        night.readings = night.counts.get("readings", {}).get("new", 0)
        night.violations = self.timeline.medium.duty.violation_count
        night.bad = log.bad


def simulate(folder: Path, scene: Scene) -> Night:
    """Give every lamp of a city one command and wait until each has answered or the command has ended."""
    folder.mkdir(parents=True, exist_ok=True)
    return _City(folder, scene).run()
