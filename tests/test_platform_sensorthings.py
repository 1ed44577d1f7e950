# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""SensorThings: entities made once whatever happens, observations in batches; against a generic peer of ours."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import ValidationError

from gateway.platforms.sensorthings import Settings
from gateway.platforms.sensorthings.entities import COMPONENTS, datastream, observation, thing
from gateway.releases.release import Released, release
from tests.conftest import Mosquitto
from tests.http_peer import says
from tests.output_rig import OutputRig
from tests.releases_rig import Register, facts, item, rules
from tests.things_peer import Things

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def service() -> Iterator[Things]:
    made = Things()
    made.start()
    yield made
    made.stop()


def rig(folder: Path, service: Things, register: Register | None = None, **table: Any) -> OutputRig:
    return OutputRig(folder, {"type": "sensorthings", "url": service.url, **table}, register)


def released(kind: str, **values: Any) -> Released:
    outcome = release(item(kind, **values), facts(kind, owner="trafiknamnden", maker="Ex", model="R1"), rules())
    assert outcome.released is not None
    return outcome.released


def test_entities_have_what_the_standard_makes_mandatory() -> None:
    reading = released("traffic", interval_s=300, count_a=41, congested=True)
    made = thing(reading)
    assert (made["name"], made["properties"]["owner"]) == ("TRK-0001", "trafiknamnden")
    (place,) = made["Locations"]
    assert place["location"] == {"type": "Point", "coordinates": [18.06491, 59.33258]}
    assert {"name", "description", "encodingType", "location"} <= set(place)
    stream = datastream(reading, reading.fields["count_a"], {"Thing": 1, "Sensor": 2, "ObservedProperty": 3})
    mandatory = {"name", "description", "observationType", "unitOfMeasurement", "Thing", "Sensor", "ObservedProperty"}
    assert mandatory == set(stream)
    assert stream["unitOfMeasurement"]["symbol"] == "count"
    assert datastream(reading, reading.fields["congested"], {})["observationType"].endswith("OM_TruthObservation")
    found = dict(zip(COMPONENTS, observation(reading, reading.fields["count_a"]), strict=True))
    assert found["phenomenonTime"] == "2026-09-21T14:08:20.000Z/2026-09-21T14:13:20.000Z"
    assert (found["result"], found["parameters"]["record"]) == (41, 1)


async def test_entities_are_made_once_and_observations_come_in_batches(tmp_path: Path, service: Things) -> None:
    for part, count in (("first", 3), ("second", 2)):  # the second process knows nothing of the first
        (tmp_path / part).mkdir()
        async with rig(tmp_path / part, service) as one:
            one.lights(range(1, 6), count)
            await one.all_taken()
            assert one.counted("delivered") == 5 * count
    made = {name: Counter(each["name"] for each in found) for name, found in service.sets.items()}
    assert made["Things"] == {f"TRK-000{number}": 1 for number in range(1, 6)}
    assert made["Locations"] == made["Things"]
    assert made["ObservedProperties"] == {"lamp_on": 1, "dim": 1, "power": 1}
    assert made["Sensors"] == {"street_light": 1}
    assert len(made["Datastreams"]) == 15
    assert set(made["Datastreams"].values()) == {1}
    assert len(service.observations) == 75
    assert service.asked["POST /v1.1/CreateObservations"] < 20
    streams = {each["@iot.id"]: each for each in service.sets["Datastreams"]}
    names = {each["@iot.id"]: each["name"] for each in service.sets["Things"]}
    assert all(each["name"].startswith(names[each["Thing"]["@iot.id"]]) for each in streams.values())


async def test_a_lost_answer_makes_no_entity_twice(tmp_path: Path, service: Things) -> None:
    def lost(body: Any) -> Any:
        if isinstance(body, dict) and "name" in body and service.asked["lost"] < 4:
            service.asked["lost"] += 1
            kind = "Things" if "properties" in body else "ObservedProperties" if "definition" in body else "Sensors"
            if "unitOfMeasurement" in body:
                kind = "Datastreams"
            service._make(kind, dict(body))
            return says(500)(body)
        return None

    service.always = lost
    async with rig(tmp_path, service) as one:
        one.accept("street_light", 1, {"power_w": 60.5})
        await one.all_taken()
    assert {name: len(found) for name, found in service.sets.items()} == {
        "Things": 1, "Locations": 1, "Sensors": 1, "ObservedProperties": 1, "Datastreams": 1
    }  # fmt: skip
    assert service.asked["lost"] == 4


async def test_ids_of_answers_without_a_body_are_taken_from_location(tmp_path: Path, service: Things) -> None:
    service.without_body = True
    async with rig(tmp_path, service) as one:
        one.lights([1])
        await one.all_taken()
    assert len(service.observations) == 3


