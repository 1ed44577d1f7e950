# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""PRIV: the controller, new kinds of sensing, cameras, joined sources (PRIV-6 to PRIV-9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provisioning.guidelines import ask
from provisioning.guidelines.findings import Hit
from provisioning.guidelines.rule import Case, rule

_OPTICAL: Final = frozenset({"camera", "anpr", "thermal", "lidar"})
"""Optical-electronic equipment (kamerabevakningslagen 2018:1200, section 3)."""


@rule("PRIV-6", when=lambda case: ask.personal(case.record))
def controller(case: Case) -> Iterator[Hit]:
    """Somebody is responsible, on a legal basis, and it is in the record of processing."""
    found = case.record.personal_data
    for name in ("controller", "basis", "ropa_id"):
        if found is None or getattr(found, name) is None:
            yield ask.missing(f"/personal_data/{name}", case=f"no_{name}")
    if found is not None and found.controller is not None and not ask.is_city_body(case, found.controller):
        yield Hit("not_city", "/personal_data/controller", found.controller, values={"org": found.controller})


@rule("PRIV-7", when=lambda case: case.number("council_exists") >= 1, numbers=("council_exists",))
def opinion(case: Case) -> Iterator[Hit]:
    """The council on privacy and ethics has said what it thinks of a thing that judges by itself."""
    found = case.record.onboard_ai
    if found is None:
        yield ask.missing("/onboard_ai")
    elif found != "none":
        yield Hit("ai", "/onboard_ai", found, "none", {"ai": found})


def _watches_people(case: Case) -> bool:
    optical = bool(_OPTICAL & set(case.record.sensing_tech or ()))
    return optical and ask.personal(case.record)


@rule("PRIV-8", when=_watches_people)
def camera_law(case: Case) -> Iterator[Hit]:
    """Equipment that can watch people: the balance of interests is written down, and signs say so."""
    found = case.record.personal_data
    for name in ("balance_ref", "sign"):
        if found is None or getattr(found, name) is None:
            yield ask.missing(f"/personal_data/{name}", case=name)


@rule("PRIV-9", when=lambda case: any(len(each.sources) >= 2 for each in case.record.streams))
def joined(case: Case) -> Iterator[Hit]:
    """What is joined can say more than its parts: it has a classification and a declaration of its own."""
    record = case.record
    for pointer, stream in ask.streams(record):
        if len(stream.sources) < 2:
            continue
        values = {"stream": stream.property, "sources": ", ".join(stream.sources)}
        if stream.klassa is None:
            yield ask.missing(f"{pointer}/klassa", case="no_class", **values)
        parts = [(source, case.stock.device(source)) for source in stream.sources]
        for source, part in parts:
            if part is None:
                yield ask.missing(f"{pointer}/sources", case="unknown_source", source=source, **values)
                continue
            level = "none" if part.personal_data is None else part.personal_data.level
            ours = "none" if record.personal_data is None else record.personal_data.level
            if ask.LEVELS[ours] < ask.LEVELS[level]:
                found = {**values, "source": source, "level": level}
                yield Hit("lower_than_part", "/personal_data/level", ours, level, found)
            highest = ask.highest(part, "K")
            if stream.klassa is not None and highest > stream.klassa.K:
                lower = {**values, "source": source, "level": str(highest)}
                yield Hit("class_lower", f"{pointer}/klassa/K", stream.klassa.K, highest, lower)
