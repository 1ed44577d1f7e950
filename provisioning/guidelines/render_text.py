# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Findings for a technician: what is wrong, the actual value, why it is a rule, the next command, whom to ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from provisioning.guidelines import pack as packs
from provisioning.guidelines.findings import Evaluation, Finding, Severity
from provisioning.guidelines.groups import Group, Groups, Totals
from provisioning.guidelines.texts import ERROR_CASE, Language, case_text, fill, printable, shown, text_of

if TYPE_CHECKING:
    from provisioning.guidelines.pack import Pack
    from provisioning.guidelines.signed_pack import Trust

_WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "sv": {
        "block": "STOPP", "approve": "BESLUT", "warn": "VARNING", "info": "INFO", "waived": "DISPENS",
        "approved": "GODKÄND", "pass": "OK", "record": "post", "found": "fynd", "why": "varför", "do": "gör",
        "ask": "fråga", "grace": "anstånd till", "settled": "genom", "more": "till", "devices": "poster",
        "ok": "godkänd", "blocked": "stoppad", "needs_approval": "kräver beslut", "stale": "behövs inte",
        "or": "eller", "and": "och", "write": "skriv i posten:", "not_applicable": "GÄLLER EJ",
        "lacks": "saknar", "interval": "intervall", "accuracy": "noggrannhet", "availability": "tillgänglighet",
        "lifetime": "återstående tid", "good": "passar", "partial": "passar delvis",
    },
    "en": {
        "block": "BLOCK", "approve": "APPROVE", "warn": "WARN", "info": "INFO", "waived": "WAIVED",
        "approved": "APPROVED", "pass": "PASS", "record": "record", "found": "found", "why": "why", "do": "do",
        "ask": "ask", "grace": "grace until", "settled": "by", "more": "more", "devices": "records",
        "ok": "ok", "blocked": "blocked", "needs_approval": "needs approval", "stale": "not needed",
        "or": "or", "and": "and", "write": "write into the record:", "not_applicable": "N/A",
        "lacks": "lacks", "interval": "interval", "accuracy": "accuracy", "availability": "availability",
        "lifetime": "time left", "good": "fits", "partial": "fits in part",
    },
}  # fmt: skip
_TALLY: Final[Mapping[Language, str]] = {
    "sv": "{passed} godkända, {blocked} stopp, {needs_approval} kräver beslut, {warnings} varningar, "
    "{in_grace} med anstånd, {waived} med dispens, {approved} med beslut, {not_applicable} gäller ej",
    "en": "{passed} passed, {blocked} blocked, {needs_approval} need approval, {warnings} warnings, "
    "{in_grace} in grace, {waived} waived, {approved} approved, {not_applicable} not applicable",
}
_MAX_ROWS: Final = 10


@dataclass(frozen=True, slots=True)
class Frame:
    """What an evaluation was made with."""

    pack: Pack
    trust: Trust
    revision: int
    as_of: datetime
    now: datetime

    @property
    def age_h(self) -> float:
        """Hours since the register said what was used."""
        return max(0.0, (self.now - self.as_of).total_seconds() / 3600)


def message(finding: Finding, language: Language) -> str:
    """What is wrong, in a sentence."""
    if finding.hit is None:
        return text_of(finding.rule_id).title.get(language)
    return fill(case_text(finding.rule_id, finding.hit.case).get(language), finding.hit.values, language)


def remedies(finding: Finding) -> list[str]:
    """Lines to write into the record, and commands to run."""
    if finding.hit is None or finding.hit.case == ERROR_CASE:
        return []
    values = {"id": finding.device_id, **finding.hit.values}
    lines = [fill(line, values, "en") for line in text_of(finding.rule_id).do]
    word = _paper_that_helps(finding)
    if word is not None:
        lines.append(f"lykta {word} sign {word.upper()}.toml --as ID --key FILE --out {word.upper()}.cose")
    return lines


def _paper_that_helps(finding: Finding) -> str | None:
    if not finding.open:
        return None
    if finding.severity is Severity.APPROVE and finding.who_can_approve:
        return "approval"
    return "waiver" if finding.waiver_possible and finding.severity is Severity.BLOCK else None


def whom_to_ask(finding: Finding, pack: Pack, language: Language) -> str:
    """Who decides, or who knows."""
    words = _WORDS[language]
    alternatives = finding.who_can_approve or ((finding.ask,) if finding.ask else ())
    named = (f" {words['and']} ".join(_role(pack, role, language) for role in each) for each in alternatives)
    return f" {words['or']} ".join(named)


def _role(pack: Pack, role: str, language: Language) -> str:
    text = pack.roles.get(role)
    return role if text is None else (text.sv if language == "sv" else text.en)


def report(
    evaluations: Iterable[Evaluation], frame: Frame, language: Language, *, everything: bool = False
) -> Iterator[str]:
    """The whole text, line by line: what it was made with, each finding, the tally. Holds no evaluation for long."""
    yield from frame_lines(frame, language)
    yield ""
    groups, totals, stale = _groups(language, everything=everything), Totals(), []
    for each in evaluations:
        groups.add(each)
        totals.add(each)
        stale += [f"{each.subject}: {waiver} {_WORDS[language]['stale']}" for waiver in each.stale_waivers]
    yield from _group_lines(groups, language, frame.pack)
    yield from stale
    yield from verdict_lines(totals, language)


