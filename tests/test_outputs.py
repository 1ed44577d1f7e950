# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the register says of outputs: platforms it knows, datasets that are released, recipients that were declared."""

from pathlib import Path
from typing import Any

import pytest

from provisioning.model.memory import MemoryStock
from provisioning.model.platforms import Platform
from provisioning.outputs import Facts, Outputs, Refusal, Wanted, facts_of, judge
from provisioning.registry import Registry
from tests.register_rig import record
from tests.test_reports_catalogue import dataset

FLOW = {"audience": "open", "dataset": "FLOW"}
KLASSA = {"K": 0, "R": 1, "T": 1, "date": "2026-10-02", "by": "x"}
PLATFORMS = [
    Platform.model_validate({"id": name, "name": name, "kind": "common", "responsible": "ks", "status": status})
    for name, status in (("INT-01", "active"), ("OLD-1", "closed"))
]


def device(number: int, *, stream: dict[str, Any] | None = None, **changes: Any) -> Any:
    flow = {
        "property": "traffic.flow.vehicle",
        "klassa": KLASSA,
        "openness": {"level": "open", "dataset_id": "FLOW"},
        "fields_allowed": ["count_a", "count_b"],
        "sinks": [{"platform_id": "INT-01", "kind": "integration"}],
        **(stream or {}),
    }
    values = {"lifecycle": {"stage": "operational"}, "personal_data": {"level": "none"}, **changes}
    return record(number, id=f"TRK-{number:04}", streams=[flow], **values)


def judged(devices: list[Any], **wanted: Any) -> list[Refusal]:
    stock = MemoryStock(devices, platforms=PLATFORMS)
    return list(judge(stock, [dataset()], Wanted("feed", **{"audience": "internal", **wanted})))


def test_an_output_that_the_register_allows() -> None:
    assert judged([device(1)], audience="open", dataset="FLOW", platform_id="INT-01") == []
    assert judged([device(1, personal_data={"level": "yes"})], platform_id="INT-01") == []
    assert judged([]) == []


@pytest.mark.parametrize(
    ("devices", "wanted", "rule", "says"),
    [
        ([], {"platform_id": "NEW-1"}, "PLAT-1", "NEW-1 is no platform"),
        ([], {"platform_id": "OLD-1"}, "PLAT-1", "closed, not active"),
        ([], {"audience": "open", "dataset": "NOISE"}, "OPEN-2", "NOISE is none"),
        ([], FLOW, "OPEN-6", "no device that stands"),
        ([device(1, personal_data={"level": "possible"})], FLOW, "OPEN-6", "personal"),
        ([device(1, stream={"klassa": {**KLASSA, "K": 2}})], FLOW, "OPEN-6", "K 0"),
        ([device(1, personal_data={"level": "yes"})], {}, "PRIV-6", "names no platform_id"),
        ([device(1, personal_data={"level": "yes"}, stream={"sinks": []})], {"platform_id": "INT-01"}, "PRIV-6", "INT"),
    ],
)  # fmt: skip
def test_an_output_that_it_does_not(devices: list[Any], wanted: dict[str, Any], rule: str, says: str) -> None:
    (refusal,) = judged(devices, **wanted)
    assert refusal.rule == rule
    assert says in refusal.why
    assert refusal.next_step
    assert str(refusal).startswith(f"{rule}: ")


def test_devices_of_other_kinds_and_those_that_do_not_talk_are_nobodys_obstacle() -> None:
    personal = {"personal_data": {"level": "yes"}}
    assert judged([device(1, **personal)], kinds=("street_light",)) == []
    assert judged([device(1, lifecycle={"stage": "planned"}, **personal)]) == []


def test_the_facts_of_a_record() -> None:
    found = facts_of(device(7))
    assert (found.kind, found.device_id, found.owner, found.asset) == ("traffic", "TRK-0007", "trafiknamnden", "POLE-7")
    assert found.declared == {"count_a", "count_b"}
    assert found.levels == {"count_a": "open", "count_b": "open"}
    assert found.datasets == {"FLOW": frozenset({"count_a", "count_b"})}
    assert (found.recipients, found.personal) == ({"INT-01"}, False)
    secret = facts_of(device(8, stream={"klassa": {**KLASSA, "K": 3}}))
    assert secret.datasets == {}


def test_the_register_itself_answers(tmp_path: Path) -> None:
    with Registry.create(f"sqlite:///{tmp_path}/register.db", bytes(range(32)), city="Lyktby") as registry:
        registry.register_device("street_light", dev_eui=bytes(7) + b"\1", name="lamp")
        outputs = Outputs(registry)
        known = outputs.facts(["0000000000000001", "0000000000000002"])
        assert known["0000000000000002"] is None
        lamp = known["0000000000000001"]
        assert isinstance(lamp, Facts)
        assert (lamp.kind, lamp.name, lamp.declared, lamp.personal) == ("street_light", "lamp", None, False)
        (refusal,) = outputs.refusals(Wanted("feed", "open", dataset="FLOW"))
        assert refusal.rule == "OPEN-2"
