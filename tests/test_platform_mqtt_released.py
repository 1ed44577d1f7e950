# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Released readings on a broker: cut down, signed one by one, checked by what a consumer installs; whole envelopes
only where the register lets them go."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from consumer import cose, released
from consumer.certificates import TrustStore
from consumer.errors import ConsumerError, Malformed, NotAuthentic, UnknownGateway
from gateway import identity
from gateway.platforms import Context, mqtt, mqtt_released
from gateway.sealing import seal_beside
from provisioning import pki
from provisioning.outputs import Refusal
from tests.conftest import Mosquitto
from tests.mqtt_rig import Listener
from tests.outbox_rig import TestClock
from tests.output_rig import OutputRig
from tests.releases_rig import Register, facts
from tests.test_gateway_mqtt import Rig

EUI = "0200000000000a01"
PREFIX = f"lykta/v1/{EUI}/released"
CA_KEY, KEY = pki.new_key(), pki.new_key()
CA = pki.create_ca(CA_KEY, "Lyktby")
PEM = pki.certificate_pem(pki.issue_gateway_certificate(CA_KEY, CA, KEY.public_key(), bytes.fromhex(EUI), "gw"))
ME = identity.load(EUI, pki.private_key_pem(KEY), PEM)
CLOCK = TestClock(wall=ME.not_before.timestamp() + 60)


def seal(headers: Mapping[int, object], payload: bytes) -> bytes:
    return seal_beside(ME, CLOCK, headers, payload)


def trust() -> TrustStore:
    store = TrustStore([CA])
    store.add(PEM)
    return store


class ReleasedRig(OutputRig):
    """An output with a key to sign with."""

    def context(self, secret: bytes, **more: Any) -> Context:
        return super().context(secret, seal=seal, **more)


def rig(folder: Path, port: int, register: Register, **release: Any) -> ReleasedRig:
    table = {"type": "mqtt_released", "host": "127.0.0.1", "port": port, "release": release}
    return ReleasedRig(folder, table, register)


def open_light(number: int) -> Any:
    return facts("street_light", number, owner="trafik", datasets={"LIGHT": None})


def test_open_readings_are_cut_down_signed_and_survive_an_outage(tmp_path: Path, mosquitto: Mosquitto) -> None:
    register = Register({f"{number:016x}": open_light(number) for number in (1, 2)} | {f"{3:016x}": None})
    listener = Listener(mosquitto.port)

    async def scenario() -> None:
        async with rig(tmp_path, mosquitto.port, register, audience="open", dataset="LIGHT") as one:
            one.lights([1, 2, 3], 2)
            await one.all_taken()
            await one.until(lambda: len(listener.under("/released/")) >= 4)
            await asyncio.to_thread(mosquitto.stop)
            one.lights([1, 2], 3)
            await one.until(lambda: one.counted("connection_failed"))
            await asyncio.to_thread(mosquitto.start)
            await one.all_taken()
            assert one.counted("readings_withheld_not_registered") == 2

    asyncio.run(scenario())
    again = Listener(mosquitto.port)
    read = {message.topic: released.read(message.payload, trust()) for message in _await_retained(again, 2)}
    listener.stop()
    again.stop()
    assert set(read) == {f"{PREFIX}/trafik/street_light/TRK-000{number}" for number in (1, 2)}
    for message in listener.under("/released/"):
        reading = released.read(message.payload, trust())
        assert reading.gateway == f"urn:dev:mac:{EUI}"
        assert reading.time_s % 300 == 0
        assert {"lamp_on", "power", "lon", "lat"} >= set(reading.values) - {"dim"}
        assert reading.units["lat"] == "lat"
        assert b"0000000000000001" not in message.payload, "a DevEUI"
    assert "TRK-000" in _run_example(tmp_path, listener.under("/released/")[0].payload)