def frame_lines(frame: Frame, language: Language) -> list[str]:
    """With which rules and data of what age."""
    header = frame.pack.pack
    age = shown(round(frame.age_h / 24, 1) if frame.age_h >= 48 else round(frame.age_h, 1), language)
    if language == "sv":
        by = f"antaget: {header.adopted_by}" if header.adopted_by else "ett förslag, antaget av ingen"
        unit = "dygn" if frame.age_h >= 48 else "timmar"
        return [
            f"Regelpaket {header.version} ({header.source}; {by}).",
            f"Registret som det var {frame.as_of:%Y-%m-%d %H:%M} UTC, {age} {unit} gammalt, revision {frame.revision}.",
        ]
    by = f"adopted: {header.adopted_by}" if header.adopted_by else "a proposal, adopted by nobody"
    unit = "days" if frame.age_h >= 48 else "hours"
    return [
        f"Rule pack {header.version} ({header.source}; {by}).",
        f"The register as it was on {frame.as_of:%Y-%m-%d %H:%M} UTC, {age} {unit} old, revision {frame.revision}.",
    ]


def verdict_lines(totals: Totals, language: Language) -> list[str]:
    """Verdict and tally of all records together."""
    words = _WORDS[language]
    if not totals.count:
        return []
    counts = [f"{count} {words[verdict]}" for verdict, count in sorted(totals.verdicts.items())]
    told = f"{totals.count} {words['devices']}: {', '.join(counts)}"
    if totals.count == 1:
        told = f"{totals.subject}: {words[next(iter(totals.verdicts))]}"
    return [printable(told), fill(_TALLY[language], totals.tally, language)]


def findings_lines(evaluations: Iterable[Evaluation], language: Language, pack: Pack | None = None) -> list[str]:
    """The findings; those that say the same of several records are one."""
    groups = _groups(language, everything=False)
    for each in evaluations:
        groups.add(each)
    return list(_group_lines(groups, language, pack or packs.proposed()))


def _groups(language: Language, *, everything: bool) -> Groups:
    return Groups(lambda finding: message(finding, language), everything=everything)


def _group_lines(groups: Groups, language: Language, pack: Pack) -> Iterator[str]:
    for group in groups.found.values():
        yield from _block(group, language, pack)
        yield ""


def _block(group: Group, language: Language, pack: Pack) -> list[str]:
    words, first = _WORDS[language], group.first
    text = text_of(first.rule_id)
    lines = [f"{_heading(first, words):<8} {first.rule_id:<9} {text.title.get(language)}"]
    where = "" if first.hit is None else first.hit.field
    lines.append(_line(words["record"], f"{_subjects(group, words)}  {where}".rstrip()))
    if first.hit is None:
        if first.settled_by:
            lines.append(_line(words["settled"], ", ".join(first.settled_by)))
        return lines
    more = f" (+{len(group.told) - 1} {words['more']})" if len(group.told) > 1 else ""
    lines.append(_line(words["found"], f"{message(first, language)}{more}"))
    lines += _rows(first.hit.rows, words)
    if first.settled_by:
        lines.append(_line(words["settled"], ", ".join(first.settled_by)))
    if first.grace_until is not None:
        lines.append(_line(words["grace"], first.grace_until.isoformat()))
    if not first.open:
        return lines
    lines.append(_line(words["why"], f"{text.why.get(language)} ({text.source})"))
    lines += [_line(words["do"] if not index else "", line) for index, line in enumerate(_do(first, words))]
    asked = whom_to_ask(first, pack, language)
    return [*lines, _line(words["ask"], asked)] if asked else lines


def _do(finding: Finding, words: Mapping[str, str]) -> Iterable[str]:
    for line in remedies(finding):
        yield line if line.startswith("lykta ") else f"{words['write']} {line}"


def _heading(finding: Finding, words: Mapping[str, str]) -> str:
    if finding.open:
        return words[finding.weight if finding.grace_until is not None else finding.severity]
    return words[finding.status]


def _subjects(group: Group, words: Mapping[str, str]) -> str:
    told = ", ".join(group.names)
    more = f" (+{group.count - len(group.names)} {words['more']})" if group.count > len(group.names) else ""
    return f"{group.count} {words['devices']}: {told}{more}" if group.count > 1 else told


def _rows(rows: Sequence[Mapping[str, object]], words: Mapping[str, str]) -> Iterable[str]:
    for row in rows[:_MAX_ROWS]:
        lacks = row.get("lacks")
        fit = words.get(str(row.get("fit")), "")
        if isinstance(lacks, list) and lacks:
            fit += f" ({words['lacks']}: {', '.join(words.get(each, each) for each in lacks)})"
        told = f"{row.get('device_id') or '–'}  {row.get('distance_m')} m  {row.get('owner') or '–'}  {fit}"
        yield _line("", told.rstrip())
    if len(rows) > _MAX_ROWS:
        yield _line("", f"+{len(rows) - _MAX_ROWS} {words['more']}")


def _line(label: str, text: str) -> str:
    return f"  {label:<7} {printable(text)}".rstrip()


def is_serious(finding: Finding) -> bool:
    """Whether a finding keeps a record from being approved today."""
    return finding.open and finding.weight in {Severity.BLOCK, Severity.APPROVE}
