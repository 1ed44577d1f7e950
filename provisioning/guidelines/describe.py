# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The rules for people to read: a list, an explanation of one, a page, and what a new pack changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from provisioning.guidelines.engine import rules_in_force, severity_of, sort_key
from provisioning.guidelines.errors import UnknownRule
from provisioning.guidelines.findings import Mode
from provisioning.guidelines.rules import all_rules
from provisioning.guidelines.texts import Language, all_texts, text_of

if TYPE_CHECKING:
    from provisioning.guidelines.pack import Pack, RuleEntry

_MODES = {Mode.CHECK: "check", Mode.REGISTER: "register", Mode.AUDIT: "audit", Mode.GATEWAY: "gateway"}


def heading(pack: Pack, language: Language) -> str:
    """What the pack is, in a line."""
    header = pack.pack
    if language == "sv":
        by = f"antaget: {header.adopted_by}" if header.adopted_by else "ett förslag, antaget av ingen"
        return f"regelpaket {header.version}, {len(pack.rules)} regler, läst ur {header.source}; {by}"
    by = f"adopted: {header.adopted_by}" if header.adopted_by else "a proposal, adopted by nobody"
    return f"rule pack {header.version}, {len(pack.rules)} rules, read from {header.source}; {by}"


def _ids(pack: Pack) -> list[str]:
    return sorted(pack.rules, key=sort_key)


def _deciders(entry: RuleEntry) -> str:
    return " or ".join("+".join(alternative) for alternative in entry.approvers)


def _waiver(entry: RuleEntry) -> str:
    if not entry.waivable:
        return "none"
    only = f" ({', '.join(entry.waivable_cases)})" if entry.waivable_cases else ""
    return f"{entry.max_waiver_days} d{only}"


def _severities(rule_id: str, entry: RuleEntry) -> str:
    found = {severity_of(entry, case) for case in (*text_of(rule_id).cases, *entry.cases)}
    order = ("block", "approve", "warn", "info")
    return "/".join(each for each in order if each in found)


def rows(pack: Pack, language: Language) -> list[list[str]]:
    """A line per rule."""
    return [
        [
            rule_id,
            _severities(rule_id, pack.rules[rule_id]),
            _waiver(pack.rules[rule_id]),
            _deciders(pack.rules[rule_id]),
            text_of(rule_id).title.get(language),
        ]
        for rule_id in _ids(pack)
    ]


def as_list(pack: Pack, language: Language) -> list[dict[str, Any]]:
    """Everything about every rule, for programs."""
    return [_as_dict(rule_id, pack, language) for rule_id in _ids(pack)]


def _as_dict(rule_id: str, pack: Pack, language: Language) -> dict[str, Any]:
    text, entry = text_of(rule_id), pack.rules[rule_id]
    return {
        "rule_id": rule_id,
        "rulepack_version": pack.version,
        "title": text.title.get(language),
        "why": text.why.get(language),
        "source": text.source,
        "severity": entry.severity,
        "cases": {case: severity_of(entry, case) for case in text.cases},
        "approvers": entry.approvers,
        "ask": entry.ask,
        "waivable": entry.waivable,
        "max_waiver_days": entry.max_waiver_days if entry.waivable else None,
        "since": entry.since.isoformat(),
        "numbers": entry.numbers,
        "remedy": text.do,
        "modes": sorted(_MODES[each] for each in all_rules()[rule_id].modes),
    }


