# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What open standards call a field. Host only: none of this costs a board memory."""

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Literal, NamedTuple, cast

from firmware.wire.errors import Malformed

Release = Literal["open", "internal", "restricted"]


class Term(NamedTuple):
    """One field of a kind in the words of others."""

    oma: str
    """Object and resource of the OMA LwM2M registry, for instance ``3416/2``."""
    senml_name: str
    """Name in SenML, after the base name (RFC 8428 section 4.5.1)."""
    senml_unit: str | None
    """Unit of the IANA SenML registry; None for a truth value."""
    senml_factor: float
    """Value in the SenML unit = value in our unit x this."""
    smart_data_model: str
    """Attribute of the FIWARE Smart Data Model of this kind; empty when the model has none."""
    release: Release
    """Who may see it without a further decision."""


class Counting(NamedTuple):
    """Fields of a kind that count people or their vehicles: small numbers of them are somebody."""

    parts: dict[str, tuple[str, ...]]
    """For each count of an interval the counts that are part of it."""
    derived: dict[str, tuple[str, ...]]
    """For each field that says something about those who were counted, the counts that say of how many."""
    running: tuple[str, ...]
    """Totals that go on from reading to reading: their differences are counts."""


NOTHING_COUNTED = Counting({}, {}, ())


def names() -> tuple[str, ...]:
    """Return the names of all kinds, sorted."""
    found = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return tuple(sorted(name for name in found if name != "common" and not name.endswith(("terms", "controls"))))


def terms(kind: str) -> dict[str, Term]:
    """Return the terms of *kind* by field name. Raises Malformed when there is no such kind."""
    if kind not in names():
        raise Malformed(f"kind {kind!r} is not known; there are: {', '.join(names())}")
    own = cast("dict[str, Term]", import_module(f"firmware.wire.kinds.{kind}_terms").TERMS)
    return own | cast("dict[str, Term]", import_module("firmware.wire.kinds.common_terms").TERMS)


def counting(kind: str) -> Counting:
    """Return what a kind counts, ``COUNTING`` of its terms. Raises Malformed when there is no such kind."""
    if kind not in names():
        raise Malformed(f"kind {kind!r} is not known; there are: {', '.join(names())}")
    return cast("Counting", getattr(import_module(f"firmware.wire.kinds.{kind}_terms"), "COUNTING", NOTHING_COUNTED))
