# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""For any stock: the unrelated change nothing, a waiver hides one rule, an audit is the sum of its checks."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.guidelines.engine import Guidelines, guidelines
from provisioning.guidelines.findings import Evaluation, Mode, Status, Verdict
from provisioning.guidelines.waivers import enough
from provisioning.model.device import DeviceRecord
from tests.guideline_rig import NOW, paper, record, signature, stock_of

# What breaks one rule or more, each by itself.
FAULTS: dict[str, Any] = {
    "/management": None,
    "/kpi": None,
    "/cost/funding_until": "2029-12-31",
    "/streams/0/openness": None,
    "/streams/0/klassa/T": 3,
    "/network/service_id": "VENDOR-1",
    "/sensing_tech": ["lidar"],
    "/support/vdp_url": None,
    "/radio/sf_max": 12,
    "/lifecycle/planned_end": None,
    "/contract": None,
    "/owner/org_id": "entreprenor-x",
    "/firmware": None,
    "/codec/licence": "LicenseRef-Closed",
    "/store_forward_h": None,
    "/streams/0/retention/edge_h": 100.0,
}
STAGES = ("planned", "registered", "approved", "installed", "operational", "suspended", "retired")
faults = st.sets(st.sampled_from(sorted(FAULTS)), max_size=5).map(lambda names: {name: FAULTS[name] for name in names})
bases = st.sampled_from(["counter", "bin", "light"])


@st.composite
def devices(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Some devices within a few hundred metres, so that some find each other."""
    found = []
    for number in range(draw(st.integers(1, 5))):
        changes = {
            "/id": f"DEV-{1000 + number}",
            "/name": f"device-{number}",
            "/identity/dev_eui": f"70b3d57ed000{number:04x}",
            "/credentials/fingerprint": f"hmac:{draw(st.integers(1, 4)):032x}",
            "/lifecycle/stage": draw(st.sampled_from(STAGES)),
            "/location/lat": 59.34 + draw(st.integers(0, 6)) * 5e-4,
            "/location/lon": 18.05,
            "/owner/org_id": draw(st.sampled_from(["trafiknamnden", "exploateringsnamnden"])),
        }
        found.append(record(draw(bases), {**changes, **draw(faults)}))
    return found


def rules_over(found: list[dict[str, Any]], mode: Mode = Mode.AUDIT, **parts: Any) -> Guidelines:
    snapshot = stock_of(devices=found, **parts)
    return guidelines(snapshot.stock(), snapshot.pack(), mode=mode, now=NOW)


def heart(evaluation: Evaluation) -> list[tuple[Any, ...]]:
    """All that an evaluation says, without the revision of the register."""
    return [
        (each.rule_id, each.status, each.severity, each.grace_until, each.settled_by, each.hit)
        for each in evaluation.findings
    ]


@given(devices(), bases, faults)
@settings(max_examples=40)
def test_an_unrelated_device_changes_nobodys_verdict(
    found: list[dict[str, Any]], base: str, wrong: dict[str, Any]
) -> None:
    far = {
        "/id": "FAR-9999",
        "/name": "far",
        "/location/lat": 59.40,
        "/asset/id": "FAR-ASSET",
        "/identity/dev_eui": "70b3d57ed000ffff",
        "/credentials/fingerprint": f"hmac:{99:032x}",
        "/location/segment_id": "S-FAR",
    }
    stranger = record(base, {**far, **wrong})
    before = {each.subject: heart(each) for each in rules_over(found).audit()}
    after = {each.subject: heart(each) for each in rules_over([*found, stranger]).audit()}
    ours = {each["id"] for each in found}
    assert {each: after[each] for each in ours} == {each: before[each] for each in ours}


@given(devices())
@settings(max_examples=40)
def test_the_audit_is_the_sum_of_single_checks(found: list[dict[str, Any]]) -> None:
    rules = rules_over(found)
    audited = {each.subject: each for each in rules.audit()}
    for record_ in rules.stock.devices():
        alone = rules.evaluate(record_)
        together = audited[record_.id or ""]
        assert heart(alone.brief()) == heart(together)
        assert (alone.verdict, alone.tally) == (together.verdict, together.tally)


@given(faults.filter(bool), st.data())
@settings(max_examples=80)
def test_a_waiver_never_hides_a_second_rules_finding(wrong: dict[str, Any], data: st.DataObject) -> None:
    device = record("counter", {"/id": "TRK-2041", **wrong})
    before = rules_over([device]).evaluate(DeviceRecord.model_validate_json(json.dumps(device)))
    rule_id = data.draw(st.sampled_from(sorted({each.rule_id for each in before.findings})))
    role = data.draw(st.sampled_from(["owner", "ciso", "dpo", "slk", "ks", "stekom", "opendata"]))
    days = data.draw(st.integers(-3, 400))
    expires = f"{NOW.replace(month=10, day=1).date().isoformat()}T08:00:00Z" if days < 0 else "2026-12-20T08:00:00Z"
    waiver = paper(
        "waiver",
        {"/rule_id": rule_id, "/approved_by/role": role, "/issued": "2026-11-20T08:00:00Z", "/expires": expires},
        signature(role),
    )
    rules = rules_over([device], waivers=[waiver])
    after = rules.evaluate(DeviceRecord.model_validate_json(json.dumps(device)))
    others_before = [each for each in heart(before) if each[0] not in {rule_id, "GOV-2"}]
    others_after = [each for each in heart(after) if each[0] not in {rule_id, "GOV-2"}]
    assert others_after == others_before
    entry = rules.pack.rules[rule_id]
    suppressed = [each for each in after.findings if each.status is Status.WAIVED]
    assert {each.rule_id for each in suppressed} <= {rule_id}
    if suppressed:
        assert entry.waivable
        assert days >= 0
        assert enough([role], entry.approvers)
        assert all(each.hit is not None for each in suppressed)
    hidden = {each.rule_id for each in before.open} - {each.rule_id for each in after.open}
    assert hidden <= {rule_id}


@given(devices())
@settings(max_examples=40)
def test_the_verdict_follows_from_what_is_open(found: list[dict[str, Any]]) -> None:
    for each in rules_over(found).audit():
        weights = {finding.weight for finding in each.open}
        assert (each.verdict is Verdict.BLOCKED) == ("block" in weights)
        assert (each.verdict is Verdict.OK) == (not weights & {"block", "approve"})


@given(devices())
@settings(max_examples=20)
def test_every_rule_answers_for_every_device(found: list[dict[str, Any]]) -> None:
    rules = rules_over(found)
    asked = {each.id for each in rules.rules if each.check is not None and Mode.AUDIT in each.modes}
    for record_ in rules.stock.devices():
        assert {each.rule_id for each in rules.evaluate(record_).findings} == asked
