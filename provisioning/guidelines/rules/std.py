# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""STD: open standards, an open codec, one vocabulary."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning.guidelines import ask, nearby
from provisioning.guidelines.findings import Hit
from provisioning.guidelines.rule import Case, rule


@rule("STD-1")
def standards(case: Case) -> Iterator[Hit]:
    """What it speaks is on the list of standards."""
    named = case.record.standards
    if not named:
        yield ask.missing("/standards")
        return
    listed = {each.id: each for each in case.pack.tables.standards}
    for index, each in enumerate(named):
        if each not in listed:
            yield Hit("unlisted", f"/standards/{index}", each, values={"standard": each})
    if not any(listed[each].part == "transport" for each in named if each in listed):
        yield Hit("no_transport", "/standards", list(named), "transport")


@rule("STD-2", when=lambda case: not ask.is_gateway(case.record))
def codec(case: Case) -> Iterator[Hit]:
    """Anybody can read its payload."""
    found = case.record.codec
    if found is None:
        yield ask.missing("/codec")
        return
    if found.vendor_cloud:
        yield Hit("cloud", "/codec/vendor_cloud", observed=True, required=False)
    if found.licence is None:
        yield ask.missing("/codec/licence", case="no_licence")
    elif found.licence not in case.pack.tables.open_source:
        yield Hit("closed", "/codec/licence", found.licence, values={"licence": found.licence})
    if found.test_vectors is None:
        yield Hit("no_vectors", "/codec/test_vectors")


@rule("STD-3", when=lambda case: ask.measures(case.record))
def vocabulary(case: Case) -> Iterator[Hit]:
    """What it measures is said in the words that all use."""
    if not case.record.streams:
        yield ask.missing("/streams")
    for pointer, stream in ask.streams(case.record):
        entry = nearby.word(case.pack, stream.property)
        if entry is None:
            yield Hit("unknown_property", f"{pointer}/property", stream.property, values={"property": stream.property})
            continue
        values = {"property": stream.property, "units": ", ".join(entry.units), "model": entry.model or "–"}
        if stream.unit is None:
            yield ask.missing(f"{pointer}/unit", list(entry.units), case="no_unit", **values)
        elif stream.unit not in entry.units:
            found = {**values, "unit": stream.unit}
            yield Hit("other_unit", f"{pointer}/unit", stream.unit, list(entry.units), found)
        if entry.model is not None and stream.model_entity != entry.model:
            found = {**values, "found": stream.model_entity or "–"}
            yield Hit("other_model", f"{pointer}/model_entity", stream.model_entity, entry.model, found)
