# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Findings for programs: JSON, SARIF 2.1.0 (OASIS), JUnit XML, CSV. Written as they come: a city may be large."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from provisioning.guidelines.findings import Evaluation, Finding, Severity, Status, Worst
from provisioning.guidelines.render_text import Frame, message, remedies, report
from provisioning.guidelines.texts import Language, printable, text_of

_LEVELS: Final = {Severity.BLOCK: "error", Severity.APPROVE: "error", Severity.WARN: "warning", Severity.INFO: "note"}
_KINDS: Final = {Status.PASS: "pass", Status.NOT_APPLICABLE: "notApplicable"}
_SARIF_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_QUIET: Final = frozenset({Status.PASS, Status.NOT_APPLICABLE})


def _shown(finding: Finding, *, everything: bool) -> bool:
    return everything or finding.status not in _QUIET or bool(finding.evidence)


def as_dict(finding: Finding, language: Language) -> dict[str, Any]:
    """A finding with everything that the catalogue asks for (guidelines 2.1)."""
    hit = finding.hit
    found: dict[str, Any] = {
        "rule_id": finding.rule_id,
        "rulepack_version": finding.rulepack_version,
        "severity": finding.severity,
        "status": finding.status,
        "device_id": finding.device_id,
        "field": None if hit is None else hit.field,
        "case": None if hit is None else hit.case,
        "observed": None if hit is None else hit.observed,
        "required": None if hit is None else hit.required,
        "message": message(finding, language),
        "remedy": remedies(finding),
        "who_can_approve": finding.who_can_approve,
        "ask": finding.ask,
        "waiver_possible": finding.waiver_possible,
        "source": text_of(finding.rule_id).source,
        "evidence_hash": finding.evidence_hash,
    }
    if hit is not None and hit.rows:
        found["rows"] = [dict(row) for row in hit.rows]
    if finding.grace_until is not None:
        found["grace_until"] = finding.grace_until
    if finding.settled_by:
        found["settled_by"] = finding.settled_by
    if finding.evidence:
        found["evidence"] = dict(finding.evidence)
    return found


def _evaluation(each: Evaluation, language: Language, *, everything: bool) -> dict[str, Any]:
    shown = [finding for finding in each.findings if _shown(finding, everything=everything)]
    return {
        "device_id": each.subject,
        "verdict": each.verdict,
        "tally": each.tally,
        "findings": [as_dict(finding, language) for finding in shown],
        "stale_waivers": each.stale_waivers,
    }


def as_json(
    evaluations: Iterable[Evaluation], frame: Frame, language: Language, *, everything: bool = False
) -> Iterator[str]:
    """One JSON document. The exit code stands last: it is that of all devices."""
    header = frame.pack.pack
    worst = Worst()
    document = {
        "rulepack": {
            "version": header.version,
            "source": header.source,
            "status": header.status,
            "adopted_by": header.adopted_by,
            "signature": frame.trust.problem or "valid",
        },
        "register": {"revision": frame.revision, "as_of": frame.as_of.isoformat(), "age_s": round(frame.age_h * 3600)},
        "evaluated_at": frame.now.isoformat(),
    }
    yield f'{_dumps(document).removesuffix("}").rstrip()},\n  "devices": [\n'
    yield from _listed(_evaluation(each, language, everything=everything) for each in worst.watch(evaluations))
    yield f'\n  ],\n  "mode": {_dumps(worst.mode)},\n  "exit_code": {worst.exit_code()}\n}}\n'


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def _listed(values: Iterable[object]) -> Iterator[str]:
    """The items of a JSON array."""
    before = ""
    for each in values:
        yield before + textwrap.indent(_dumps(each), "    ")
        before = ",\n"


def as_sarif(
    evaluations: Iterable[Evaluation], frame: Frame, language: Language, *, everything: bool = False
) -> Iterator[str]:
    """A SARIF log with one run; a waived finding is a suppressed result."""
    ids, worst = list(frame.pack.rules), Worst()
    driver = {
        "name": "lykta",
        "semanticVersion": "0.1.0",
        "rules": [_descriptor(rule_id, frame, language) for rule_id in ids],
        "properties": {"rulepack": frame.pack.version, "adopted_by": frame.pack.pack.adopted_by},
    }
    yield f'{{\n"$schema": {_dumps(_SARIF_SCHEMA)},\n"version": "2.1.0",\n"runs": [{{\n'
    yield f'"tool": {_dumps({"driver": driver})},\n"language": {_dumps(language)},\n"results": [\n'
    yield from _listed(
        _result(finding, ids, language)
        for each in worst.watch(evaluations)
        for finding in each.findings
        if _shown(finding, everything=everything)
    )
    invocation = {
        "executionSuccessful": True,
        "exitCode": worst.exit_code(),
        "endTimeUtc": frame.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    yield f'\n],\n"invocations": {_dumps([invocation])}\n}}]\n}}\n'


def _descriptor(rule_id: str, frame: Frame, language: Language) -> dict[str, Any]:
    text, entry = text_of(rule_id), frame.pack.rules[rule_id]
    return {
        "id": rule_id,
        "shortDescription": {"text": text.title.get(language)},
        "fullDescription": {"text": text.why.get(language)},
        "help": {"text": f"{text.source}\n" + "\n".join(text.do)},
        "defaultConfiguration": {"level": _LEVELS[entry.severity]},
        "properties": {"severity": entry.severity, "approvers": entry.approvers},
    }


def _result(finding: Finding, ids: list[str], language: Language) -> dict[str, Any]:
    kind = _KINDS.get(finding.status, "fail")
    place = finding.device_id if finding.hit is None else f"{finding.device_id}{finding.hit.field}"
    result: dict[str, Any] = {
        "ruleId": finding.rule_id,
        "ruleIndex": ids.index(finding.rule_id),
        "kind": kind,
        "level": _LEVELS[finding.weight] if kind == "fail" else "none",
        "message": {"text": message(finding, language)},
        "locations": [
            {"logicalLocations": [{"name": finding.device_id, "fullyQualifiedName": place, "kind": "object"}]}
        ],
        "partialFingerprints": {"evidence/v1": finding.evidence_hash},
        "properties": as_dict(finding, language),
    }
    if finding.status in {Status.WAIVED, Status.APPROVED}:
        by = ", ".join(finding.settled_by)
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": f"{finding.status}: {by}"}
        ]
    return result


