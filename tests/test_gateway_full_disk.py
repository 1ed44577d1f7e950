# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A disk that takes nothing, under a running gateway with an outage behind it: what is stored leaves all the same."""

import resource

import pytest

from tests.conftest import Mosquitto
from tests.gateway_rig import City, Daemon, Port, Subscriber, until
from tests.test_gateway_daemon import deliver, proven

pytestmark = [pytest.mark.apart, pytest.mark.timeout(300)]


def _arrived(city: City, subscriber: Subscriber) -> set[int]:
    verifier = city.verifier()
    return {reading.seq for message in list(subscriber.messages) for reading in verifier.check(message).readings}


def test_what_is_stored_is_delivered_while_the_disk_takes_nothing_and_nothing_new_is_acknowledged(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    device = city.device()
    subscriber = Subscriber(mosquitto.port).start()
    daemon = Daemon(city.config(port.path, mosquitto.port)).ready()
    daemons.append(daemon)
    port.join(device)
    mosquitto.stop()
    deliver(port, device, range(1, 21))
    assert subscriber.messages == []
    pid = daemon.process.pid
    limit = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limit[1]))
    port.send(device.readings(21, oldest=21))
    daemon.wait_for("store_unavailable")
    mosquitto.start()
    until(lambda: _arrived(city, subscriber) == set(range(1, 21)), "all that was stored", 60)
    port.send(device.readings(21, oldest=21))
    assert port.receive(0.5) is None
    assert 21 not in device.held
    resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
    deliver(port, device, range(21, 31))
    until(lambda: daemon.stats().waiting == {"city": 0}, "everything published", 60)
    assert daemon.stop() == 0
    subscriber.stop()
    proven(city, subscriber, {(device.dev_eui.hex(), seq) for seq in range(1, 31)})
