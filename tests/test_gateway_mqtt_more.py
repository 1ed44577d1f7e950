# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a broker gets besides envelopes, what MQTT 5 adds, and who gets in by TLS: all over a real mosquitto."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.platforms import mqtt
from tests.conftest import Mosquitto
from tests.gateway_rig import GATEWAY_EUI, PATIENCE_S, gateway_certificate
from tests.mqtt_rig import Authority, Listener, Wire
from tests.outbox_rig import device
from tests.signing_gateway import City
from tests.test_gateway_mqtt import CERTIFICATE, Rig

TOPIC = f"lykta/v1/{GATEWAY_EUI.hex()}"


@pytest.fixture
def listener(mosquitto: Mosquitto) -> Iterator[Listener]:
    made = Listener(mosquitto.port)
    yield made
    made.stop()


def states(listener: Listener) -> list[str]:
    return [json.loads(message.payload)["state"] for message in listener.under("/status")]


def test_the_status_says_online_stopped_and_the_broker_says_lost(
    tmp_path: Path, mosquitto: Mosquitto, listener: Listener
) -> None:
    async def scenario() -> None:
        wire = Wire(mosquitto.port)
        async with Rig(tmp_path, wire.port) as rig:
            await rig.until(lambda: states(listener) == ["online"])
            wire.cut()
            await rig.until(lambda: states(listener)[1:3] == ["lost", "online"])
        async with asyncio.timeout(PATIENCE_S):
            while states(listener)[-1] != "stopped":  # noqa: ASYNC110 - another thread's list
                await asyncio.sleep(0.01)
        wire.close()

    asyncio.run(scenario())
    late = Listener(mosquitto.port)
    asyncio.run(_heard(late, "/status", 1))
    late.stop()
    (kept,) = late.under("/status")
    assert (kept.retain, kept.properties.ContentType) == (True, "application/json")