def as_junit(
    evaluations: Iterable[Evaluation], frame: Frame, language: Language, *, everything: bool = False
) -> Iterator[str]:
    """JUnit XML: a suite per record, a case per rule. Warnings are output; waived and approved ones are skipped."""
    del everything  # a test report counts what passed
    name = quoteattr(_xml(f"lykta {frame.pack.version}"))
    yield f'<?xml version="1.0" encoding="utf-8"?>\n<testsuites name={name}>\n'
    for each in evaluations:
        by_rule: dict[str, list[Finding]] = {}
        for finding in each.findings:
            by_rule.setdefault(finding.rule_id, []).append(finding)
        suite = ET.Element("testsuite", name=_xml(each.subject), tests=str(len(by_rule)))
        counts = {"failures": 0, "skipped": 0}
        for rule_id, findings in by_rule.items():
            _test_case(suite, each.subject, rule_id, findings, language, counts)
        for name, count in counts.items():
            suite.set(name, str(count))
        suite.set("errors", "0")
        yield ET.tostring(suite, encoding="unicode") + "\n"
    yield "</testsuites>\n"


def _test_case(
    suite: ET.Element,
    subject: str,
    rule_id: str,
    findings: Sequence[Finding],
    language: Language,
    counts: dict[str, int],
) -> None:
    case = ET.SubElement(suite, "testcase", classname=_xml(subject), name=rule_id)
    serious = [each for each in findings if each.open and each.weight in {Severity.BLOCK, Severity.APPROVE}]
    if serious:
        told = [_xml(message(each, language)) for each in serious]
        failure = ET.SubElement(case, "failure", type=serious[0].severity, message=told[0])
        failure.text = "\n".join([*told, *(_xml(line) for line in remedies(serious[0]))])
        counts["failures"] += 1
        return
    light = [each for each in findings if each.open]
    if light:
        ET.SubElement(case, "system-out").text = "\n".join(_xml(message(each, language)) for each in light)
    settled = [each for each in findings if each.status in {Status.WAIVED, Status.APPROVED, Status.NOT_APPLICABLE}]
    if settled and not light:
        by = ", ".join(settled[0].settled_by)
        ET.SubElement(case, "skipped", message=_xml(f"{settled[0].status} {by}".strip()))
        counts["skipped"] += 1


def _xml(text: str) -> str:
    return printable(text)


def as_csv(
    evaluations: Iterable[Evaluation], frame: Frame, language: Language, *, everything: bool = False
) -> Iterator[str]:
    """One line per finding. A cell never begins as a formula would."""
    del frame
    names = ("device_id", "verdict", "rule_id", "severity", "status", "field", "observed", "required", "message")
    more = ("remedy", "who_can_approve", "settled_by", "grace_until", "source", "rulepack_version", "evidence_hash")
    yield _csv_line([*names, *more])
    for each in evaluations:
        for finding in each.findings:
            if _shown(finding, everything=everything):
                cells = {**as_dict(finding, language), "verdict": each.verdict}
                yield _csv_line([_cell(cells.get(name)) for name in (*names, *more)])


def _csv_line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        parts = ("+".join(part) if isinstance(part, tuple) else str(part) for part in value)
        text = " | ".join(parts)
    elif isinstance(value, Mapping):
        text = json.dumps(value, ensure_ascii=False, default=str)
    else:
        text = str(value)
    text = printable(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text


def as_text(
    evaluations: Iterable[Evaluation], frame: Frame, language: Language, *, everything: bool = False
) -> Iterator[str]:
    """For people."""
    for line in report(evaluations, frame, language, everything=everything):
        yield f"{line}\n"


Renderer = Callable[..., Iterator[str]]
RENDERERS: Final[Mapping[str, Renderer]] = {
    "text": as_text,
    "json": as_json,
    "sarif": as_sarif,
    "junit": as_junit,
    "csv": as_csv,
}
