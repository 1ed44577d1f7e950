# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a figure of the yearly report is (guidelines section 4), and how all are computed. Unknown cells are empty."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    from provisioning.model.device import DeviceRecord
    from provisioning.model.streams import Stream
    from provisioning.reports.scope import Scope


Level = Literal["target image", "change work", "effect of projects"]
"""The three levels of the follow-up (strategy, chapter 6)."""
LEVELS: Final[tuple[Level, ...]] = get_args(Level)


@dataclass(frozen=True)
class Cell:
    """One number of a figure, or why there is none."""

    name: str
    value: float | None
    unit: str = ""
    of: float | None = None
    """What the value is a part of."""
    source: str = "register"
    ask: str = ""
    """Who can tell, where the value is empty."""

    @property
    def percent(self) -> float | None:
        """The value as a share of `of`, in per cent."""
        return None if self.value is None or not self.of else round(100 * self.value / self.of, 1)


@dataclass(frozen=True)
class Figure:
    """One of the sixteen."""

    id: str
    title: str
    cells: list[Cell]
    query_sha256: str
    details: Mapping[str, float] = field(default_factory=dict)
    """A breakdown, for tables and pictures."""
    unit: str = ""
    """Of the breakdown."""
    level: Level = "target image"


Details = dict[str, float]
Maker = Callable[["Scope"], tuple[list[Cell], Details]]


@dataclass(frozen=True)
class _Kind:
    title: str
    unit: str
    rules: tuple[str, ...]
    level: Level
    maker: Maker


MAKERS: Final[dict[str, _Kind]] = {}


def figure(
    figure_id: str,
    title: str,
    *,
    unit: str = "devices",
    rules: tuple[str, ...] = (),
    level: Level = "target image",
) -> Callable[[Maker], Maker]:
    """Register the maker of a figure. `rules` are those whose findings it counts, `unit` that of its breakdown."""

    def register(maker: Maker) -> Maker:
        MAKERS[figure_id] = _Kind(title, unit, rules, level, maker)
        return maker

    return register


def compute(scope: Scope) -> list[Figure]:
    """All figures of a scope, in the order of their numbers."""
    made = []
    for figure_id in sorted(MAKERS, key=lambda each: int(each[1:])):
        kind = MAKERS[figure_id]
        lacking = [each for each in kind.rules if each not in scope.judged.pack.rules]
        cells, details = ([_not_judged(kind, lacking)], {}) if lacking else kind.maker(scope)
        told = f"{inspect.getsource(kind.maker)}\n{scope.judged.pack.version}"
        digest = hashlib.sha256(told.encode()).hexdigest()
        made.append(Figure(figure_id, kind.title, cells, digest, details, kind.unit, kind.level))
    return made


def _not_judged(kind: _Kind, lacking: list[str]) -> Cell:
    """A rule that the city does not have counts nothing: zero would be a statement."""
    return Cell(kind.title, None, source="", ask=f"stadsledningskontoret: the rule pack lacks {', '.join(lacking)}")


def streams_of(devices: Iterable[DeviceRecord]) -> list[tuple[DeviceRecord, int, Stream]]:
    """Each stream with its device and its place there."""
    return [(device, index, stream) for device in devices for index, stream in enumerate(device.streams)]


def from_fact(scope: Scope, name: str, fact_id: str, unit: str, ask: str) -> Cell:
    """A number from outside, or an empty cell that names who could tell."""
    fact = scope.facts.get(fact_id)
    if fact is None:
        return Cell(name, None, unit, source="", ask=ask)
    return Cell(name, fact.value, unit, source=f"{fact.source} ({fact.date})")
