# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a rule is: a pure function from a case to what is wrong with it. Its weight and numbers are in the pack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from provisioning.guidelines.errors import PackError, RuleError
from provisioning.guidelines.findings import Hit, Mode, Status

if TYPE_CHECKING:
    from provisioning.guidelines.observed import Observed
    from provisioning.guidelines.pack import Pack, RuleEntry
    from provisioning.guidelines.signed_pack import Trust
    from provisioning.model.device import DeviceRecord
    from provisioning.model.organisations import Organisation
    from provisioning.model.stock import Stock

ON_PAPER: Final = frozenset({Mode.CHECK, Mode.REGISTER, Mode.AUDIT})
EVERYWHERE: Final = frozenset(Mode)
AT_GATEWAY: Final = frozenset({Mode.GATEWAY})


@dataclass(frozen=True, slots=True)
class Case:
    """What a rule is asked about."""

    record: DeviceRecord
    stock: Stock
    pack: Pack
    entry: RuleEntry
    now: datetime
    mode: Mode
    trust: Trust
    """What the signature of the pack is worth."""
    observed: Observed | None = None
    """What a gateway saw of the device."""

    @property
    def today(self) -> date:
        """The day, UTC."""
        return self.now.astimezone(UTC).date()

    def number(self, name: str) -> float:
        """A number of this rule. The pack was checked for it when it was loaded."""
        return self.entry.numbers[name]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rule says where a list of hits is not enough."""

    hits: tuple[Hit, ...] = ()
    status: Status | None = None
    """Set where the rule itself knows of a decision: approved by a dialogue."""
    settled_by: tuple[str, ...] = ()
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OrganisationCase:
    """What a rule about an organisation is asked about."""

    organisation: Organisation
    devices: int
    """How many it owns."""
    stock: Stock
    pack: Pack
    entry: RuleEntry
    now: datetime

    @property
    def today(self) -> date:
        """The day, UTC."""
        return self.now.astimezone(UTC).date()

    def number(self, name: str) -> float:
        """A number of this rule."""
        return self.entry.numbers[name]


Check = Callable[[Case], Answer | Iterable[Hit]]
OrganisationCheck = Callable[[OrganisationCase], Iterable[Hit]]
When = Callable[[Case], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a rule file."""

    id: str
    check: Check | None
    check_organisation: OrganisationCheck | None
    module: str
    modes: frozenset[Mode]
    when: When | None
    numbers: tuple[str, ...]
    external: bool
    """Whether it concerns devices that are not the city's own, too."""
    after_end: bool
    """Whether it concerns devices that are retired, too."""
    weighs_approvals: bool
    """Whether it looks at approvals itself; others are settled by any that counts."""

    @property
    def group(self) -> str:
        """OWN of OWN-1."""
        return self.id.partition("-")[0]


_RULE = "__guideline__"
_Check = TypeVar("_Check", bound=Check)
_OrganisationCheck = TypeVar("_OrganisationCheck", bound=OrganisationCheck)


def rule(
    rule_id: str,
    *,
    when: When | None = None,
    modes: frozenset[Mode] = ON_PAPER,
    numbers: tuple[str, ...] = (),
    external: bool = False,
    after_end: bool = False,
    weighs_approvals: bool = False,
) -> Callable[[_Check], _Check]:
    """Mark a function as the rule `rule_id`.

    `when` says whether the rule concerns this case at all; `numbers` are those that the pack must give.
    """

    def mark(check: _Check) -> _Check:
        found = Rule(
            rule_id, check, None, check.__module__, modes, when, numbers, external, after_end, weighs_approvals
        )
        setattr(check, _RULE, found)
        return check

    return mark


def organisation_rule(
    rule_id: str, *, numbers: tuple[str, ...] = ()
) -> Callable[[_OrganisationCheck], _OrganisationCheck]:
    """Mark a function as the rule `rule_id` about an organisation; it is asked by an audit."""

    def mark(check: _OrganisationCheck) -> _OrganisationCheck:
        modes = frozenset({Mode.AUDIT})
        found = Rule(
            rule_id,
            check=None,
            check_organisation=check,
            module=check.__module__,
            modes=modes,
            when=None,
            numbers=numbers,
            external=False,
            after_end=False,
            weighs_approvals=True,
        )
        setattr(check, _RULE, found)
        return check

    return mark


def marked(module: object) -> list[Rule]:
    """The rules of a module, in the order in which they stand there."""
    found = (getattr(each, _RULE, None) for each in vars(module).values())
    name = getattr(module, "__name__", "")
    return [each for each in found if isinstance(each, Rule) and each.module == name]


def check_numbers(rules: Iterable[Rule], pack: Pack) -> None:
    """Refuse a pack that does not give a rule its numbers. Raises PackError."""
    for each in rules:
        missing = [name for name in each.numbers if name not in pack.rules[each.id].numbers]
        if missing:
            raise PackError(
                "The rule pack does not give a rule its numbers.",
                value=f"{pack.version}, {each.id}: {', '.join(missing)}",
                next_step="lykta rules export prints a pack that is complete",
            )


def refuse_twice(rules: Iterable[Rule]) -> dict[str, Rule]:
    """The rules by id. Raises RuleError where two have one id."""
    found: dict[str, Rule] = {}
    for each in rules:
        if each.id in found:
            raise RuleError(f"Two rules have the id {each.id}.", value=f"{found[each.id].module}, {each.module}")
        found[each.id] = each
    return found
