# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The one evaluation: check, registration, audit, gateway and reports all ask it, with the same rules and waivers."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from provisioning.guidelines import ask, signed_pack, waivers
from provisioning.guidelines.errors import PackError
from provisioning.guidelines.findings import Evaluation, Finding, Hit, Mode, Severity, Status
from provisioning.guidelines.rule import Answer, Case, OrganisationCase, Rule, check_numbers
from provisioning.guidelines.rules import all_rules
from provisioning.guidelines.texts import ERROR_CASE, all_texts

if TYPE_CHECKING:
    from provisioning.guidelines.observed import Observed
    from provisioning.guidelines.pack import Pack, RuleEntry
    from provisioning.guidelines.signed_pack import LoadedPack, Trust
    from provisioning.guidelines.waivers import Weighed
    from provisioning.model.device import DeviceRecord
    from provisioning.model.organisations import Organisation
    from provisioning.model.stock import Stock

ORDER: Final = (
    "OWN", "GOV", "LIFE", "COST", "SEC", "PRIV", "SHARE", "PLAT", "NET", "STD", "MOD", "AGR", "OPEN", "RADIO", "KPI",
)  # fmt: skip
"""Of evaluation and of reading (guidelines 2.15); groups that are not here come last."""
ENDED: Final = frozenset({"retired", "disposed"})
_EXPIRED: Final = "expired"
_log = logging.getLogger("lykta.guidelines")


@dataclass(frozen=True, slots=True)
class Guidelines:
    """The rules as they stand at one moment, over one stock."""

    stock: Stock
    pack: Pack
    trust: Trust
    now: datetime
    mode: Mode
    rules: tuple[Rule, ...]

    def only(self, *rule_ids: str) -> Guidelines:
        """The same with some of its rules, for a question that the others cannot answer."""
        return replace(self, rules=tuple(each for each in self.rules if each.id in rule_ids))

    def evaluate(self, record: DeviceRecord, observed: Observed | None = None) -> Evaluation:
        """Everything the rules say of one record; never stops at the first finding."""
        weighed = waivers.weigh(record, self.stock, self.pack, self.now)
        findings: list[Finding] = []
        for rule in self.rules:
            if rule.check is not None and self.mode in rule.modes:
                findings += self._ask(rule, record, observed, weighed)
        findings += self._expired(record, weighed, findings)
        return Evaluation(
            label(record),
            self.pack.version,
            self.now,
            self.mode,
            tuple(findings),
            _stale(weighed, findings),
        )

    def audit(self, owner: str | None = None) -> Iterator[Evaluation]:
        """What the rules say of the whole stock, device by device, then owner by owner; what passed is counted."""
        owned: Counter[str] = Counter()
        for record in self.stock.devices(owner=owner):
            if record.lifecycle.stage not in ENDED:
                owned[record.owner_org or ""] += 1
            yield self.evaluate(record).brief()
        for organisation in self.stock.organisations():
            if owner not in {None, organisation.id}:
                continue
            yield self.evaluate_organisation(organisation, owned[organisation.id]).brief()

    def evaluate_organisation(self, organisation: Organisation, devices: int) -> Evaluation:
        """What the rules say of an organisation; asked by an audit."""
        findings: list[Finding] = []
        for rule in self.rules:
            if rule.check_organisation is None or self.mode not in rule.modes:
                continue
            entry = self.pack.entry(rule.id)
            case = OrganisationCase(organisation, devices, self.stock, self.pack, entry, self.now)
            hits = list(rule.check_organisation(case))
            found = [self._finding(rule, entry, organisation.id, each, Answer()) for each in hits]
            findings += found or [self._finding(rule, entry, organisation.id, None, Answer())]
        return Evaluation(organisation.id, self.pack.version, self.now, self.mode, tuple(findings))

    def _ask(
        self, rule: Rule, record: DeviceRecord, observed: Observed | None, weighed: list[Weighed]
    ) -> Iterator[Finding]:
        entry = self.pack.rules[rule.id]
        case = Case(record, self.stock, self.pack, entry, self.now, self.mode, self.trust, observed)
        answer = _answer(rule, case)
        if not answer.hits:
            yield self._finding(rule, entry, label(record), None, answer)
        for hit in answer.hits:
            finding = self._finding(rule, entry, label(record), hit, answer)
            until = _grace(self, record, entry, finding)
            finding = finding if until is None else replace(finding, grace_until=until)
            yield self._settled(rule, finding, record, entry, weighed)

    def _finding(self, rule: Rule, entry: RuleEntry, device_id: str, hit: Hit | None, answer: Answer) -> Finding:
        status = answer.status or Status.PASS
        if hit is not None:
            status = Status.UNKNOWN if hit.unknown else Status.FAIL
        return Finding(
            rule.id,
            self.pack.pack.version,
            entry.severity if hit is None else severity_of(entry, hit.case),
            status,
            device_id,
            hit,
            entry.approvers,
            entry.ask,
            entry.waivable and (hit is None or _waivable(entry, hit)),
            settled_by=answer.settled_by,
            evidence=answer.evidence,
        )

    def _settled(
        self, rule: Rule, finding: Finding, record: DeviceRecord, entry: RuleEntry, weighed: list[Weighed]
    ) -> Finding:
        """The finding, or what a valid waiver or approval makes of it."""
        if finding.waiver_possible:
            valid = {each.role: each.id for each in weighed if each.rule_id == finding.rule_id and each.problem is None}
            if waivers.enough(valid, entry.approvers):
                return replace(finding, status=Status.WAIVED, settled_by=tuple(sorted(valid.values())))
        if finding.severity is Severity.APPROVE and entry.approvers and not rule.weighs_approvals:
            given = waivers.approved_by(record, self.stock, finding.rule_id, self.now)
            if waivers.enough(given, entry.approvers):
                return replace(finding, status=Status.APPROVED, settled_by=tuple(sorted(set(given.values()))))
        return finding

    def _expired(self, record: DeviceRecord, weighed: list[Weighed], findings: list[Finding]) -> Iterator[Finding]:
        """A waiver whose time is over, and whose rule is broken still, is named: somebody relied on it."""
        rule = all_rules().get("GOV-2")
        if rule is None or rule.id not in self.pack.rules or self.mode not in rule.modes:
            return
        broken = {each.rule_id for each in findings if each.open}
        for each in weighed:
            if each.problem == _EXPIRED and each.rule_id in broken:
                values = {"waiver": each.id, "rule": each.rule_id, "until": each.until, "why": each.detail}
                hit = Hit(_EXPIRED, "/waivers", each.id, values=values)
                yield self._finding(rule, self.pack.entry(rule.id), label(record), hit, Answer())


