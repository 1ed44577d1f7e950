# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""NGSI-LD: entities as the Smart Data Models want them, and a broker (a generic HTTP peer of ours) that keeps them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rdflib import Graph, URIRef
from rdflib.namespace import RDF

from gateway.platforms.ngsi_ld.alarms import Alarm, Statuses
from gateway.platforms.ngsi_ld.entities import CORE_CONTEXT, Entity, Format, device_of, entities
from gateway.platforms.ngsi_ld.newest import Newest
from gateway.releases.release import Released, release
from provisioning.outputs import Refusal
from tests.http_peer import Broker, says
from tests.output_rig import OutputRig
from tests.releases_rig import START_S, Register, facts, item, rules

MODELS = json.loads((Path(__file__).parent / "vectors" / "platforms" / "smart_data_models.json").read_text())
READINGS: dict[str, dict[str, Any]] = {
    "street_light": {"lamp_on": True, "dim_pct": 0.4, "power_w": 60.5, "voltage_v": 231.2, "current_a": 0.262,
                     "power_factor": 0.98, "temperature_c": -3.5, "lamp_failure": True},
    "waste_bin": {"fill_pct": 0.63, "temperature_c": 8.0, "battery_pct": 71.0, "fire": True, "lid_open": True},
    "traffic": {"interval_s": 300, "count_a": 41, "count_b": 12, "speed_mean_kmh": 13.8889, "occupancy_pct": 0.12,
                "headway_s": 7.0, "congested": False},
    "foreign": {"firmware_version": 10203},
}  # fmt: skip


@pytest.fixture
def broker() -> Iterator[Broker]:
    made = Broker()
    made.start()
    yield made
    made.stop()


def released(kind: str, values: dict[str, Any] | None = None, **changes: Any) -> Released:
    outcome = release(item(kind, **(values or READINGS[kind])), facts(kind, owner="trafiknamnden", **changes), rules())
    assert outcome.released is not None
    return outcome.released


def made(kind: str, form: Format = "normalized") -> list[dict[str, Any]]:
    return [entity.to_json(form) for entity in entities(released(kind))]


@pytest.mark.parametrize("form", ["normalized", "keyValues"])
@pytest.mark.parametrize("kind", READINGS)
def test_entities_have_what_the_published_schemas_require(kind: str, form: Format) -> None:
    found = made(kind, form)
    assert found[-1]["type"] == "Device"
    for entity in found:
        model = MODELS[entity["type"]]
        # The status of a new entity is the broker's side: see the tests with a broker.
        assert set(model["required"]) - {"status"} <= set(entity)
        assert entity["id"].startswith(f"urn:ngsi-ld:{entity['type']}:TRK-0001")
        for name, value in entity.items():
            if name in ("id", "type", "@context"):
                continue
            if form == "normalized":
                assert value["type"] in ("Property", "GeoProperty", "Relationship")
            plain = value if form == "keyValues" else value.get("value", value.get("object"))
            if name in model["enum"]:
                assert plain in model["enum"][name]
            if name in model["bounds"]:
                lowest, highest = model["bounds"][name]
                assert lowest <= plain <= highest


def test_values_are_in_the_units_of_the_models() -> None:
    light = made("street_light")[0]
    assert light["current"] == {
        "type": "Property", "value": 262.0, "observedAt": "2026-09-21T14:13:20Z", "unitCode": "4K"
    }  # fmt: skip
    assert (light["powerState"]["value"], light["illuminanceLevel"]["value"]) == ("on", 0.4)
    assert light["location"] == {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [18.06491, 59.33258]}}
    assert light["refDevice"] == {"type": "Relationship", "object": "urn:ngsi-ld:Device:TRK-0001"}
    forward, backward, device = made("traffic", "keyValues")
    assert (forward["intensity"], backward["intensity"]) == (41, 12)
    assert (forward["laneDirection"], backward["laneDirection"]) == ("forward", "backward")
    assert forward["averageVehicleSpeed"] == pytest.approx(50.0, abs=0.001)
    assert (forward["dateObservedFrom"], forward["dateObserved"]) == ("2026-09-21T14:08:20Z", "2026-09-21T14:13:20Z")
    assert device["controlledProperty"] == ["traffic"]
    assert made("waste_bin")[1]["batteryLevel"]["value"] == 0.71
    assert made("foreign", "keyValues")[0]["firmwareVersion"] == "1.2.3"