async def test_a_field_that_no_datastream_can_be_made_for_keeps_no_other_one_back(
    tmp_path: Path, service: Things
) -> None:
    def picky(body: Any) -> Any:
        refused = isinstance(body, dict) and body.get("unitOfMeasurement", {"name": ""})["name"] is None
        return says(422, {"detail": "a unit"})(body) if refused else None

    service.always = picky
    async with rig(tmp_path, service) as one:
        one.lights([1], 2)
        await one.all_taken()
        assert {name for name, _ in service.observations} == {"TRK-0001 dim", "TRK-0001 power"}
        assert one.counted("set_aside") == 2
        assert "lamp_on" in (tmp_path / "city.set-aside.jsonl").read_text()


async def test_an_observation_that_is_refused_is_set_aside_and_the_rest_goes_on(
    tmp_path: Path, service: Things
) -> None:
    decided = facts("foreign", 2, levels={"note": "internal"})
    register = Register({"0000000000000002": decided})
    poison = replace(item("street_light", 2, 9), values={"note": "poison"}, units={})
    outcome = release(poison, decided, rules())
    assert outcome.released is not None
    async with rig(tmp_path, service, register) as one:
        one.lights([1], 2)
        await one.all_taken()
        partner: Any = one.platform._partner  # type: ignore[attr-defined]
        (rejected,) = await partner.deliver([outcome.released, released("street_light", power_w=1.0)])
        assert "error: no" in rejected.why
        assert service.observations[-1][1]["result"] == 1.0


async def test_a_service_that_lost_its_entities_gets_them_again(tmp_path: Path, service: Things) -> None:
    async with rig(tmp_path, service) as one:
        one.lights([1])
        await one.all_taken()
        service.stop()
        service.sets.clear()
        one.lights([1, 2], 3)
        await one.until(lambda: one.counted("connection_failed"))
        service.start()
        await one.all_taken()
    assert len(service.sets["Datastreams"]) == 6
    records = {found["parameters"]["record"] for _, found in service.observations}
    assert records == set(range(1, 8))


@pytest.mark.parametrize("answer", [{"value": "x"}, [], "text", {"value": [{"name": "TRK-0001", "@iot.id": None}]}])
async def test_answers_that_are_not_of_the_standard_lose_nothing(tmp_path: Path, service: Things, answer: Any) -> None:
    broken = [True]
    service.always = lambda body: says(200, json.loads(json.dumps(answer)))(body) if broken[0] else None
    async with rig(tmp_path, service) as one:
        one.lights([1])
        await one.until(lambda: one.counted("connection_failed") >= 1)
        broken[0] = False
        await one.all_taken()
        assert (one.counted("delivered"), one.counted("set_aside")) == (1, 0)


async def test_observations_go_by_mqtt_where_the_service_takes_them_so(
    tmp_path: Path, service: Things, mosquitto: Mosquitto
) -> None:
    heard: list[tuple[str, dict[str, Any]]] = []
    subscribed = threading.Event()
    listener = paho.Client(CallbackAPIVersion.VERSION2, "service", clean_session=False)
    listener.on_connect = lambda client, *_: client.subscribe("v1.1/#", qos=1)
    listener.on_subscribe = lambda *_: subscribed.set()
    listener.on_message = lambda _client, _data, message: heard.append((message.topic, json.loads(message.payload)))
    listener.reconnect_delay_set(0.1, 0.5)
    listener.connect("127.0.0.1", mosquitto.port)
    listener.loop_start()
    assert await asyncio.to_thread(subscribed.wait, 60)
    async with rig(tmp_path, service, mqtt={"host": "127.0.0.1", "port": mosquitto.port}) as one:
        one.lights([1, 2], 5)
        await one.all_taken()
        await asyncio.to_thread(mosquitto.stop)
        one.lights([1, 2], 5)
        await one.until(lambda: one.counted("connection_failed"))
        await asyncio.to_thread(mosquitto.start)
        await one.all_taken()
        records = {f"v1.1/Datastreams({number})/Observations" for number in range(1, 7)}
        await one.until(lambda: {topic for topic, _ in heard} == records)
        await one.until(lambda: {found["parameters"]["record"] for _, found in heard} == set(range(1, 21)))
    listener.disconnect()
    listener.loop_stop()
    assert set(heard[0][1]) == set(COMPONENTS)
    assert not service.observations
    assert not service.asked["POST /v1.1/CreateObservations"]


def test_a_password_over_plain_mqtt_is_refused() -> None:
    table = {"type": "sensorthings", "name": "x", "url": "https://sta", "username": "me", "password": "file:p"}
    with pytest.raises(ValidationError, match="in the clear"):
        Settings.model_validate({**table, "mqtt": {"host": "broker.example.org"}})
    assert Settings.model_validate({**table, "mqtt": {"host": "broker.example.org", "tls": {}}}).mqtt
