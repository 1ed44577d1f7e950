# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""PRIV: who can be seen, what leaves the edge, who was asked (PRIV-1 to PRIV-5)."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning.guidelines import ask
from provisioning.guidelines.findings import Hit, Mode
from provisioning.guidelines.rule import EVERYWHERE, Case, rule


@rule("PRIV-1", when=lambda case: not ask.is_gateway(case.record))
def declared(case: Case) -> Iterator[Hit]:
    """What its senses could reveal about people is admitted."""
    record = case.record
    if record.sensing_tech is None:
        yield ask.missing("/sensing_tech", case="no_sensing")
    if record.personal_data is None:
        yield ask.missing("/personal_data/level")
        return
    techs: list[str] = [*(record.sensing_tech or ())]
    techs += [f"{tech}_tracking" for tech in record.sensing_tech or () if record.tracking]
    if record.onboard_ai == "tracking":
        techs.append("ai_tracking")
    least = max(techs, key=lambda tech: ask.LEVELS[case.pack.tables.sensing.get(tech, "none")], default="")
    wanted = case.pack.tables.sensing.get(least, "none")
    level = record.personal_data.level
    unlisted = [tech for tech in record.sensing_tech or () if tech not in case.pack.tables.sensing]
    if unlisted:
        yield ask.missing("/sensing_tech", case="unlisted", tech=unlisted[0])
    if ask.LEVELS[level] < ask.LEVELS[wanted]:
        values = {"tech": least.partition("_tracking")[0], "level": level, "wanted": wanted}
        yield Hit("too_low", "/personal_data/level", level, wanted, values)


@rule("PRIV-2", when=lambda case: ask.personal(case.record), numbers=("dpia_criteria",))
def assessed(case: Case) -> Iterator[Hit]:
    """The risk to people was screened, and assessed where it is high, before it starts."""
    found = case.record.personal_data
    if found is None or found.screening is None:
        yield ask.missing("/personal_data/screening")
        return
    for each in found.screening:
        if each not in case.pack.tables.dpia_criteria:
            yield Hit("unknown_criterion", "/personal_data/screening", each, values={"criterion": each})
    if len(found.screening) < case.number("dpia_criteria"):
        return
    values = {"count": len(found.screening)}
    if found.dpia_ref is None:
        yield ask.missing("/personal_data/dpia_ref", case="no_dpia", **values)
    if found.dpo is None:
        yield ask.missing("/personal_data/dpo", case="no_advice", **values)
    if found.dpia_ref is not None and (found.dpia_date is None or found.dpia_date > ask.starts(case)):
        start = ask.starts(case)
        yield Hit("late", "/personal_data/dpia_date", found.dpia_date, start, {"date": found.dpia_date, "start": start})


@rule("PRIV-3", when=lambda case: bool(case.record.streams), modes=EVERYWHERE)
def minimal(case: Case) -> Iterator[Hit]:
    """Only what the purpose needs leaves the device, and never what makes a person known."""
    allowed: set[str] = set()
    for pointer, stream in ask.streams(case.record):
        if stream.fields_allowed is None:
            if case.mode is not Mode.GATEWAY:
                yield ask.missing(f"{pointer}/fields_allowed", stream=stream.property)
            continue
        allowed |= set(stream.fields_allowed)
        for name in stream.fields_allowed:
            word = next((word for word in case.pack.tables.never_leave_edge if word in name.lower()), None)
            if word is not None and case.mode is not Mode.GATEWAY:
                yield Hit("never", f"{pointer}/fields_allowed", name, values={"field": name, "word": word})
    if case.observed is not None:
        undeclared = sorted(case.observed.fields - allowed)
        if undeclared:
            values = {"fields": ", ".join(undeclared), "gateway": case.observed.gateway}
            yield Hit("undeclared", "/streams", undeclared, sorted(allowed), values)


@rule("PRIV-4", when=lambda case: bool(case.record.streams), numbers=("edge_h", "aggregate_minutes", "aggregate_k"))
def retention(case: Case) -> Iterator[Hit]:
    """Nothing is kept longer than it is needed; of people nothing raw at all."""
    people = ask.personal(case.record)
    for pointer, stream in ask.streams(case.record):
        kept, field = stream.retention, f"{pointer}/retention"
        if kept is None:
            yield ask.missing(field, stream=stream.property)
            continue
        limit = 0.0 if people else case.number("edge_h")
        if kept.edge_h > limit:
            values = {"hours": kept.edge_h, "limit": limit, "stream": stream.property}
            yield Hit("edge_people" if people else "edge", f"{field}/edge_h", kept.edge_h, limit, values)
        if people:
            yield from _of_people(case, field, kept.raw_d, kept.aggregate_minutes, kept.aggregate_k)


def _of_people(case: Case, field: str, raw_d: float, minutes: float | None, group: int | None) -> Iterator[Hit]:
    if raw_d > 0:
        yield Hit("raw_people", f"{field}/raw_d", raw_d, 0, {"days": raw_d})
    for name, found in (("aggregate_minutes", minutes), ("aggregate_k", group)):
        least = case.number(name)
        if found is None or found < least:
            yield Hit(name, f"{field}/{name}", found, least, {"found": found, "least": least}, unknown=found is None)


def _in_public(case: Case) -> bool:
    place = case.record.location
    return ask.personal(case.record) and (place is None or place.public_place)


@rule("PRIV-5", when=_in_public)
def told(case: Case) -> Iterator[Hit]:
    """Whoever passes can read who measures what, and whom to ask."""
    found = case.record.personal_data
    for name in ("sign", "info_url"):
        if found is None or getattr(found, name) is None:
            yield ask.missing(f"/personal_data/{name}", case=name)
