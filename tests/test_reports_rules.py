# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Reports and the audit are one evaluation: what a figure counts is what lykta audit finds, whatever the pack says."""

import ast
import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from provisioning.guidelines.engine import guidelines
from provisioning.guidelines.findings import Mode
from provisioning.guidelines.gatewatch import Observed
from provisioning.guidelines.snapshot import Snapshot
from provisioning.reports import duplicates, kpi, pictures
from provisioning.reports.figures import MAKERS, Cell
from provisioning.reports.heard import Delivery, Heard
from tests.guideline_rig import NOW, TODAY, city, lykta, paper, record, rulepack, signature, stock_of

ROOT = Path(__file__).resolve().parent.parent
STANDS = {
    "/lifecycle/stage": "operational",
    "/lifecycle/installed_at": "2026-03-01T08:00:00Z",
    "/lifecycle/position_confirmed": True,
    "/lifecycle/model_confirmed": True,
}
SPOILT: list[dict[str, Any]] = [
    {},
    {"/streams/0/klassa/date": "2025-11-01"},
    {"/streams/0/klassa/case_ref": None},
    {"/streams/0/sinks": [{"platform_id": "VENDOR", "kind": "direct"}]},
    {"/streams/0/sinks": [{"platform_id": "LOKAL-1", "kind": "integration"}]},
    {"/platform": {"id": "LOKAL-1", "kind": "local"}},
    {"/platform": {"id": "GAMMAL-1", "kind": "common"}},
    {"/personal_data": {"level": "possible"}},
    {"/sensing_tech": ["lidar"]},
    {"/personal_data": None},
    {"/lifecycle/planned_end": "2026-10-01"},
    {"/lifecycle/confirmed_at": "2024-01-01"},
    {"/cost/funding_until": "2027-01-01"},
    {"/cost/run_sek_y": None},
    {"/kpi": None},
    {"/project": {"id": "P-1", "start": "2026-01-01", "benefit_measure": "queue", "benefit_by": "2029-01-01"}},
    {"/firmware": None},
    {"/lifecycle/stage": "planned", "/lifecycle/installed_at": None},
    {"/lifecycle/stage": "suspended"},
]
COUNTED = [
    # figure, cell, rule, cases (all where empty), stages counted, what the audit's number is taken from
    ("K1", "devices that do not say of which component (KPI-1)", "KPI-1", (), {"operational"}),
    ("K11", "declared too low, or not at all (PRIV-1)", "PRIV-1", (), None),
    ("K12", "past their planned end (LIFE-3)", "LIFE-3", ("past_end",), None),
    ("K12", "not confirmed in time (LIFE-3)", "LIFE-3", ("due",), None),
    ("K13", "not funded to their planned end (COST-2)", "COST-2", (), None),
]


def _stock(rng: random.Random, count: int = 24, **more: Any) -> dict[str, Any]:
    devices = []
    for number in range(1, count + 1):
        base, prefix = rng.choice([("counter", "TRK"), ("bin", "AVF"), ("light", "LJU")])
        changes = {**STANDS, **rng.choice(SPOILT), **rng.choice(SPOILT)}
        changes |= {"/id": f"{prefix}-{number:04}", "/name": f"device {number}", "/batch": None}
        changes |= {"/identity/dev_eui": f"70b3d57ed{number:07x}", "/asset/id": f"ASSET-{rng.randint(1, 20)}"}
        changes |= {"/credentials/fingerprint": f"hmac:{number:032x}", "/location/lat": rng.uniform(59.33, 59.34)}
        changes |= {"/owner/org_id": rng.choice(["trafiknamnden", "exploateringsnamnden"])}
        devices.append(record(base, changes))
    return city(devices=devices, **more)


def _cells(snapshot: dict[str, Any], **more: Any) -> dict[tuple[str, str], Cell]:
    found = Snapshot.model_validate_json(json.dumps(snapshot))
    rules = guidelines(found.stock(), found.pack(), mode=Mode.AUDIT, now=NOW)
    report = kpi.make(rules, city="Lyktby", year=2026, by_owner=False, **more)
    return {(figure.id, cell.name): cell for figure in report.parts[0].figures for cell in figure.cells}


