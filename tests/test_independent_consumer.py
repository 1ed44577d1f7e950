# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a gateway publishes, verified by a consumer of other hands: Node.js, the npm package cborg, nothing of ours."""

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from consumer.report import Verified
from provisioning import pki
from tests.conftest import Mosquitto
from tests.gateway_rig import City, Daemon, Port, Subscriber, until
from tests.ledger_rig import CITY, loss
from tests.test_gateway_daemon import deliver

FOLDER = Path(__file__).parent / "independent"


def theirs(folder: Path, ca_pem: bytes, certificates: list[bytes], messages: list[bytes]) -> dict[str, Any]:
    """What the other consumer finds in a capture (tests/independent/consumer.mjs)."""
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules" / "cborg").is_dir():
        pytest.fail("Node.js or cborg is not installed: `make test` installs it (tools/independent_codec.sh)")
    capture = folder / "capture"
    capture.mkdir(exist_ok=True)
    (folder / "ca.pem").write_bytes(ca_pem)
    for number, pem in enumerate(certificates):
        (capture / f"{number}.pem").write_bytes(pem)
    for number, message in enumerate(messages):
        (capture / f"{number:05}.cose").write_bytes(message)
    command = [node, str(FOLDER / "consumer.mjs"), str(folder / "ca.pem"), str(capture)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_they_verify_what_a_gateway_published(tmp_path: Path, mosquitto: Mosquitto, port: Port) -> None:
    city = City(tmp_path / "city")
    device, subscriber = city.device(), Subscriber(mosquitto.port).start()
    daemon = Daemon(city.config(port.path, mosquitto.port))
    try:
        port.join(device)
        deliver(port, device, range(1, 41))
        until(lambda: sum(len(_verified(city, [each])) for each in dict.fromkeys(subscriber.messages)) >= 40, "40")
        assert daemon.stop() == 0
    finally:
        daemon.kill()
        subscriber.stop()
    ca = pki.certificate_pem(city.ca)
    found = theirs(tmp_path, ca, subscriber.certificates[:1], subscriber.messages)
    ours = _verified(city, subscriber.messages)
    city.registry.close()
    assert found["refused"] == []
    assert [(stream["last"], stream["missing"], stream["broken"]) for stream in found["streams"].values()] == [
        (len(ours), [], [])
    ]
    assert found["readings"] == ours


def _verified(city: City, messages: list[bytes]) -> list[dict[str, Any]]:
    verifier, readings = city.verifier(), []
    for message in messages:
        verified = verifier.check(message)
        assert isinstance(verified, Verified)
        for each in [] if verified.redelivered else verified.readings:
            names = ("dev_eui", "seq", "time", "time_source", "values", "units", "record")
            readings.append({name: getattr(each, name) for name in names})
    return json.loads(json.dumps(readings))  # type: ignore[no-any-return]


def test_they_find_what_is_missing_lost_changed_and_strange(tmp_path: Path, rng: random.Random) -> None:
    gateway = CITY.gateway()
    messages = [gateway.sign_next(2) for _ in range(5)]
    notice = loss(gateway, 4)
    after = gateway.sign_next(1)
    changed = bytearray(after)
    changed[rng.randrange(len(changed) - 64, len(changed))] ^= 1 << rng.randrange(8)
    stranger = CITY.gateway().sign_next(1)
    captured = [*messages[:2], *messages[3:], notice, after, messages[0], bytes(changed), stranger, b"\xd2\x84"]
    found = theirs(tmp_path, CITY.pem, [gateway.pem, b""][:1], captured)
    (stream,) = found["streams"].values()
    assert (stream["missing"], stream["broken"]) == ([[5, 6]], [])
    assert stream["last"] == gateway.next_record - 1
    assert len(found["readings"]) == 9
    assert [why for _name, why in found["refused"]][:2] == ["signature", "unknown certificate"]
    assert len(found["refused"]) == 3


def test_they_find_a_fork_and_a_broken_chain(tmp_path: Path) -> None:
    gateway = CITY.gateway()
    first = gateway.sign_next(1)
    gateway.previous = bytes(32)
    second = gateway.sign_next(1)
    gateway.next_record = 1
    gateway.previous = b""
    forked = gateway.sign_next(1)
    found = theirs(tmp_path, CITY.pem, [gateway.pem], [first, second, forked])
    (stream,) = found["streams"].values()
    assert stream["broken"] == [2]
    assert [why for _name, why in found["refused"]] == ["forked"]