@pytest.mark.parametrize("kind", READINGS)
def test_each_entity_carries_its_terms_and_nothing_has_to_be_fetched(kind: str) -> None:
    for entity in made(kind, "keyValues"):
        own, core = entity.pop("@context")
        assert core == CORE_CONTEXT
        model = MODELS[entity["type"]]["iri"]
        # The place is plain JSON to JSON-LD; "id" and "type" are what the core context makes of them.
        entity["location"] = "somewhere"
        document = {"@context": {**own, "id": "@id", "type": "@type"}, **entity}
        graph = Graph().parse(data=json.dumps(document), format="json-ld")
        subject = URIRef(entity["id"])
        assert graph.value(subject, RDF.type) == URIRef(model + entity["type"])
        found = {str(predicate) for predicate in graph.predicates(subject)} - {str(RDF.type)}
        assert len(found) == len(entity) - 2, "a term has no IRI, or two have one"
        allowed = (model, "https://smartdatamodels.org/", "https://uri.etsi.org/ngsi-ld/")
        assert all(each.startswith(allowed) for each in found)


def test_the_device_behind_an_entity() -> None:
    for kind in READINGS:
        assert {device_of(entity.id) for entity in entities(released(kind))} == {"urn:ngsi-ld:Device:TRK-0001"}


def test_a_status_is_the_gravest_alarm_that_is_raised_until_it_is_cleared() -> None:
    statuses, order = Statuses(), ["columnIssue", "defectiveLamp"]
    lamp, gear = Alarm("lamp_failure", "defectiveLamp", True), Alarm("gear_failure", "defectiveLamp", True)
    tilted = Alarm("tilted", "columnIssue", True)
    assert statuses.update("x", [], order) == "ok"
    assert statuses.update("x", [tilted], order) == "columnIssue"
    assert statuses.update("x", [lamp, gear], order) == "defectiveLamp"
    assert statuses.update("x", [lamp._replace(raised=False)], order) == "defectiveLamp", "the gear is still broken"
    assert statuses.update("x", [gear._replace(raised=False)], order) == "columnIssue"
    statuses.clear()
    statuses.learn("x", "defectiveLamp")
    assert statuses.update("x", [tilted._replace(raised=False)], order) == "defectiveLamp", "as the broker knows"
    assert statuses.update("x", [lamp._replace(raised=False)], order) == "ok"


async def _run(folder: Path, broker: Broker, register: Register | None = None, **table: Any) -> OutputRig:
    return OutputRig(folder, {"type": "ngsi_ld", "url": broker.url, **table}, register)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("form", ["normalized", "keyValues"])
async def test_a_broker_holds_the_present_state_of_every_device(tmp_path: Path, broker: Broker, form: Format) -> None:
    async with await _run(tmp_path, broker, format=form, tenant="city") as rig:
        rig.lights(range(1, 6), 3)
        await rig.all_taken()
        assert len(broker.entities) == 10
        light = broker.entities["urn:ngsi-ld:Streetlight:TRK-0003"]
        assert set(MODELS["Streetlight"]["required"]) <= set(light)
        status = light["status"]
        assert (status if form == "keyValues" else status["value"]) == "ok"
        if form == "normalized":
            assert light["powerConsumption"]["observedAt"] == "2026-09-21T14:16:20Z"
        path, headers, _ = broker.requests[0]
        assert headers["ngsild-tenant"] == "city"
        assert headers["content-type"] == "application/ld+json"
        assert path.endswith("options=update" if form == "normalized" else "options=update%2CkeyValues")
        assert rig.counted("delivered") == 15


