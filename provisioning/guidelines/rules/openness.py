# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""OPEN: a decision per stream, and what has to be in order before something is open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from provisioning.guidelines import ask
from provisioning.guidelines.findings import Hit
from provisioning.guidelines.rule import Case, rule

if TYPE_CHECKING:
    from provisioning.model.streams import Stream

_IDENTIFYING: Final = ("eui", "serial", "key", "imei", "imsi")
_HVD_LIKELY: Final = ("air.", "noise.", "water.", "weather.")


def _harmless(case: Case, stream: Stream) -> bool:
    declared = case.record.personal_data
    open_class = stream.klassa is not None and stream.klassa.K == 0
    return open_class and declared is not None and declared.level == "none"


def _opened(case: Case) -> Iterator[tuple[str, Stream]]:
    for pointer, stream in ask.streams(case.record):
        if stream.openness is not None and stream.openness.level == "open":
            yield pointer, stream


def _any_open(case: Case) -> bool:
    return any(True for _each in _opened(case))


def _on_publish(case: Case, name: str) -> str:
    """Before it works there is nothing to publish: then it is a warning."""
    return name if ask.stands(case.record) else f"{name}.planned"


@rule("OPEN-1", when=lambda case: bool(case.record.streams))
def decided(case: Case) -> Iterator[Hit]:
    """Somebody decided who may have the data; open is what it is when nothing speaks against it."""
    for pointer, stream in ask.streams(case.record):
        field, harmless = f"{pointer}/openness", _harmless(case, stream)
        values = {"stream": stream.property, "default": "open" if harmless else "internal"}
        if stream.openness is None:
            yield ask.missing(field, values["default"], case="undecided", **values)
            continue
        level = stream.openness.level
        if level != "open" and stream.openness.reason is None:
            yield ask.missing(f"{field}/reason", case="no_reason", level=level, **values)
        if level == "restricted" and harmless:
            found = {**values, "reason": stream.openness.reason or "–"}
            yield Hit("restricted", f"{field}/level", level, "open", found)


@rule("OPEN-2", when=_any_open)
def catalogue(case: Case) -> Iterator[Hit]:
    """What is open can be found: everything that the catalogue must say is known (DCAT-AP-SE 3.0.1)."""
    for pointer, stream in _opened(case):
        decision = stream.openness
        have = {
            "openness/dataset_id": decision is not None and decision.dataset_id is not None,
            "info_owner": stream.info_owner is not None,
            "api_url": stream.api_url is not None,
        }
        for name in (name for name, there in have.items() if not there):
            yield ask.missing(f"{pointer}/{name}", case=_on_publish(case, "lacks"), what=name, stream=stream.property)
    if case.record.owner is None or case.record.owner.contact is None:
        yield ask.missing("/owner/contact", case=_on_publish(case, "no_contact"))


@rule("OPEN-3", when=_any_open, numbers=("interval_s", "delay_intervals", "least_delay_s"))
def live(case: Case) -> Iterator[Hit]:
    """What changes by the minute can be fetched by the minute, and as a whole."""
    for pointer, stream in _opened(case):
        if stream.interval_s is None or stream.interval_s > case.number("interval_s"):
            continue
        for name, case_ in (("api_url", "missing"), ("bulk_url", "no_bulk")):
            if getattr(stream, name) is None:
                yield ask.missing(f"{pointer}/{name}", case=case_, stream=stream.property)
        limit = max(case.number("delay_intervals") * stream.interval_s, case.number("least_delay_s"))
        if stream.delay_s is None and ask.stands(case.record):
            yield ask.missing(f"{pointer}/delay_s", limit, case="unmeasured", stream=stream.property, limit=limit)
        elif stream.delay_s is not None and stream.delay_s > limit:
            values = {"stream": stream.property, "delay": stream.delay_s, "limit": limit}
            yield Hit("slow", f"{pointer}/delay_s", stream.delay_s, limit, values)


@rule("OPEN-4", when=_any_open)
def high_value(case: Case) -> Iterator[Hit]:
    """High-value data is suggested, never asserted, by a program."""
    for pointer, stream in _opened(case):
        category = None if stream.openness is None else stream.openness.hvd
        field, values = f"{pointer}/openness/hvd", {"stream": stream.property, "category": category or "–"}
        if category is None:
            if stream.property.startswith(_HVD_LIKELY):
                yield Hit("suggest", field, None, None, values)
        elif category not in case.pack.tables.hvd_categories:
            yield Hit("unknown", field, category, list(case.pack.tables.hvd_categories), values)
        elif stream.api_url is None:
            yield ask.missing(f"{pointer}/api_url", case="no_api", **values)


@rule("OPEN-5", when=_any_open)
def licence(case: Case) -> Iterator[Hit]:
    """The licence is one that machines know."""
    allowed = case.pack.tables.licences
    for pointer, stream in _opened(case):
        found = None if stream.openness is None else stream.openness.license
        values = {"licence": found or "–", "stream": stream.property, "allowed": allowed[0]}
        if found not in allowed:
            name = _on_publish(case, "other" if found else "missing")
            yield Hit(name, f"{pointer}/openness/license", found, list(allowed), values, unknown=found is None)


@rule("OPEN-6", when=_any_open)
def gate(case: Case) -> Iterator[Hit]:
    """Nothing secret, nothing about people, nothing that helps a burglar is released."""
    for pointer, stream in _opened(case):
        values = {"stream": stream.property, "K": None if stream.klassa is None else stream.klassa.K}
        if stream.klassa is None or stream.klassa.K > 0:
            yield Hit("secret", f"{pointer}/klassa/K", values["K"], 0, values, unknown=stream.klassa is None)
        declared = case.record.personal_data
        if declared is None or declared.level != "none":
            level = None if declared is None else declared.level
            field = f"{pointer}/openness/level"
            yield Hit("personal", field, level, "none", {**values, "level": level}, unknown=declared is None)
        for name in stream.fields_allowed or ():
            if any(word in name.lower() for word in _IDENTIFYING):
                yield Hit("identifying", f"{pointer}/fields_allowed", name, values={**values, "field": name})
        if stream.openness is not None and stream.openness.quality_note is None:
            yield ask.missing(f"{pointer}/openness/quality_note", case=_on_publish(case, "no_quality"), **values)


@rule("OPEN-7", when=_any_open, numbers=("figure_days",))
def feedback(case: Case) -> Iterator[Hit]:
    """Whoever uses it can say so, and somebody counts."""
    if case.record.owner is None or case.record.owner.contact is None:
        yield ask.missing("/owner/contact", case="no_contact")
    for pointer, stream in _opened(case):
        if ask.stands(case.record) and not stream.consumers:
            yield Hit("nobody", f"{pointer}/consumers", values={"stream": stream.property})
        counted = None if stream.openness is None else stream.openness.uses_counted
        old = counted is None or (case.today - counted).days > case.number("figure_days")
        if ask.stands(case.record) and old:
            yield ask.missing(f"{pointer}/openness/uses", case="no_figure", stream=stream.property, counted=counted)
