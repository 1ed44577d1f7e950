# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the register says of outputs: platforms it knows, datasets that are released, recipients that were declared."""

from pathlib import Path
from typing import Any

import pytest

from provisioning.guidelines.engine import Guidelines, guidelines
from provisioning.guidelines.findings import Mode
from provisioning.outputs import Facts, Outputs, Refusal, Wanted, facts_of, judge
from provisioning.registry import Registry
from tests.guideline_rig import NOW, record, stock_of
from tests.test_reports_catalogue import dataset

FLOW = {"audience": "open", "dataset": "FLOW"}
PERSONAL = {"/personal_data/level": "yes"}
PLATFORMS = [
    {"id": name, "name": name, "kind": "common", "responsible": "ks", "status": status, "capabilities": ["integration"]}
    for name, status in (("INT-01", "active"), ("OLD-1", "closed"))
]


def device(number: int, **changes: Any) -> dict[str, Any]:
    """A counter that breaks no rule; `changes` by JSON pointer."""
    values = {
        "/id": f"TRK-{number:04}",
        "/name": f"counter {number}",
        "/identity/dev_eui": f"70b3d57ed{number:07x}",
        "/credentials/fingerprint": f"hmac:{number:032x}",
        "/asset/id": f"POLE-{number}",
        "/lifecycle/stage": "operational",
        "/lifecycle/installed_at": "2026-10-01T08:00:00Z",
        "/streams/0/fields_allowed": ["count_a", "count_b"],
        "/streams/0/openness/dataset_id": "FLOW",
        **changes,
    }
    return record("counter", values)


def rules_over(*devices: dict[str, Any]) -> Guidelines:
    found = stock_of(devices=list(devices), platforms=PLATFORMS)
    return guidelines(found.stock(), found.pack(), mode=Mode.AUDIT, now=NOW)


def judged(devices: list[Any], **wanted: Any) -> list[Refusal]:
    return list(judge(rules_over(*devices), [dataset()], Wanted("feed", **{"audience": "internal", **wanted})))


def test_an_output_that_the_register_allows() -> None:
    assert judged([device(1)], audience="open", dataset="FLOW", platform_id="INT-01") == []
    assert judged([device(1, **PERSONAL)], platform_id="INT-01") == []
    assert judged([]) == []


@pytest.mark.parametrize(
    ("devices", "wanted", "rule", "says"),
    [
        ([], {"platform_id": "NEW-1"}, "PLAT-1", "NEW-1 is no platform"),
        ([], {"platform_id": "OLD-1"}, "PLAT-1", "closed, not active"),
        ([], {"audience": "open", "dataset": "NOISE"}, "OPEN-2", "NOISE is none"),
        ([], FLOW, "OPEN-6", "no device that stands"),
        ([device(1, **{"/personal_data/level": "possible"})], FLOW, "OPEN-6", "personal"),
        ([device(1, **{"/streams/0/klassa/K": 2})], FLOW, "OPEN-6", "OPEN-6"),
        ([device(1, **{"/sensing_tech": ["camera"]})], FLOW, "OPEN-6", "PRIV-1"),
        ([device(1, **PERSONAL)], {}, "PRIV-6", "names no platform_id"),
        ([device(1, **PERSONAL, **{"/streams/0/sinks": []})], {"platform_id": "INT-01"}, "PRIV-6", "INT"),
    ],
)  # fmt: skip
def test_an_output_that_it_does_not(devices: list[Any], wanted: dict[str, Any], rule: str, says: str) -> None:
    (refusal,) = judged(devices, **wanted)
    assert refusal.rule == rule
    assert says in refusal.why
    assert refusal.next_step
    assert str(refusal).startswith(f"{rule}: ")


def test_devices_of_other_kinds_and_those_that_do_not_talk_are_nobodys_obstacle() -> None:
    assert judged([device(1, **PERSONAL)], kinds=("street_light",)) == []
    assert judged([device(1, **PERSONAL, **{"/lifecycle/stage": "planned"})]) == []


def _facts(**changes: Any) -> Facts:
    rules = rules_over(device(7, **changes))
    (found,) = rules.stock.devices()
    return facts_of(found, rules)


def test_the_facts_of_a_record() -> None:
    found = _facts()
    assert (found.kind, found.device_id, found.owner, found.asset) == ("traffic", "TRK-0007", "trafiknamnden", "POLE-7")
    assert found.declared == {"count_a", "count_b"}
    assert found.levels == {"count_a": "open", "count_b": "open"}
    assert found.datasets == {"FLOW": frozenset({"count_a", "count_b"})}
    assert (found.recipients, found.personal) == ({"INT-01"}, False)
    assert _facts(**{"/streams/0/klassa/K": 3}).datasets == {}
    assert _facts(**{"/streams/0/openness/license": "https://example.org/terms"}).datasets == {}


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
