# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the city receives during a week, a festival, a fire, a fall and a slow failure: days on a simulated clock.

Shipped: the role with its drivers on simulated chips, the queue, the choice of what a frame carries, the session, the
gateway's stages on disk, the consumer. Simulated: time, and a line that is out for hours. What is not here, MicroPython
and radio, is in the other files of this folder.
"""

import time
from pathlib import Path
from typing import Any

import pytest

from consumer.report import VerifiedReading
from firmware.node.delivery import Delivery
from firmware.node.queue import ReadingQueue
from firmware.node.segments import TIME_UNIX, Record
from firmware.wire import cbor, kinds, readings
from gateway.links import Downlink, Uplink
from tests.frame_gateway import Stages
from tests.gateway_rig import APP_KEY, City, Device
from tests.outbox_rig import TestClock
from tests.sim_bench import Bench, play

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.apart]
SEED = 11
SLOWEST_BYTES = 51
TO_AND_FRO_S = 5.0
LINE = "line"


def encode(record: Record) -> bytes:
    item = cbor.loads(record.body)
    assert isinstance(item, dict)
    return cbor.dumps(item | {readings.KEY_SEQ: record.seq, readings.KEY_TIME: record.t})


class FarEnd:
    """What a bench made, as it comes to the city; the line is *out* for some hours."""

    def __init__(self, folder: Path, bench: Bench, kind: str, out: tuple[float, float] = (0.0, 0.0)) -> None:
        self.bench, self._out, self._module = bench, out, kinds.load(kind)
        self._clock = TestClock(wall=time.time())  # within the certificate's time
        self._begun_s = self._clock.wall
        self.queue = ReadingQueue(bench.files, "queue", 1 << 20)
        self._delivery = Delivery(self.queue, encode, 8, 10_000, 90_000, lambda ms: ms)
        self.frames: list[tuple[float, int, int]] = []
        """Hour, bytes of the payload, readings in it."""
        city = City(folder / "city")
        dev_eui, join_eui = bytes.fromhex("70b3d57ed0000001"), bytes.fromhex("70b3d57ed1000001")
        city.registry.register_device(kind, dev_eui=dev_eui, join_eui=join_eui, app_key=APP_KEY)
        self._device = Device(dev_eui, join_eui, APP_KEY)
        with Stages(city, folder / "state", self._clock, SEED) as self._stages:
            self._live()
            messages = [row.message for row in self._stages.outbox.read(0, 1 << 30)]
        verifier = city.verifier()
        found = [reading for message in messages for reading in verifier.check(message).readings]
        report = verifier.report()
        assert (report.missing, report.duplicates, report.forks, report.refused) == (0, 0, 0, {})
        self.readings: list[VerifiedReading] = sorted(found, key=lambda reading: reading.seq)
        city.registry.close()

    def _live(self) -> None:
        for phy in self._exchange(self._device.join_request()):
            self._device.take_accept(phy)
        made = [(hour, 1, values) for hour, values in self.bench.readings]
        made += [(hour, 2, values) for hour, values in self.bench.alarms]
        first = made[0][0]
        for hour, fport, values in sorted(made, key=lambda each: each[:2]):
            self._go_to(self._begun_s + (hour - first) * 3600)
            body = readings.encode_reading(self._module, 0, values)
            seq = self.queue.append(1, TIME_UNIX, int(self._clock.wall), body)
            if fport == readings.FPORT_ALARMS:
                self._send(fport, next(encode(each) for each in self.queue.read(seq, seq + 1)))
        self._go_to(self._clock.wall + 7200)
        assert self.queue.held() == 0 or max(self._delivery.wait_ms(self._now_ms), 1)

    def _go_to(self, wall_s: float) -> None:
        """Let the board send what it has to until then."""
        while True:
            payload = self._delivery.next_frame(self._now_ms, SLOWEST_BYTES)
            if payload is not None:
                self._send(readings.FPORT_READINGS, payload)
                continue
            wait_s = max(5.0, self._delivery.wait_ms(self._now_ms) / 1000)
            if self._clock.wall + wait_s >= wall_s:
                self._clock.sleep(max(0.0, wall_s - self._clock.wall))
                return
            self._clock.sleep(wait_s)

    @property
    def _now_ms(self) -> int:
        return int(self._clock.monotonic * 1000)

    @property
    def hour(self) -> float:
        """Since the bench began."""
        return (self._clock.wall - self._begun_s) / 3600

    def _send(self, fport: int, payload: bytes) -> None:
        assert len(payload) <= SLOWEST_BYTES
        self.frames.append((self.hour, len(payload), len(readings.unpack_payload(payload)[0])))
        confirmed = fport == readings.FPORT_ALARMS
        phy = self._device.live.seal_uplink(fport, payload, confirmed=confirmed)
        self._clock.sleep(TO_AND_FRO_S)
        if self._out[0] <= self.hour < self._out[1]:
            return
        for answer in self._exchange(phy):
            received = self._device.live.open_downlink(answer)
            if received.fport == readings.FPORT_RECEIPTS:
                self._delivery.on_receipt(*readings.decode_receipt(received.payload))

    def _exchange(self, phy: bytes) -> list[bytes]:
        answers = self._stages.intake.process([Uplink(LINE, LINE, phy, self._clock.wall)])
        assert all(isinstance(answer, Downlink) for answer in answers)
        return [answer.phy for answer in answers]

    def told(self, name: str) -> list[Any]:
        """What the readings say of a field, in the order of their numbers."""
        return [each.values[name] for each in self.readings if name in each.values]

    def check(self) -> None:
        """Every reading that was made is there, once, with what the bench measured."""
        made = len(self.bench.readings) + len(self.bench.alarms)
        waiting = self.queue.held()  # of the last ones no receipt may have been asked for
        assert waiting < 40
        assert [each.seq for each in self.readings] == list(range(1, made + 1))


def bin_at_the_far_end(folder: Path, scenario: str, hours: float, out: tuple[float, float] = (0.0, 0.0)) -> FarEnd:
    bench = play("virtual_waste_bin", "waste_bin", scenario, SEED, lambda bench: bench.run(hours))
    far = FarEnd(folder, bench, "waste_bin", out)
    far.check()
    return far


def test_an_ordinary_week_of_a_bin_with_a_day_without_the_gateway(tmp_path: Path) -> None:
    far = bin_at_the_far_end(tmp_path, "week", 150, out=(60.0, 84.0))
    assert far.told("emptyings")[-1] == 2
    levels = far.told("fill")
    assert len(levels) > 280
    assert min(levels) < 0.1 < 0.6 < max(levels)
    assert not any(any(far.told(name)) for name in ("fire", "fallen", "sensor_fault", "battery_low"))
    caught_up = [count for hour, _, count in far.frames if 84.0 <= hour < 84.6]
    assert sum(caught_up) >= 40
    assert sum(caught_up) / len(caught_up) > 3
    sizes = [size for _, size, _ in far.frames]
    print(f"{len(far.readings)} readings in {len(sizes)} frames; after the outage {caught_up}")


def test_a_festival(tmp_path: Path) -> None:
    far = bin_at_the_far_end(tmp_path, "festival", 60)
    assert True in far.told("full")
    times = [each.time for each in far.readings if each.values.get("fill", 0) > 0.8]
    assert len(times) > 10
    assert (times[-1] - times[0]) / len(times) < 1800  # more often than in an ordinary hour


def test_a_fire(tmp_path: Path) -> None:
    far = bin_at_the_far_end(tmp_path, "fire", 30)
    assert far.told("fire") == [True, False]
    hottest = max(far.told("temperature"))
    assert hottest > 60
    assert not any(far.told("fallen"))


def test_a_bin_that_is_knocked_over_and_put_up_again(tmp_path: Path) -> None:
    far = bin_at_the_far_end(tmp_path, "knock_down", 32)
    assert far.told("fallen") == [True, False]
    assert not any(far.told("sensor_fault"))
    down, up = (each.time for each in far.readings if "fallen" in each.values)
    assert not [each for each in far.readings if "fill" in each.values and down < each.time < up]


def test_sensors_that_fail_slowly(tmp_path: Path) -> None:
    far = bin_at_the_far_end(tmp_path, "failing", 150)
    assert far.told("sensor_fault")[0] is True
    assert not any(far.told("fire"))


def test_a_morning_with_a_jam(tmp_path: Path) -> None:
    async def morning(bench: Bench) -> None:
        bench.interval_ms = 300_000
        bench.service.knows_time = True
        await bench.run(2)

    bench = play("virtual_traffic_loops", "traffic", "jam", SEED, morning)
    far = FarEnd(tmp_path, bench, "traffic")
    far.check()
    assert far.told("congested") == [True, False]
    assert sum(far.told("count_a")) + sum(far.told("count_b")) > 500