@pytest.mark.parametrize("form", ["normalized", "keyValues"])
async def test_what_comes_late_does_not_overwrite_what_is_newer(tmp_path: Path, broker: Broker, form: Format) -> None:
    async with await _run(tmp_path, broker, format=form) as rig:
        rig.lights([1], 5)
        await rig.all_taken()
    newest = dict(broker.entities["urn:ngsi-ld:Streetlight:TRK-0001"])
    (tmp_path / "again").mkdir()
    async with await _run(tmp_path / "again", broker) as rig:  # another process, which remembers nothing
        rig.accept("street_light", 1, {"power_w": 1.0}, {"power_w": 2.0})
        await rig.all_taken()
        assert rig.counted("superseded") == 4
        assert broker.entities["urn:ngsi-ld:Streetlight:TRK-0001"] == newest


def _light(time_s: float, **values: Any) -> Entity:
    outcome = release(item("street_light", time_s=START_S + time_s, **values), facts("street_light"), rules())
    assert outcome.released is not None
    return entities(outcome.released)[0]


def test_a_late_reading_still_tells_what_no_newer_one_did() -> None:
    newest = Newest()
    newest.took(_light(100, power_w=60.5))
    assert newest.newer(_light(50, power_w=1.0)) is None
    late = newest.newer(_light(50, power_w=1.0, voltage_v=230.0, lamp_failure=True))
    assert late is not None
    assert (set(late.attributes), [each.field for each in late.alarms]) == ({"voltage"}, ["lamp_failure"])
    newest.took(late)
    assert newest.newer(_light(40, lamp_failure=False)) is None
    cleared = newest.newer(_light(60, lamp_failure=False, power_w=2.0))
    assert cleared is not None
    assert (set(cleared.attributes), len(cleared.alarms)) == (set(), 1)


def test_what_a_broker_tells_no_time_of_is_as_old_as_its_date() -> None:
    newest = Newest()
    light = _light(100, power_w=60.5, lamp_failure=True)
    newest.learn(light.id, {}, START_S + 200.0)
    assert newest.newer(light) is None
    newest.learn(light.id, {"status": START_S + 200.0, "powerConsumption": START_S + 50.0})
    found = newest.newer(light)
    assert found is not None
    assert "powerConsumption" in found.attributes
    assert not found.alarms
    newest.learn(light.id, {})
    assert not newest.holds(light.id)
    assert newest.newer(light) == light


async def test_an_alarm_that_an_outage_made_late_is_told_all_the_same(tmp_path: Path, broker: Broker) -> None:
    async with await _run(tmp_path, broker) as rig:
        rig.lights([1], 2)
        await rig.all_taken()
    (tmp_path / "again").mkdir()
    async with await _run(tmp_path / "again", broker) as rig:
        rig.accept("street_light", 1, {"lamp_failure": True, "power_w": 0.0})  # older than what the broker has
        await rig.all_taken()
    found = broker.entities["urn:ngsi-ld:Streetlight:TRK-0001"]
    assert (found["powerConsumption"]["value"], found["status"]["value"]) == (60.5, "defectiveLamp")
    assert found["powerConsumption"]["observedAt"] > found["status"]["observedAt"]


async def test_a_refused_entity_is_set_aside_and_the_rest_goes_on(tmp_path: Path, broker: Broker) -> None:
    broker.poison = {"urn:ngsi-ld:Streetlight:TRK-0002"}
    async with await _run(tmp_path, broker) as rig:
        rig.lights(range(1, 5), 2)
        await rig.all_taken()
        assert "urn:ngsi-ld:Streetlight:TRK-0001" in broker.entities
        assert (rig.counted("set_aside"), rig.counted("delivered")) == (2, 6)
        lines = [json.loads(line) for line in (tmp_path / "city.set-aside.jsonl").read_text().splitlines()]
        assert {each["device"] for each in lines} == {"TRK-0002"}
        assert "poison" in lines[0]["why"]


async def test_a_batch_that_is_refused_whole_is_halved_until_the_poison_stands_alone(
    tmp_path: Path, broker: Broker
) -> None:
    def picky(body: Any) -> Any:
        bad = body and any(each["id"].endswith("TRK-0003") for each in body)
        return says(400, {"detail": "no"})(body) if bad else None

    broker.always = picky
    async with await _run(tmp_path, broker) as rig:
        rig.lights(range(1, 9))
        await rig.all_taken()
        assert (rig.counted("set_aside"), rig.counted("delivered")) == (1, 7)
        assert len(broker.entities) == 14