def _run_example(folder: Path, message: bytes) -> str:
    """What the example of the page prints of a message."""
    page = (Path(__file__).parent.parent / "docs/platforms.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (folder / "ca.cert.pem").write_bytes(pki.certificate_pem(CA))
    (folder / "gateway.cert.pem").write_bytes(PEM)
    (folder / "reading.cose").write_bytes(message)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-W", "error", "-c", example]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _await_retained(listener: Listener, count: int) -> list[Any]:
    from tests.gateway_rig import until

    until(lambda: len(listener.under("/released/")) >= count, "what is retained")
    return listener.under("/released/")


def test_an_output_that_the_register_refuses_sends_nothing(tmp_path: Path, mosquitto: Mosquitto) -> None:
    register = Register()
    register.refused = [Refusal("OPEN-2", "dataset LIGHT is none of the register", "lykta dataset add adds one")]
    listener = Listener(mosquitto.port)

    async def scenario() -> None:
        async with rig(tmp_path, mosquitto.port, register, audience="open", dataset="LIGHT") as one:
            one.lights([1])
            await one.until(lambda: one.counted("output_refused"))

    asyncio.run(scenario())
    listener.stop()
    assert listener.under("/released/") == []


def test_whole_envelopes_wait_until_the_register_lets_them_go(tmp_path: Path, mosquitto: Mosquitto) -> None:
    register = Register()
    register.refused = [Refusal("PRIV-6", "TRK-1 measures what may be personal data", "declare INT-01 as a sink")]

    async def scenario() -> None:
        async with Rig(tmp_path, mosquitto.port, directory=register, platform_id="INT-01") as one:
            one.accept(20)
            await one.until(lambda: one.counted("output_refused") >= 2)
            assert one.through() == 0
            assert "declare INT-01" in one.platform.status()["refused"]
            register.refused = []
            await one.all_published()
            assert one.platform.status()["refused"] == ""

    asyncio.run(scenario())


def test_an_envelope_cannot_be_cut_and_a_password_does_not_travel_in_clear() -> None:
    table = {"type": "mqtt", "name": "open", "host": "broker.example.org", "release": {"audience": "open"}}
    with pytest.raises(ValidationError, match="mqtt_released"):
        mqtt.Settings.model_validate(table)
    table = {"type": "mqtt_released", "name": "open", "host": "broker.example.org", "password": "file:secret"}
    with pytest.raises(ValidationError, match="in clear"):
        mqtt_released.Settings.model_validate(table)


def message(payload: bytes | None = None, **headers: Any) -> bytes:
    """A good message in every respect that is not given."""
    given = released.headers(bytes(8), 7) | headers.get("changed", {})
    return seal(given, payload or released.payload("urn:ngsi-ld:Device:TRK-1:", 1.5, {"power": 4.0}, {"power": "W"}))


def test_what_is_signed_comes_back() -> None:
    values = {"power": 4.5, "lamp_on": True, "note": "å"}
    found = released.read(message(released.payload("TRK-1:", 1_790_000_000, values, {"power": "W"})), trust())
    assert (found.device, found.time_s, found.record, found.stream_id) == ("TRK-1:", 1_790_000_000.0, 7, bytes(8))
    assert found.values == values
    assert found.units == {"power": "W"}


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (lambda: message()[:-1] + bytes([message()[-1] ^ 1]), NotAuthentic),
        (lambda: message(changed={16: "application/lykta-result+cbor"}), Malformed),
        (lambda: message(changed={cose.CONTENT_TYPE: 112}), Malformed),
        (lambda: message(changed={released.RECORD: [bytes(8), True]}), Malformed),
        (lambda: message(changed={cose.CRIT: [-70000], -70000: 1}), Malformed),
        (lambda: message(b"[]"), Malformed),
        (lambda: message(b"{"), Malformed),
        (lambda: message(json.dumps([{"bn": 1, "bt": 2, "n": "x", "v": 1}]).encode()), Malformed),
        (lambda: message(json.dumps([{"bn": "x", "bt": 2, "n": "x", "v": None}]).encode()), Malformed),
        (lambda: message(json.dumps([{"bn": "x", "bt": 2, "n": "x"}]).encode()), Malformed),
        (lambda: b"\xd2" + bytes(released.MAX_BYTES), Malformed),
        (lambda: b"", Malformed),
    ],
)
def test_whatever_is_wrong_with_a_message_is_refused(made: Any, error: type[ConsumerError]) -> None:
    with pytest.raises(error):
        released.read(made(), trust())


def test_a_gateway_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UnknownGateway):
        released.read(message(), TrustStore([CA]))