def _answer(rule: Rule, case: Case) -> Answer:
    """Ask a rule. One that fails decides nothing, and nothing decided is a failure."""
    try:
        ended = case.record.lifecycle.stage in ENDED
        outside = (case.record.external and not rule.external) or (ended and not rule.after_end)
        if outside or (rule.when is not None and not rule.when(case)):
            return Answer(status=Status.NOT_APPLICABLE)
        found = rule.check(case) if rule.check is not None else ()
        return found if isinstance(found, Answer) else Answer(tuple(found))
    except Exception as error:  # noqa: BLE001 - a rule by anybody; whatever it raises must not let a record through
        _log.exception("rule %s failed", rule.id)
        hit = Hit(ERROR_CASE, "", values={"why": f"{type(error).__name__}"}, unknown=True)
        return Answer((hit,))


def severity_of(entry: RuleEntry, case: str) -> Severity:
    """How much one message of a rule weighs: `near.planned` as `near` where the pack does not say otherwise."""
    return entry.cases.get(case) or entry.cases.get(case.partition(".")[0]) or entry.severity


def _waivable(entry: RuleEntry, hit: Hit) -> bool:
    return not entry.waivable_cases or hit.case.partition(".")[0] in entry.waivable_cases


def _grace(guidelines: Guidelines, record: DeviceRecord, entry: RuleEntry, finding: Finding) -> date | None:
    """Until when a device that was installed before the rule is only warned."""
    installed = record.lifecycle.installed_at
    if not ask.stands(record) or installed is None or installed.astimezone(UTC).date() >= entry.since:
        return None
    days = guidelines.pack.pack.grace_days if entry.grace_days is None else entry.grace_days
    until = entry.since + timedelta(days=days)
    weighs = finding.severity in {Severity.BLOCK, Severity.APPROVE}
    return until if weighs and guidelines.now.astimezone(UTC).date() < until else None


def _stale(weighed: list[Weighed], findings: list[Finding]) -> tuple[str, ...]:
    """Waivers that suppress nothing: their rule is kept without them."""
    used = {each for finding in findings for each in finding.settled_by}
    broken = {each.rule_id for each in findings if each.open}
    return tuple(
        each.id
        for each in weighed
        if each.id not in used and each.rule_id not in broken and each.problem in {None, _EXPIRED}
    )


def label(record: DeviceRecord) -> str:
    """What a record is called where it has no id yet."""
    return record.id or record.name or record.dev_eui or "–"


def rules_in_force(pack: Pack) -> tuple[Rule, ...]:
    """The rules that the pack names, in the order of evaluation. Raises PackError where it does not fit the program."""
    rules = all_rules()
    unknown = sorted(pack.rules.keys() - rules.keys())
    if unknown:
        raise PackError(
            "The rule pack names rules that this program does not have.",
            value=f"{pack.version}: {', '.join(unknown)}",
            reason="A rule that nobody runs would pass everything.",
            next_step="install a newer lykta, or ask for a pack that fits this one",
        )
    found = tuple(sorted((rules[each] for each in pack.rules), key=lambda rule: sort_key(rule.id)))
    check_numbers(found, pack)
    _check_cases(pack)
    return found


def _check_cases(pack: Pack) -> None:
    texts = all_texts()
    for rule_id, entry in pack.rules.items():
        known = texts[rule_id].cases
        named = {*entry.cases, *entry.waivable_cases}
        unknown = sorted(each for each in named if each not in known and each.partition(".")[0] not in known)
        if unknown:
            raise PackError(
                "The rule pack names cases that a rule does not have.",
                value=f"{pack.version}, {rule_id}: {', '.join(unknown)}",
                next_step=f"choose of: {', '.join(known)}",
            )


def sort_key(rule_id: str) -> tuple[int, str, int, str]:
    """Sorts rule ids as they are evaluated: OWN-2 before OWN-10, SHARE-1 before SHARE-1b."""
    group, _dash, rest = rule_id.partition("-")
    digits = "".join(each for each in rest if each.isdigit())
    place = ORDER.index(group) if group in ORDER else len(ORDER)
    return place, group, int(digits or 0), rest


def guidelines(stock: Stock, loaded: LoadedPack, *, mode: Mode = Mode.CHECK, now: datetime | None = None) -> Guidelines:
    """The rules over a stock. Raises PackError where the pack does not fit this program."""
    moment = datetime.now(UTC) if now is None else now
    trust = signed_pack.trust(loaded, stock)
    return Guidelines(stock, loaded.pack, trust, moment, mode, rules_in_force(loaded.pack))
