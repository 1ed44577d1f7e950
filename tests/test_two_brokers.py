# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One gateway, two brokers with priorities of their own: what is new waits for nobody, catching up has an order."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Mosquitto
from tests.gateway_rig import City, Daemon, Port, Subscriber, until
from tests.mqtt_rig import Wire
from tests.test_gateway_daemon import deliver, proven

pytestmark = [pytest.mark.apart, pytest.mark.timeout(600)]

PATIENCE_S = 120.0
SLOW_S = 2.0
_PUBACK = 0x40


class SlowLine:
    """A line to a broker. While it is slow, one PUBACK comes each two seconds: nothing stalls, little moves."""

    def __init__(self, broker: Mosquitto) -> None:
        self._quick = threading.Event()
        self._quick.set()
        self._wire = Wire(broker.port, self._change)
        self.port = self._wire.port

    def _change(self, data: bytes) -> bytes:
        if data[0] == _PUBACK:
            self._quick.wait(SLOW_S)
        return data

    def slow(self) -> None:
        self._quick.clear()

    def quick(self) -> None:
        self._quick.set()

    def close(self) -> None:
        self.quick()
        self._wire.close()


class Heard:
    """Which readings came to a subscriber, of one device."""

    def __init__(self, city: City, subscriber: Subscriber) -> None:
        self._city = city
        self._subscriber = subscriber
        self._verifier = city.verifier()
        self._seen = 0
        self.seqs: list[int] = []
        """In the order in which they came, each once."""

    def look(self) -> set[int]:
        for message in self._subscriber.messages[self._seen :]:
            self._seen += 1
            self.seqs += [each.seq for each in self._verifier.check(message).readings]
        return set(self.seqs)


@pytest.fixture
def line(mosquitto: Mosquitto) -> Iterator[SlowLine]:
    made = SlowLine(mosquitto)
    yield made
    made.close()


class Rig:
    """A gateway on both brokers with priorities drawn by lot, and who hears what. ``first`` comes first."""

    def __init__(
        self, folder: Path, brokers: tuple[Mosquitto, Mosquitto], line: SlowLine, port: Port, rng: random.Random
    ) -> None:
        low, high = sorted(rng.sample(range(10), 2))
        print(f"priorities {low} and {high}")
        self.city = City(folder)
        self.device = self.city.device()
        self.port = port
        self.top = 0
        other = f'[[platforms]]\ntype = "mqtt"\nname = "other"\nhost = "127.0.0.1"\nport = {brokers[1].port}\n'
        config = self.city.config(
            port.path, line.port, other + f"retry_max_s = 0.5\npriority = {low}\n", records="max_batch = 1",
            platform=f"priority = {high}\nwindow = 1\n",
        )  # fmt: skip
        self.subscribers = [Subscriber(broker.port).start() for broker in brokers]
        self.first, self.second = (Heard(self.city, each) for each in self.subscribers)
        self.daemon = Daemon(config).ready()
        port.join(self.device)

    def deliver(self, count: int) -> set[int]:
        """Put so many more readings on the gateway's disk; return their numbers."""
        made = range(self.top + 1, self.top + count + 1)
        self.top += count
        deliver(self.port, self.device, made)
        return set(made)

    def both_have(self, seqs: set[int]) -> None:
        until(lambda: seqs <= self.first.look() & self.second.look(), "all of it everywhere", PATIENCE_S)

    def connected(self, name: str, times: int) -> None:
        def seen() -> bool:
            return sum(entry["platform"] == name for entry in self.daemon.saw("broker_connected")) >= times

        until(seen, f"{name} connected {times} times", PATIENCE_S)

    def proven(self) -> None:
        for subscriber in self.subscribers:
            proven(self.city, subscriber, {(self.device.dev_eui.hex(), seq) for seq in range(1, self.top + 1)})


@pytest.fixture
def rig(
    tmp_path: Path, mosquitto: Mosquitto, second_mosquitto: Mosquitto, line: SlowLine, port: Port,
    daemons: list[Daemon], rng: random.Random,
) -> Iterator[Rig]:  # fmt: skip
    made = Rig(tmp_path / "city", (mosquitto, second_mosquitto), line, port, rng)
    daemons.append(made.daemon)
    yield made
    for subscriber in made.subscribers:
        subscriber.stop()
    made.city.registry.close()


def test_catching_up_has_an_order_and_what_is_new_waits_for_nobody(
    rig: Rig, mosquitto: Mosquitto, second_mosquitto: Mosquitto, line: SlowLine, rng: random.Random
) -> None:
    first, second = rig.first, rig.second
    rig.both_have(rig.deliver(20))
    mosquitto.stop()
    second_mosquitto.stop()
    behind = rig.deliver(rng.randrange(120, 160))
    line.slow()
    mosquitto.start()
    rig.connected("city", 2)
    began_s = time.monotonic()
    second_mosquitto.start()
    rig.connected("other", 2)
    new = rig.deliver(rng.randrange(5, 20))
    until(lambda: new <= second.look(), "what is new is where nothing may catch up", PATIENCE_S)
    until(lambda: new <= first.look(), "what is new is where all is slow", PATIENCE_S)
    assert behind - first.look(), "it came before what was late"
    until(lambda: len(behind & second.look()) >= 3, "one goes all the same, now and then", PATIENCE_S)
    assert len(behind & second.look()) <= time.monotonic() - began_s + 2, "one a second while the other catches up"
    line.quick()
    rig.both_have(behind | new)
    for heard in (first, second):  # live and late each in order
        for part in (behind, new):
            once = [seq for seq in dict.fromkeys(heard.seqs) if seq in part]
            assert once == sorted(part)
    assert rig.daemon.stop() == 0
    rig.proven()


def test_one_that_is_away_holds_up_nobody_and_catches_up(rig: Rig, second_mosquitto: Mosquitto) -> None:
    rig.both_have(rig.deliver(20))
    second_mosquitto.stop()
    later = rig.deliver(40)
    until(lambda: later <= rig.first.look(), "who is there has it", PATIENCE_S)
    assert not later & rig.second.look()
    second_mosquitto.start()
    rig.both_have(later)
    assert rig.daemon.stop() == 0
    rig.proven()
