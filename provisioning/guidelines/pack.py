# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The rule pack: which rules are in force since when, how much they weigh, who may decide, and every number.

It is data, so that the city can change it without a new build; the program holds the logic and the texts. A pack that
names a rule this program does not have is refused: a rule that nobody runs is worse than none.
"""

from __future__ import annotations

from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from provisioning import strict_toml
from provisioning.errors import ConfigError
from provisioning.guidelines.errors import PackError
from provisioning.guidelines.findings import Severity

PACKS: Final = Path(__file__).parent / "packs"
PROPOSED: Final = "strategy-2017"
"""The pack that comes with the program: our reading of the strategy; no city has adopted it."""
ANY_SITE: Final = "any"

Level = Literal["none", "possible", "yes"]


class Section(BaseModel):
    """A table of the pack: an unknown key is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Header(Section):
    """What the pack is."""

    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    source: str
    """What it reads: `strategy-2017`."""
    status: Literal["proposed", "adopted"]
    adopted_by: str | None = None
    """The decision, for instance a case number of kommunstyrelsen."""
    valid_from: date
    valid_to: date
    grace_days: Annotated[int, Field(ge=0)]
    """For devices that were installed before a rule came."""

    @model_validator(mode="after")
    def _adoption_is_named(self) -> Header:
        if (self.status == "adopted") != (self.adopted_by is not None):
            raise ValueError('status = "adopted" and adopted_by go together')
        if self.valid_from >= self.valid_to:
            raise ValueError("valid_from lies before valid_to")
        return self


class RoleText(Section):
    """A body that decides or is asked."""

    sv: str
    en: str


class RuleEntry(Section):
    """What the pack says of one rule."""

    severity: Severity
    cases: dict[str, Severity] = Field(default_factory=dict)
    """Where one message of the rule weighs otherwise."""
    approvers: tuple[tuple[str, ...], ...] = ()
    """Alternatives of roles that decide together: [["stekom", "slk"]] needs both."""
    ask: tuple[str, ...] = ()
    waivable: bool = False
    waivable_cases: tuple[str, ...] = ()
    """Only these messages of it; empty: all."""
    max_waiver_days: Annotated[int, Field(ge=1)] = 365
    since: date
    grace_days: Annotated[int, Field(ge=0)] | None = None
    numbers: dict[str, float] = Field(default_factory=dict)


class Property(Section):
    """A word of the vocabulary, and how far apart two devices that measure it are two."""

    name: str
    broader: str | None = None
    units: tuple[str, ...]
    """UCUM."""
    model: str | None = None
    scope: Literal["asset", "segment", "area", "water_body", "none"]
    radius_m: dict[str, float] = Field(default_factory=dict)
    """By site type; `any` for the rest. Without one only the same asset counts."""
    same_site_type: bool = False
    """Air of a street canyon says nothing about air of a park."""


class Control(Section):
    """What a device of a class must have."""

    level: Annotated[int, Field(ge=0, le=3)]
    """The highest of K, R and T from which it is asked for."""
    id: str
    sv: str
    en: str


class Standard(Section):
    """An entry of the standards list."""

    id: str
    part: Literal["transport", "payload", "model", "hardware"]
    title: str
    body: str


class Tables(Section):
    """Lists that rules read."""

    properties: tuple[Property, ...]
    sensing: dict[str, Level]
    """The least that a way of sensing must be declared as."""
    never_leave_edge: tuple[str, ...]
    """Words in field names: what must not leave the edge."""
    controls: tuple[Control, ...]
    standards: tuple[Standard, ...]
    services: dict[str, tuple[str, ...]]
    """What S:t Erik Kommunikation provides: prefixes of service ids by network type."""
    licences: tuple[str, ...]
    open_source: tuple[str, ...]
    """SPDX ids of open licences."""
    dpia_criteria: tuple[str, ...]
    hvd_categories: tuple[str, ...]
    default_fingerprints: tuple[str, ...] = ()
    exploited_firmware: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """By `maker name`: versions with an exploited weakness."""
    minimum_firmware: dict[str, str] = Field(default_factory=dict)

    @cached_property
    def vocabulary(self) -> dict[str, Property]:
        """The properties by name."""
        return {each.name: each for each in self.properties}


class Figures(Section):
    """Numbers of the yearly report that belong to no rule."""

    delivering_pct: Annotated[float, Field(gt=0, le=100)]
    """Of the expected messages: who brings as many delivers."""
    support_months: tuple[Annotated[float, Field(gt=0)], ...]
    """How long ahead an end of support is told."""
    longest_gap_h: Annotated[float, Field(gt=0)]
    """How long at most a reading of a lamp is taken to hold."""


class Pack(Section):
    """A whole pack."""

    pack: Header
    roles: dict[str, RoleText]
    rules: dict[str, RuleEntry]
    figures: Figures
    tables: Tables

    @property
    def version(self) -> str:
        """Name of this edition."""
        return self.pack.version

    def entry(self, rule_id: str) -> RuleEntry:
        """What it says of a rule. Raises KeyError."""
        return self.rules[rule_id]

    def number(self, rule_id: str, name: str) -> float:
        """A number of a rule, for others that need the same one. Raises KeyError."""
        return self.rules[rule_id].numbers[name]

    @model_validator(mode="after")
    def _roles_are_known(self) -> Pack:
        for rule_id, entry in self.rules.items():
            named = {role for alternative in entry.approvers for role in alternative} | set(entry.ask)
            unknown = sorted(named - self.roles.keys())
            if unknown:
                raise ValueError(f"rule {rule_id} names roles that [roles] does not list: {', '.join(unknown)}")
            if entry.waivable and not entry.approvers:
                raise ValueError(f"rule {rule_id} is waivable and names nobody who may waive it")
        return self


@lru_cache(maxsize=8)
def parse(text: str, source: str) -> Pack:
    """Read a pack. Raises PackError."""
    try:
        return strict_toml.loads(text, Pack, source=source)
    except ConfigError as error:
        raise PackError(
            error.state,
            value=error.value,
            reason="A pack that is read differently than it was meant would let through what it forbids.",
            next_step=f"correct {source}; lykta rules export prints a pack that is right",
        ) from error


@lru_cache(maxsize=4)
def proposed_text(name: str = PROPOSED) -> str:
    """The text of a pack that comes with the program."""
    path = PACKS / f"{name}.toml"
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise PackError("This pack does not come with the program.", value=name) from error


@lru_cache(maxsize=4)
def proposed(name: str = PROPOSED) -> Pack:
    """A pack that comes with the program."""
    return parse(proposed_text(name), f"packs/{name}.toml")
