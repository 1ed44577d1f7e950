# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The golden cases of the guidelines and cases of every rule group, through the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from provisioning.guidelines.engine import guidelines
from provisioning.guidelines.pack import proposed
from provisioning.model.device import DeviceRecord
from tests.guideline_rig import NOW, TODAY, VECTORS, check, city, lykta, paper, record, rulepack, signature, stock_of

FILES = ("golden", "groups")
ORDER = [
    "OWN",
    "GOV",
    "LIFE",
    "COST",
    "SEC",
    "PRIV",
    "SHARE",
    "PLAT",
    "NET",
    "STD",
    "MOD",
    "AGR",
    "OPEN",
    "RADIO",
    "KPI",
]


def _cases() -> list[Any]:
    found = []
    for name in FILES:
        for each in json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))["cases"]:
            found.append(pytest.param(each, id=f"{each.get('golden') or each['rule']}: {each['name']}"))
    return found


def _snapshot(case: dict[str, Any]) -> dict[str, Any]:
    papers = {
        kind: [
            paper(kind.removesuffix("s"), each["change"], signature(each["role"], **each.get("signed", {})))
            for each in case.get(kind, ())
        ]
        for kind in ("waivers", "approvals", "dialogues")
    }
    devices = [record(each["base"], each["change"]) for each in case.get("devices", ())]
    pack = rulepack(tuple((old, new) for old, new in case.get("pack", ())))
    return city(**{"devices": devices, "rulepack": pack, **papers, **case.get("stock", {})})


def _run(case: dict[str, Any], folder: Path, *more: str) -> int:
    snapshot = _snapshot(case)
    if case.get("command") == "audit":
        file = folder / "snapshot.json"
        file.write_text(json.dumps(snapshot), encoding="utf-8")
        at = () if "--at" in case.get("arguments", ()) else ("--at", TODAY)
        return lykta("audit", "--snapshot", str(file), *at, *more)
    return check(folder, [record(each["base"], each["change"]) for each in case["records"]], snapshot, *more)


@pytest.mark.parametrize("case", _cases())
def test_case(case: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = case.get("arguments", [])
    if case.get("says") or case.get("says_not"):
        assert _run(case, tmp_path, "--lang", case.get("lang", "en"), *arguments) == case["exit"]
        told = capsys.readouterr().out
        assert [text for text in case.get("says", ()) if text not in told] == []
        assert [text for text in case.get("says_not", ()) if text in told] == []
    others = [each for each in arguments if each not in {"--output", "json"}]
    assert _run(case, tmp_path, *others, "-o", "json", *_all(case)) == case["exit"]
    findings = [each for device in json.loads(capsys.readouterr().out)["devices"] for each in device["findings"]]
    assert sorted({each["rule_id"] for each in findings if each["status"] in {"fail", "unknown"}}) == sorted(
        case["open"]
    )
    for rule_id, statuses in case.get("statuses", {}).items():
        assert sorted({each["status"] for each in findings if each["rule_id"] == rule_id}) == sorted(statuses)


def _all(case: dict[str, Any]) -> list[str]:
    return [] if case.get("command") == "audit" else ["--all"]


def test_every_golden_case_and_three_of_every_group_are_there() -> None:
    golden = json.loads((VECTORS / "golden.json").read_text(encoding="utf-8"))["cases"]
    assert {each["golden"] for each in golden} >= set(range(1, 21))
    groups = json.loads((VECTORS / "groups.json").read_text(encoding="utf-8"))["cases"]
    counted = {group: sum(each["rule"].partition("-")[0] == group for each in groups) for group in ORDER}
    assert {group: count for group, count in counted.items() if count < 3} == {}


def test_every_rule_is_broken_by_a_case() -> None:
    broken = {rule for each in _cases() for rule in each.values[0]["open"]}
    at_a_gateway = {"OWN-4", "LIFE-6", "RADIO-5"}  # tests/test_gateway_guidelines.py
    assert set(proposed().rules) - broken - at_a_gateway - {"MOD-2"} == set()


def test_a_record_that_does_not_survive_being_written_down_breaks_mod_2() -> None:
    """None that comes in as text can: only one that a program made past its schema."""
    found = stock_of()
    rules = guidelines(found.stock(), found.pack(), now=NOW).only("MOD-2")
    good = DeviceRecord(kind="other")
    for value, case in ((5.0, None), (float("nan"), "changed"), (-5.0, "unreadable")):
        (finding,) = rules.evaluate(good.model_copy(update={"store_forward_h": value})).findings
        assert (finding.hit.case if finding.hit else None) == case
