# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What an evaluation says: one result per rule and device, and a verdict over them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as each_its_own
from datetime import date, datetime
from enum import StrEnum


class Severity(StrEnum):
    """How much a rule weighs; it follows the verb of the strategy's text."""

    BLOCK = "block"
    APPROVE = "approve"
    WARN = "warn"
    INFO = "info"


class Status(StrEnum):
    """The outcome of one rule on one record."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    WAIVED = "waived"
    APPROVED = "approved"
    NOT_APPLICABLE = "not_applicable"
    UNKNOWN = "unknown"
    """Input is missing. It counts as a failure: the rules fail closed."""


class Verdict(StrEnum):
    """What all rules together say of a record."""

    OK = "ok"
    NEEDS_APPROVAL = "needs_approval"
    BLOCKED = "blocked"


class Mode(StrEnum):
    """Who asks. The rules are the same; some apply only where there is something to see."""

    CHECK = "check"
    REGISTER = "register"
    AUDIT = "audit"
    GATEWAY = "gateway"


EXIT_CODES: Mapping[Verdict, int] = {Verdict.OK: 0, Verdict.BLOCKED: 1, Verdict.NEEDS_APPROVAL: 2}
EXIT_WARNINGS = 3
EXIT_USAGE = 64
_OPEN = frozenset({Status.FAIL, Status.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that a rule found. `case` names the message; `values` fill it in."""

    case: str
    field: str
    """JSON pointer into the record (RFC 6901)."""
    observed: object = None
    required: object = None
    values: Mapping[str, object] = each_its_own(default_factory=dict)
    unknown: bool = False
    """The input was missing, so that nothing could be decided."""
    rows: tuple[Mapping[str, object], ...] = ()
    """What was found, item by item: the candidates of a search."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says of one record; several hits of one rule are several findings."""

    rule_id: str
    rulepack_version: str
    severity: Severity
    status: Status
    device_id: str
    hit: Hit | None = None
    who_can_approve: tuple[tuple[str, ...], ...] = ()
    """Alternatives; the roles of one alternative decide together."""
    ask: tuple[str, ...] = ()
    waiver_possible: bool = False
    grace_until: date | None = None
    """A device that was installed before the rule came has until then; it is warned meanwhile."""
    settled_by: tuple[str, ...] = ()
    """Ids of the waivers, approvals or dialogues that settled it."""
    evidence: Mapping[str, object] = each_its_own(default_factory=dict)
    """What a rule looked at and wants kept, also when it passed."""

    @property
    def open(self) -> bool:
        """Whether it still asks somebody to do something."""
        return self.status in _OPEN

    @property
    def weight(self) -> Severity:
        """The severity that counts today: one in grace is a warning."""
        return Severity.WARN if self.grace_until is not None and self.open else self.severity

    @property
    def evidence_hash(self) -> str:
        """SHA-256 over what was found: two runs that found the same say the same."""
        hit = self.hit
        found: list[object] = [self.rule_id, self.rulepack_version, self.device_id, self.status]
        found.append({name: value for name, value in self.evidence.items() if name != "time"})
        if hit is not None:
            found += [hit.case, hit.field, hit.observed, hit.required, [dict(row) for row in hit.rows]]
        return hashlib.sha256(json.dumps(found, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything the rules say of one record."""

    subject: str
    """Id of the device, or of the organisation."""
    rulepack_version: str
    evaluated_at: datetime
    mode: Mode
    findings: tuple[Finding, ...]
    stale_waivers: tuple[str, ...] = ()
    """Waivers that suppress nothing."""
    counted: Mapping[str, int] | None = None
    """The tally, where findings that ask for nothing were left out."""

    @property
    def verdict(self) -> Verdict:
        """`blocked`, else `needs_approval`, else `ok`."""
        weights = {each.weight for each in self.findings if each.open}
        if Severity.BLOCK in weights:
            return Verdict.BLOCKED
        return Verdict.NEEDS_APPROVAL if Severity.APPROVE in weights else Verdict.OK

    @property
    def open(self) -> tuple[Finding, ...]:
        """The findings that ask for something."""
        return tuple(each for each in self.findings if each.open)

    @property
    def tally(self) -> dict[str, int]:
        """How many passed, failed, and were waived or approved; waived ones never hide among the passed."""
        if self.counted is not None:
            return dict(self.counted)
        counted = Counter(_tally_name(each) for each in self.findings)
        names = ("passed", "blocked", "needs_approval", "warnings", "info", "in_grace", "waived", "approved")
        return {name: counted[name] for name in (*names, "not_applicable")}

    def brief(self) -> Evaluation:
        """The same without what passed: an audit of a whole city has to fit into memory."""
        quiet = {Status.PASS, Status.NOT_APPLICABLE}
        kept = tuple(each for each in self.findings if each.status not in quiet)
        return replace(self, findings=kept, counted=self.tally)

    def under(self, name: str) -> Evaluation:
        """The same under another name, for who has none of its own yet."""
        return replace(self, subject=name, findings=tuple(replace(each, device_id=name) for each in self.findings))

    def exit_code(self, *, strict: bool = False) -> int:
        """0 ok, 1 blocked, 2 needs approval; 3 where `strict` and there are warnings."""
        worst = Worst()
        for _each in worst.watch([self]):
            pass
        return worst.exit_code(strict=strict)


class Worst:
    """The exit code of many evaluations, one after the other."""

    def __init__(self) -> None:
        self._verdicts: set[Verdict] = set()
        self._warned = False
        self.mode: Mode | None = None

    def watch(self, evaluations: Iterable[Evaluation]) -> Iterator[Evaluation]:
        """Pass evaluations on, and remember the worst."""
        for each in evaluations:
            self.mode = each.mode
            self._verdicts.add(each.verdict)
            self._warned = self._warned or any(finding.weight is Severity.WARN for finding in each.open)
            yield each

    def exit_code(self, *, strict: bool = False) -> int:
        """Of what has passed so far."""
        for verdict in (Verdict.BLOCKED, Verdict.NEEDS_APPROVAL):
            if verdict in self._verdicts:
                return EXIT_CODES[verdict]
        return EXIT_WARNINGS if strict and self._warned else 0


def _tally_name(finding: Finding) -> str:
    if finding.open:
        if finding.grace_until is not None:
            return "in_grace"
        names = {Severity.BLOCK: "blocked", Severity.APPROVE: "needs_approval", Severity.WARN: "warnings"}
        return names.get(finding.severity, "info")
    return "passed" if finding.status is Status.PASS else finding.status.value
