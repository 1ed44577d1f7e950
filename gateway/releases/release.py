# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One reading, for one output: which fields pass, how exactly, and what was dropped for which reason. Pure."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from firmware.wire.kinds.terms import NOTHING_COUNTED, counting, terms
from gateway.releases.settings import LEVELS, PROTECTED_PLACE_DECIMALS
from gateway.releases.small_counts import too_small

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmware.wire.kinds.terms import Counting, Term
    from gateway.releases.opening import Item
    from gateway.releases.settings import ReleaseSettings
    from provisioning.outputs import Facts

_RANK = {level: rank for rank, level in enumerate(LEVELS)}
_SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True)
class Told:
    """One field that passed."""

    senml_name: str
    value: float | bool | str
    """In the SenML unit."""
    unit: str | None
    attribute: str
    """Of the Smart Data Model of the kind; empty where it has none."""


@dataclass(frozen=True, slots=True)
class Released:
    """A reading as an output may tell it."""

    device: str
    """How the output calls the device: its id in the register; its DevEUI where it has none, never in open data."""
    kind: str
    seq: int
    stream: str
    record: int
    time_s: float
    """Unix time, rounded as the output wants it."""
    time_source: str
    fields: Mapping[str, Told]
    """By field name of the kind."""
    place: tuple[float, float] | None
    """Longitude and latitude in degrees (WGS 84), rounded as the output wants it."""
    facts: Facts
    complete: bool
    """No field of it was dropped."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a reading; without one, *withheld* says why."""

    released: Released | None
    withheld: str = ""
    dropped: Mapping[str, int] | None = None
    """Fields that were dropped, by reason."""


def release(item: Item, facts: Facts | None, rules: ReleaseSettings) -> Outcome:
    """Cut one reading down to what an output may tell. *facts* are None where the register does not know the device."""
    withheld = _withheld(facts, rules)
    if withheld or facts is None:
        return Outcome(None, withheld)
    names, known = _vocabulary(facts.kind)
    values = {names.get(name, name): value for name, value in item.values.items()}
    dropped: Counter[str] = Counter()
    hidden = too_small(values, _counting(facts.kind), rules.least)
    fields = {}
    for field, value in values.items():
        term = known.get(field)
        reason = _reason(field, term, facts, rules) or ("small_count" if field in hidden else "")
        if reason:
            dropped[reason] += 1
            continue
        name = term.senml_name if term else field
        fields[field] = Told(name, value, item.units.get(name), term.smart_data_model if term else "")
    if hidden and _SUPPRESSED in fields:
        fields[_SUPPRESSED] = Told(_SUPPRESSED, True, None, "")
    if not fields:
        return Outcome(None, "nothing_left", dropped)
    told = Released(
        device=facts.device_id if facts.device_id else item.dev_eui,
        kind=facts.kind,
        seq=item.seq,
        stream=item.stream,
        record=item.record,
        time_s=round_time(item.time_s, rules.step_s),
        time_source=item.time_source,
        fields=fields,
        place=round_place(facts, rules),
        facts=facts if rules.audience != "open" else _public(facts),
        complete=not dropped,
    )
    return Outcome(told, "", dropped)


def _public(facts: Facts) -> Facts:
    """Return what everybody may know of a device (guidelines OPEN-6): not what it hangs on, nor of which make it is."""
    segment = None if facts.protected else facts.segment
    return replace(facts, name="", asset=None, maker=None, model=None, segment=segment)


def round_time(time_s: float, step_s: int) -> float:
    """Return the multiple of *step_s* at or before a time; the time itself for 0."""
    return float(math.floor(time_s / step_s) * step_s) if step_s else time_s


def round_place(facts: Facts, rules: ReleaseSettings) -> tuple[float, float] | None:
    """Return longitude and latitude as exactly as an output may tell them; None where none is known."""
    if facts.lat is None or facts.lon is None:
        return None
    decimals = rules.decimals
    if facts.protected and rules.audience == "open":
        decimals = min(decimals, PROTECTED_PLACE_DECIMALS)
    return round(facts.lon, decimals), round(facts.lat, decimals)


def _withheld(facts: Facts | None, rules: ReleaseSettings) -> str:
    """Why nothing of a device passes; empty where something may."""
    if facts is None:
        return "not_registered"
    if rules.kinds and facts.kind not in rules.kinds:
        return "other_kind"
    if rules.audience == "open":
        return "" if facts.device_id and rules.dataset in facts.datasets else "not_released"
    if facts.personal and rules.platform_id not in facts.recipients:
        return "recipient_not_declared"
    return ""


def _reason(field: str, term: Term | None, facts: Facts, rules: ReleaseSettings) -> str:
    """Why a field does not pass; empty where it may."""
    names = {field, term.senml_name} if term else {field}
    if facts.declared is not None and not names & facts.declared:
        return "undeclared"
    if rules.audience == "open":
        allowed = facts.datasets[rules.dataset or ""]
        if allowed is not None and not names & allowed:
            return "release_level"
    # What no vocabulary knows is restricted until the register says otherwise.
    decided = [_RANK[facts.levels[name]] for name in names if name in facts.levels]
    level = max([_RANK[term.release], *decided]) if term else max(decided, default=_RANK["restricted"])
    return "release_level" if level > _RANK[rules.audience] else ""


@lru_cache(maxsize=64)
def _vocabulary(kind: str) -> tuple[dict[str, str], dict[str, Term]]:
    """Return the field by SenML name, and the term by field. A kind that is not known has none."""
    try:
        known = terms(kind)
    except ValueError:
        return {}, {}
    return {term.senml_name: field for field, term in known.items()}, known


@lru_cache(maxsize=64)
def _counting(kind: str) -> Counting:
    try:
        return counting(kind)
    except ValueError:
        return NOTHING_COUNTED
