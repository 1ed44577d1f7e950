# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""GOV: the frame. The pack is in force and signed, waivers count, and there is a need."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning.guidelines import ask, waivers
from provisioning.guidelines.findings import Hit
from provisioning.guidelines.rule import Case, rule


@rule("GOV-1", external=True, after_end=True)
def pack_in_force(case: Case) -> Iterator[Hit]:
    """The rules that judge are the city's, and of today."""
    header = case.pack.pack
    values = {"version": header.version, "from": header.valid_from, "to": header.valid_to}
    if not header.valid_from <= case.today < header.valid_to:
        yield Hit("not_in_force", "/rulepack_version", header.version, values=values)
    if case.trust.problem is not None:
        yield Hit(case.trust.problem, "/rulepack_version", header.version, values={**values, "why": case.trust.detail})


@rule("GOV-2", numbers=("warn_days",))
def waivers_count(case: Case) -> Iterator[Hit]:
    """Every waiver that names it is one that counts. One whose time is over is found again by its rule."""
    for each in waivers.weigh(case.record, case.stock, case.pack, case.now):
        values = {
            "waiver": each.id,
            "rule": each.rule_id,
            "why": each.detail,
            "until": each.until,
            "days": each.days_left,
        }
        if each.problem is not None and each.problem != "expired":
            yield Hit(each.problem, "/waivers", each.id, values=values)
        elif each.problem is None and each.days_left <= case.number("warn_days"):
            yield Hit("ending", "/waivers", each.id, values=values)


@rule("GOV-3", numbers=("characters",))
def need(case: Case) -> Iterator[Hit]:
    """A need comes first, and the technology after it."""
    found, least = case.record.need, case.number("characters")
    if found is None or found.summary is None:
        yield ask.missing("/need/summary")
    elif len(found.summary) < least:
        values = {"count": len(found.summary), "least": least}
        yield Hit("short", "/need/summary", found.summary, f">= {least:g}", values)
    if (found is None or found.ref is None) and case.record.project is None:
        yield ask.missing("/need/ref", case="no_ref")