def explain(rule_id: str, pack: Pack, language: Language) -> Iterator[str]:
    """A rule in some lines. Raises UnknownRule."""
    text = text_of(rule_id)
    if rule_id not in pack.rules:
        raise UnknownRule("This rule is not in force.", value=f"{rule_id}, rule pack {pack.version}")
    entry, rule = pack.rules[rule_id], all_rules()[rule_id]
    yield f"{rule_id}  {text.title.get(language)}"
    yield f"  {text.why.get(language)}"
    yield f"  source    {text.source}"
    yield f"  asked by  {', '.join(sorted(_MODES[each] for each in rule.modes))}"
    yield f"  since     {entry.since.isoformat()}"
    if entry.approvers:
        yield f"  decides   {_deciders(entry)}"
    yield f"  waiver    {_waiver(entry)}"
    for name, value in sorted(entry.numbers.items()):
        yield f"  number    {name} = {value:g}"
    for case, message in text.cases.items():
        yield f"  {severity_of(entry, case):<8}  {case}: {message.get(language)}"
        for variant in (each for each in entry.cases if each.startswith(f"{case}.")):
            yield f"  {entry.cases[variant]:<8}  {variant}"
    for line in text.do:
        yield f"  do        {line}"


def diff(old: Pack, new: Pack) -> list[str]:
    """What another pack changes, one change a line."""
    rules_in_force(new)
    before, after = _flat(old.model_dump(mode="json"), ""), _flat(new.model_dump(mode="json"), "")
    lines = []
    for key in sorted(before.keys() | after.keys()):
        if key not in before:
            lines.append(f"+ {key} = {after[key]}")
        elif key not in after:
            lines.append(f"- {key} = {before[key]}")
        elif before[key] != after[key]:
            lines.append(f"~ {key}: {before[key]} -> {after[key]}")
    return lines


def _flat(value: Any, path: str) -> dict[str, Any]:
    if isinstance(value, dict):
        inner = ((f"{path}.{name}" if path else str(name), each) for name, each in value.items())
    elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        inner = ((f"{path}[{each.get('name') or each.get('id')}]", each) for each in value)
    else:
        return {path: value}
    return {key: leaf for name, each in inner for key, leaf in _flat(each, name).items()}


def page(pack: Pack) -> str:
    """The page docs/rules.md: made from the rules, their texts and the pack that comes with the program."""
    all_texts()
    lines = [
        "<!-- SPDX-FileCopyrightText: 2026 The Lykta developers -->",
        "<!-- SPDX-License-Identifier: Apache-2.0 -->",
        "<!-- Made by `lykta rules page`; tests/test_guidelines_pages.py fails when it is stale. -->",
        "",
        "# The rules",
        "",
        f"Rule pack {pack.version}: {len(pack.rules)} rules, a reading of Stockholm's strategy of 2017 and of the law.",
        "Every number and every weight in it is a proposal that no city has adopted; they are data, in",
        "[a file](../provisioning/guidelines/packs/strategy-2017.toml) that a city changes and signs without a build:",
        "`lykta rules export`, `sign`, `install`, `diff`. [How to add a rule](adding-a-rule.md).",
        "",
        "`block` stops a record from being approved, `approve` asks for a decision, `warn` and `info` tell. In",
        "brackets: how long a waiver may last. `lykta rules explain RULE` says the same in Swedish or English.",
    ]
    group = ""
    for rule_id in _ids(pack):
        if rule_id.partition("-")[0] != group:
            group = rule_id.partition("-")[0]
            lines += ["", f"## {group}"]
        lines += ["", *_section(rule_id, pack)]
    return "\n".join(lines) + "\n"


def _section(rule_id: str, pack: Pack) -> Iterator[str]:
    text, entry, rule = text_of(rule_id), pack.rules[rule_id], all_rules()[rule_id]
    yield f"### {rule_id} {text.title.en} ({text.title.sv})"
    yield ""
    yield f"{text.why.en} *{text.source}.*"
    yield ""
    decides = f"; {_deciders(entry)} may decide" if entry.approvers else ""
    waiver = f" (waiver: {_waiver(entry)})" if entry.waivable else ""
    where = (
        "" if Mode.CHECK in rule.modes else f" Asked by {', '.join(sorted(_MODES[each] for each in rule.modes))} only."
    )
    numbers = "".join(f", {name} = {value:g}" for name, value in sorted(entry.numbers.items()))
    yield f"**{_severities(rule_id, entry)}**{decides}{waiver}{numbers}.{where}"
    yield ""
    for case, message in text.cases.items():
        yield f"- `{severity_of(entry, case)}` {message.en} / {message.sv}"