async def test_a_reading_that_our_own_code_fails_on_is_set_aside(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(reading: Released) -> Any:
        if reading.device == "TRK-0002":
            raise TypeError("nobody foresaw this")
        return entities(reading)

    monkeypatch.setattr("gateway.platforms.ngsi_ld.entities", fails)
    async with await _run(tmp_path, broker) as rig:
        rig.lights(range(1, 6))
        await rig.all_taken()
        assert (rig.counted("set_aside"), rig.counted("delivered")) == (1, 4)
        assert "nobody foresaw this" in (tmp_path / "city.set-aside.jsonl").read_text()


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503, 302])
async def test_an_answer_that_may_pass_costs_a_pause_and_no_reading(
    tmp_path: Path, broker: Broker, status: int
) -> None:
    broker.faults.extend([lambda _: None, lambda _: None, *[says(status, Retry_After="0", Location="/x")] * 2])
    async with await _run(tmp_path, broker) as rig:
        rig.lights(range(1, 4))
        await rig.all_taken()
        assert (rig.counted("set_aside"), rig.counted("delivered")) == (0, 3)
        assert rig.counted("connection_failed") >= 1
        assert not broker.asked["GET /x"], "a redirect is not followed"


async def test_errors_of_a_server_within_a_partial_answer_are_tried_again(tmp_path: Path, broker: Broker) -> None:
    body = {"success": [], "errors": [{"entityId": "urn:ngsi-ld:Streetlight:TRK-0001", "error": {"status": 503}}]}
    broker.faults.extend([lambda _: None, lambda _: None, says(207, body)])
    async with await _run(tmp_path, broker) as rig:
        rig.lights([1])
        await rig.all_taken()
        assert (rig.counted("set_aside"), len(broker.entities)) == (0, 2)


async def test_a_broker_that_goes_away_gets_everything_when_it_is_back(tmp_path: Path, broker: Broker) -> None:
    async with await _run(tmp_path, broker) as rig:
        rig.lights([1])
        await rig.all_taken()
        broker.stop()
        rig.lights(range(1, 30), 2)
        await rig.until(lambda: rig.counted("connection_failed") >= 2)
        assert rig.platform.in_flight is None
        broker.start()
        await rig.all_taken()
        assert len(broker.entities) == 58
        assert rig.counted("delivered") >= 59


async def test_an_output_that_the_register_refuses_sends_nothing_and_says_why(tmp_path: Path, broker: Broker) -> None:
    register = Register()
    register.refused = [Refusal("PRIV-6", "TRK-0001 measures people", "declare it")]
    async with await _run(tmp_path, broker, register) as rig:
        rig.lights([1])
        await rig.until(lambda: rig.counted("output_refused"))
        assert rig.platform.status()["refused"] == "PRIV-6: TRK-0001 measures people. Next: declare it."  # type: ignore[attr-defined]
        assert not broker.asked


async def test_an_open_feed_tells_only_what_is_open(tmp_path: Path, broker: Broker) -> None:
    light = facts("street_light", datasets={"LIGHT": None})
    register = Register({"0000000000000001": light})
    release = {"audience": "open", "dataset": "LIGHT"}
    async with await _run(tmp_path, broker, register, release=release) as rig:
        rig.accept("street_light", 1, {"power_w": 60.5, "temperature_c": 20.0, "lamp_failure": True})
        rig.lights([2])
        await rig.all_taken()
        found = broker.entities["urn:ngsi-ld:Streetlight:TRK-0001"]
        assert not {"temperature", "status"} & set(found)
        assert found["powerConsumption"]["observedAt"].endswith((":10:00Z", ":15:00Z"))
        assert "urn:ngsi-ld:Streetlight:TRK-0002" not in broker.entities
        assert rig.counted("fields_dropped_release_level") == 2
        assert rig.counted("readings_withheld_not_released") == 1
