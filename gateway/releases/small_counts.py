# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Small-count suppression: whoever counts three can know them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmware.wire.kinds.terms import Counting


def too_small(values: Mapping[str, object], counting: Counting, least: int) -> set[str]:
    """Return the fields of *values* that must not be told when counts from 1 to *least* - 1 must not be known.

    A count's parts are told all or not at all: what is left of the whole would give the missing one away. What was
    measured on those counted goes when they were too few, or when nobody says how many they were. Totals that run on
    go always: the difference of two is a count.
    """
    if least <= 1:
        return set()
    hidden = set(counting.running)
    for whole, parts in counting.parts.items():
        known = [_count(values, part) for part in parts if part in values]
        rest = _count(values, whole) - sum(known)
        if any(_small(count, least) for count in (*known, rest, _count(values, whole))):
            hidden.update(parts)
        if whole in values and _small(_count(values, whole), least):
            hidden.add(whole)
    for field, counts in counting.derived.items():
        if sum(_count(values, count) for count in counts) < least:
            hidden.add(field)
    return {field for field in hidden if field in values}


def _small(count: float, least: int) -> bool:
    return count != 0 and count < least  # below zero: the parts are more than the whole, and nothing is sure


def _count(values: Mapping[str, object], field: str) -> float:
    value = values.get(field, 0)
    return float(value) if isinstance(value, int | float) else 0.0