async def _heard(listener: Listener, part: str, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(listener.under(part)) < count:  # noqa: ASYNC110 - another thread's list
            await asyncio.sleep(0.01)


def test_expiry_user_properties_and_a_topic_that_is_said_once(
    tmp_path: Path, mosquitto: Mosquitto, listener: Listener
) -> None:
    city = City()
    gateway = city.gateway()

    async def scenario() -> None:
        wire = Wire(mosquitto.port)
        async with Rig(tmp_path, wire.port, message_expiry_s=600) as rig:
            rig.outbox._sealer = SimpleNamespace(seal=lambda readings, _place: gateway.sign_next(len(readings)))
            rig.accept(50)
            await rig.all_published()
            await _heard(listener, "/records", 50)
            assert wire.sent.count(f"{TOPIC}/records".encode()) == 1, "then its alias goes"
        wire.close()

    asyncio.run(scenario())
    for number, message in enumerate(listener.under("/records"), 1):
        assert message.topic == f"{TOPIC}/records"
        assert 0 < message.properties.MessageExpiryInterval <= 600
        said = dict(message.properties.UserProperty)
        assert said == {
            "gateway": f"urn:dev:mac:{gateway.eui.hex()}",
            "stream": gateway.stream_id.hex(),
            "records": f"{number}-{number}",
        }


def test_the_certificate_of_an_earlier_key_stays(tmp_path: Path, mosquitto: Mosquitto, listener: Listener) -> None:
    pems = [CERTIFICATE, gateway_certificate()]

    async def scenario() -> None:
        for number, pem in enumerate(pems, 1):
            async with Rig(tmp_path, mosquitto.port, certificate=pem):
                await _heard(listener, "/certificates/", number)

    asyncio.run(scenario())
    late = Listener(mosquitto.port)
    asyncio.run(_heard(late, "/certificate", 3))
    late.stop()
    assert {message.payload for message in late.under("/certificates/")} == set(pems)
    assert [message.payload for message in late.under("/certificate") if message.topic == f"{TOPIC}/certificate"] == [
        pems[1]
    ]


class Everyone:
    """A register that knows one device."""

    async def facts(self, dev_euis: Any) -> dict[str, Any]:
        told = SimpleNamespace(owner="trafiknamnden", kind="street_light")
        return {eui: told if eui == device(1).hex() else None for eui in dev_euis}


def test_readings_by_owner_kind_and_device(tmp_path: Path, mosquitto: Mosquitto, listener: Listener) -> None:
    gateway = City().gateway()

    async def scenario() -> None:
        async with Rig(tmp_path, mosquitto.port, directory=Everyone(), by_device=True) as rig:
            messages = iter([gateway.sign([(device(1).hex(), 1)]), gateway.sign([("70b3d57ed0001234", 7)])])
            rig.outbox._sealer = SimpleNamespace(seal=lambda _readings, _place: next(messages))
            rig.accept(2)
            await rig.all_published()
            await _heard(listener, "/devices/", 2)

    asyncio.run(scenario())
    known, unknown = listener.under("/devices/")
    assert known.topic == f"{TOPIC}/devices/trafiknamnden/street_light/{device(1).hex()}"
    assert unknown.topic == f"{TOPIC}/devices/-/-/70b3d57ed0001234"
    said = json.loads(known.payload)
    assert (said["dev_eui"], said["seq"], said["record"]) == (device(1).hex(), 1, 1)
    assert said["values"] == {"lamp_on": True, "power": 41.5}
    assert said["units"] == {"power": "W"}


def _tls_broker(mosquitto: Mosquitto, folder: Path, *lines: str) -> None:
    mosquitto.stop()
    wanted = [
        f"certfile {folder}/broker.pem",
        f"keyfile {folder}/broker.key",
        f"cafile {folder}/authority.pem",
        "require_certificate true",
        *lines,
    ]
    mosquitto.config.write_text(mosquitto.config.read_text() + "\n".join(wanted) + "\n")
    mosquitto.start()


def test_a_client_certificate_opens_the_door_and_a_renewed_one_without_a_restart(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    authority = Authority(tmp_path)
    authority.issue("broker")
    revoked = authority.issue("client")
    _tls_broker(mosquitto, tmp_path, f"crlfile {authority.revoke(revoked)}")
    tls = {"ca": "authority.pem", "cert": "client.pem", "key": "client.key"}

    async def scenario() -> None:
        async with Rig(tmp_path, mosquitto.port, tls=tls) as rig:
            rig.accept(5)
            await rig.until(lambda: rig.counted("connection_failed") >= 2)
            assert rig.counted("connected") == 0, "it was revoked"
            authority.issue("client", days=-0.1)
            failed = rig.counted("connection_failed")
            await rig.until(lambda: rig.counted("connection_failed") >= failed + 2)
            assert rig.counted("connected") == 0, "it ended"
            (tmp_path / "client.pem").write_text("half a fil")
            await rig.until(lambda: rig.counted("connection_failed") >= failed + 4)
            authority.issue("client")
            await rig.all_published()

    asyncio.run(scenario())


def test_a_broker_of_another_authority_and_an_old_protocol_are_not_trusted(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    authority = Authority(tmp_path)
    authority.issue("broker")
    authority.issue("client")
    other = Authority(tmp_path, "other")
    _tls_broker(mosquitto, tmp_path)
    tls = {"ca": other.path.name, "cert": "client.pem", "key": "client.key"}

    async def scenario() -> None:
        async with Rig(tmp_path, mosquitto.port, tls=tls) as rig:
            rig.accept(1)
            await rig.until(lambda: rig.counted("connection_failed") >= 2)
            assert rig.counted("connected") == 0
            context = rig.platform._target.tls
            assert context is not None
            assert context.minimum_version.name == "TLSv1_2"

    asyncio.run(scenario())


def test_a_broker_whose_certificate_ended_is_not_trusted_until_it_is_renewed(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    authority = Authority(tmp_path)
    authority.issue("broker", days=-0.1)
    authority.issue("client")
    _tls_broker(mosquitto, tmp_path)
    tls = {"ca": "authority.pem", "cert": "client.pem", "key": "client.key"}

    async def scenario() -> None:
        async with Rig(tmp_path, mosquitto.port, tls=tls) as rig:
            rig.accept(3)
            await rig.until(lambda: rig.counted("connection_failed") >= 2)
            assert rig.counted("connected") == 0
            authority.issue("broker")
            await asyncio.to_thread(mosquitto.stop)
            await asyncio.to_thread(mosquitto.start)
            await rig.all_published()

    asyncio.run(scenario())


def test_a_broker_that_takes_its_time_is_not_flooded_and_one_that_falls_silent_is_left(
    tmp_path: Path, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "_STALLED_S", 1.0)
    silent = threading.Event()
    silent.set()

    def late(data: bytes) -> bytes:
        """No PUBACK for an envelope arrives while the broker is silent."""
        return b"" if silent.is_set() and data[:1] == b"\x40" else data

    async def scenario() -> None:
        wire = Wire(mosquitto.port, late)
        async with Rig(tmp_path, wire.port, window=10) as rig:
            rig.accept(500)
            await rig.until(lambda: rig.counted("connected") >= 2)
            assert rig.through() == 0
            assert (rig.platform.in_flight or 0) <= 10
            silent.clear()
            await rig.all_published()
        wire.close()

    asyncio.run(scenario())
