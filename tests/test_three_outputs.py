# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One gateway feeds a broker, a SensorThings service and day files: each goes away in turn, the gateway is killed."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Mosquitto
from tests.gateway_rig import City, Daemon, Device, Port, Subscriber, until
from tests.test_gateway_daemon import deliver, proven
from tests.things_peer import Things

pytestmark = pytest.mark.apart

OUTPUTS = """
[[platforms]]
type = "sensorthings"
name = "things"
url = "{url}"
retry_max_s = 0.5
[[platforms]]
type = "files"
name = "bulk"
path = "bulk"
"""


@pytest.fixture
def things() -> Iterator[Things]:
    made = Things()
    made.start()
    yield made
    made.stop()


def written(folder: Path) -> list[int]:
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
    return [json.loads(line)["record"] for line in lines]


def took(daemon: Daemon, *names: str) -> None:
    until(lambda: all(daemon.stats().waiting.get(name, 1) == 0 for name in names), f"{names} have everything")


def test_three_outputs_each_away_in_turn_and_the_gateway_killed(
    tmp_path: Path, mosquitto: Mosquitto, things: Things, port: Port, daemons: list[Daemon]
) -> None:
    city = City(tmp_path / "city")
    device: Device = city.device()
    subscriber = Subscriber(mosquitto.port).start()
    config = city.config(port.path, mosquitto.port, extra=OUTPUTS.format(url=things.url))
    daemons.append(Daemon(config).ready())
    port.join(device)
    deliver(port, device, range(1, 41))
    took(daemons[-1], "city", "things", "bulk")

    things.stop()  # the other two go on without it
    deliver(port, device, range(41, 81))
    took(daemons[-1], "city", "bulk")
    assert daemons[-1].stats().waiting["things"] > 0

    daemons[-1].kill()  # with what one of them lacks
    mosquitto.stop()
    things.start()
    things.always = lambda _: time.sleep(0.2)  # slow
    daemons.append(Daemon(config).ready())
    deliver(port, device, range(81, 121))
    took(daemons[-1], "bulk", "things")
    assert daemons[-1].stats().waiting["city"] > 0

    mosquitto.start()
    daemons[-1].kill()  # somewhere while it catches up
    daemons.append(Daemon(config).ready())
    took(daemons[-1], "city", "things", "bulk")
    assert daemons[-1].stop() == 0

    everything = set(range(1, 121))
    until(lambda: sum(len(city.verifier().check(each).readings) for each in set(subscriber.messages)) >= 120, "all")
    subscriber.stop()
    proven(city, subscriber, {(device.dev_eui.hex(), seq) for seq in everything})
    assert Counter(written(city.folder / "state" / "bulk")) == Counter(everything), "exactly once"
    observed = [found["parameters"]["record"] for name, found in things.observations if name.endswith(" power")]
    assert set(observed) == everything
    assert len(things.sets["Datastreams"]) == 3
    city.registry.close()