def _audit(snapshot: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    file = folder / "snapshot.json"
    file.write_text(json.dumps(snapshot))
    lykta("audit", "--snapshot", str(file), "--at", TODAY, "-o", "json")
    return {each["device_id"]: each for each in json.loads(capsys.readouterr().out)["devices"]}


def _broken(found: dict[str, Any], rule: str, *cases: str) -> bool:
    return any(
        each["rule_id"] == rule
        and each["status"] in {"fail", "unknown"}
        and (not cases or each["case"].partition(".")[0] in cases)
        for each in found["findings"]
    )


def test_the_figures_count_what_the_audit_finds(
    rng: random.Random, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot = _stock(rng)
    audit, cells = _audit(snapshot, tmp_path, capsys), _cells(snapshot)
    seen = 0
    for figure, name, rule, cases, stages in COUNTED:
        wanted = sum(
            _broken(audit[each["id"]], rule, *cases)
            for each in snapshot["devices"]
            if stages is None or each["lifecycle"]["stage"] in stages
        )
        assert cells[figure, name].value == wanted, (figure, name)
        seen += wanted
    assert seen > 5
    streams = len(snapshot["devices"])  # each has one
    for figure, name, rule in (
        ("K6", "streams through integration platforms only (PLAT-3)", "PLAT-3"),
        ("K10", "streams classified, and not too long ago (SEC-1)", "SEC-1"),
    ):
        wanted = streams - sum(_broken(audit[each["id"]], rule) for each in snapshot["devices"])
        assert (cells[figure, name].value, cells[figure, name].of) == (wanted, streams)
    verdicts = [audit[each["id"]]["verdict"] for each in snapshot["devices"]]
    assert cells["K10", "keep every rule that may block them"].value == verdicts.count("ok")
    clusters = {
        frozenset({each["id"], row["device_id"]})
        for each in snapshot["devices"]
        for finding in audit[each["id"]]["findings"]
        if finding["rule_id"] == "SHARE-3"
        for row in finding["rows"]
    }
    assert cells["K4", "devices in them"].value == len(frozenset().union(*clusters))


@pytest.mark.parametrize(
    ("old", "new", "figure", "name"),
    [
        ("max_age_days = 365.0", "max_age_days = 10.0", "K10", "streams classified, and not too long ago (SEC-1)"),
        ("confirm_months = 24.0", "confirm_months = 1.0", "K12", "not confirmed in time (LIFE-3)"),
        ('lidar = "possible"', 'lidar = "none"', "K11", "declared too low, or not at all (PRIV-1)"),
        ("interval_s = 3600.0", "interval_s = 1.0", "K7", "of these in real time, with an interface (OPEN-3)"),
        ("support_months = [12.0, 24.0]", "support_months = [500.0]", "K10", "support ends within 500 months"),
    ],
)
def test_a_number_of_the_pack_moves_the_figure(old: str, new: str, figure: str, name: str) -> None:
    snapshot = _stock(random.Random(1), 120)  # so many that each number decides about one of them
    changed = {**snapshot, "rulepack": rulepack(((old, new),))}
    before, after = _cells(snapshot), _cells(changed)
    assert (figure, name) not in before or before[figure, name].value != after[figure, name].value


def test_a_waiver_that_expired_counts_nowhere() -> None:
    """Golden case 13: check, audit, gateway and report alike."""
    changes = {**STANDS, "/id": "TRK-2041", "/cost/funding_until": "2029-12-31"}
    funding, waived = "not funded to their planned end (COST-2)", "waivers of COST-2"
    for ends, broken, used, refused in (("2026-12-20T00:00:00Z", 0, 1, 0), ("2026-11-21T00:00:00Z", 1, None, 1)):
        waiver = paper("waiver", {"/issued": "2026-05-01T00:00:00Z", "/expires": ends}, signature("owner"))
        cells = _cells(city(devices=[record("counter", changes)], waivers=[waiver]))
        assert cells["K13", funding].value == broken
        assert (cells["K10", waived].value if ("K10", waived) in cells else None) == used
        assert cells["K10", "waivers expired or not valid, with their rule broken (GOV-2)"].value == refused


@pytest.mark.parametrize(("expires", "open_"), [("2026-12-20T00:00:00Z", False), ("2026-11-21T00:00:00Z", True)])
def test_a_waiver_that_expired_does_not_count_at_a_gateway(expires: str, open_: bool) -> None:
    waiver = paper(
        "waiver",
        {"/rule_id": "PRIV-3", "/issued": "2026-05-01T00:00:00Z", "/expires": expires},
        signature("dpo"),
    )
    waiver["paper"]["approved_by"] = {"name": "Holder of dpo", "role": "dpo"}
    found = stock_of(devices=[record("counter", {**STANDS, "/id": "TRK-2041"})], waivers=[waiver])
    stock = found.stock()
    rules = guidelines(stock, found.pack(), mode=Mode.GATEWAY, now=NOW)
    device = stock.device("TRK-2041")
    assert device is not None
    heard = rules.evaluate(device, Observed("gw", device.dev_eui or "", fields=frozenset({"plate"})))
    assert [each.rule_id for each in heard.open if each.rule_id == "PRIV-3"] == (["PRIV-3"] if open_ else [])


def test_silence_is_what_the_rule_for_it_says() -> None:
    snapshot = city(
        devices=[
            record("light", {**STANDS, "/id": f"LJU-{number:04}", "/identity/dev_eui": f"70b3d57ed{number:07x}"})
            for number in range(1, 5)
        ]
    )
    now_s = NOW.timestamp()
    days = {1: 1, 2: 29.9, 3: 30.1}  # the fourth was never heard
    heard = Heard(
        {
            f"70b3d57ed{number:07x}": Delivery(100, 100, now_s - 200 * 86400, now_s - day * 86400)
            for number, day in days.items()
        },
        "a test",
    )
    name = "silent for 30 days (LIFE-6)"
    assert _cells(snapshot)["K12", name].value is None
    assert _cells(snapshot, heard=heard)["K12", name].value == 2
    later = {**snapshot, "rulepack": rulepack((("act_days = 30.0", "act_days = 40.0"),))}
    assert _cells(later, heard=heard)["K12", "silent for 40 days (LIFE-6)"].value == 1


def test_a_rule_that_the_pack_does_not_have_leaves_its_figure_empty() -> None:
    entry = '[rules."KPI-3"]\nseverity = "warn"\nask = ["owner"]\nsince = 2026-01-01\nnumbers = { max_months = 24.0 }\n'
    snapshot = city(devices=[record("counter", {**STANDS, "/id": "TRK-2041"})], rulepack=rulepack(((entry, ""),)))
    cell = _cells(snapshot)["K16", "Effect of projects"]
    assert cell.value is None
    assert "KPI-3" in cell.ask


def test_the_pictures_show_the_same_numbers(tmp_path: Path, rng: random.Random) -> None:
    found = Snapshot.model_validate_json(json.dumps(_stock(rng)))
    rules = guidelines(found.stock(), found.pack(), mode=Mode.AUDIT, now=NOW)
    report = kpi.make(rules, city="Lyktby", year=2026, by_owner=False)
    by_id = {figure.id: figure for figure in report.parts[0].figures}
    for path in pictures.draw(report, tmp_path):
        text = path.read_text(encoding="utf-8")
        for name, value in by_id[path.stem].details.items():
            assert name[:20] in text, (path.stem, name)
            assert pictures.shown(value) in text
    assert by_id["K10"].details


def test_report_duplicates_is_the_same_answer(rng: random.Random) -> None:
    found = Snapshot.model_validate_json(json.dumps(_stock(rng)))
    rules = guidelines(found.stock(), found.pack(), mode=Mode.AUDIT, now=NOW)
    alone = duplicates.of_city(rules)
    assert len(alone) == _cells(found.model_dump(mode="json", exclude_none=True))["K4", "clusters"].value
    for cluster in alone:
        assert len(cluster.owners) > 1


def test_no_report_holds_a_limit_of_its_own() -> None:
    """A number that decides something lives in the rule pack: in the reports stand none but 0, 1, 100 and units."""
    units = {1000, 3600, 86400}
    for path in sorted((ROOT / "provisioning" / "reports").glob("figures*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare):
                for each in ast.walk(node):
                    if isinstance(each, ast.Constant) and isinstance(each.value, (int, float)):
                        assert each.value in {0, 1, 2, 100} | units, (path.name, node.lineno, each.value)
    assert set(MAKERS) == {f"K{number}" for number in range(1, 17)}


def test_a_dialogue_ends_for_the_list_as_for_the_rule() -> None:
    from provisioning.guidelines.deadlines import paper_end
    from provisioning.guidelines.pack import proposed

    dialogue = paper("dialogue", {}, signature())
    found = stock_of(dialogues=[dialogue]).stock().dialogues()[0].paper
    assert paper_end(found, proposed()) <= found.issued + timedelta(days=366)
