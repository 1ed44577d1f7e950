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


def test_catching_up_has_an_order_and_what_is_new_waits_for_nobody(
    tmp_path: Path, mosquitto: Mosquitto, second_mosquitto: Mosquitto, line: SlowLine, port: Port,
    daemons: list[Daemon], rng: random.Random,
) -> None:  # fmt: skip
    low, high = sorted(rng.sample(range(10), 2))
    backlog, live = rng.randrange(120, 160), rng.randrange(5, 20)
    print(f"priorities {low} and {high}, {backlog} readings behind, {live} new")
    city = City(tmp_path / "city")
    device = city.device()
    other = f'[[platforms]]\ntype = "mqtt"\nname = "other"\nhost = "127.0.0.1"\nport = {second_mosquitto.port}\n'
    config = city.config(
        port.path, line.port, other + f"retry_max_s = 0.5\npriority = {low}\n", records="max_batch = 1",
        platform=f"priority = {high}\nwindow = 1\n",
    )  # fmt: skip
    subscribers = [Subscriber(broker.port).start() for broker in (mosquitto, second_mosquitto)]
    first, second = (Heard(city, each) for each in subscribers)
    daemon = Daemon(config).ready()
    daemons.append(daemon)
    port.join(device)
    before = 20
    deliver(port, device, range(1, before + 1))
    everything = set(range(1, before + 1))
    until(lambda: first.look() == everything == second.look(), "both have what came before the outage", PATIENCE_S)

    mosquitto.stop()
    second_mosquitto.stop()
    behind = set(range(before + 1, before + backlog + 1))
    deliver(port, device, sorted(behind))
    line.slow()
    mosquitto.start()
    until(lambda: connected(daemon, "city") >= 2, "the one that comes first is back", PATIENCE_S)
    began_s = time.monotonic()
    second_mosquitto.start()
    until(lambda: connected(daemon, "other") >= 2, "the other one is back", PATIENCE_S)
    new = set(range(before + backlog + 1, before + backlog + live + 1))
    deliver(port, device, sorted(new))
    until(lambda: new <= second.look(), "what is new is where nothing may catch up", PATIENCE_S)
    until(lambda: new <= first.look(), "what is new is where all is slow", PATIENCE_S)
    assert len(behind & first.look()) < backlog, "it came before what was late"
    until(lambda: len(behind & second.look()) >= 3, "one goes all the same, now and then", PATIENCE_S)
    assert len(behind & second.look()) <= time.monotonic() - began_s + 2, "one a second while the other catches up"
    line.quick()
    everything |= behind | new
    until(lambda: first.look() == everything == second.look(), "all is everywhere", PATIENCE_S)
    for heard in (first, second):  # live and late each in order
        for part in (behind, new):
            once = [seq for seq in dict.fromkeys(heard.seqs) if seq in part]
            assert once == sorted(part)

    second_mosquitto.stop()  # only one is away now
    later = set(range(len(everything) + 1, len(everything) + 41))
    deliver(port, device, sorted(later))
    everything |= later
    until(lambda: first.look() == everything, "who is there has it", PATIENCE_S)
    assert not later & second.look()
    second_mosquitto.start()
    until(lambda: second.look() == everything, "who was away catches up", PATIENCE_S)
    assert daemon.stop() == 0
    for subscriber in subscribers:
        subscriber.stop()
        proven(city, subscriber, {(device.dev_eui.hex(), seq) for seq in everything})
    city.registry.close()


def connected(daemon: Daemon, name: str) -> int:
    return sum(entry["platform"] == name for entry in daemon.saw("broker_connected"))
