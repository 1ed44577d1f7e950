# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""COST: who pays, and for how long that is decided."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provisioning.guidelines import ask
from provisioning.guidelines.findings import Hit
from provisioning.guidelines.rule import Case, rule

_WHOLE_PCT: Final = 100.0
_ROUNDING_PCT: Final = 0.01


@rule("COST-1")
def bearer(case: Case) -> Iterator[Hit]:
    """The area that uses it bears its cost."""
    cost = case.record.cost
    if cost is None:
        yield ask.missing("/cost/bearer")
        return
    values = {"org": cost.bearer}
    if not ask.is_city_body(case, cost.bearer):
        yield Hit("not_city", "/cost/bearer", cost.bearer, "namnd, bolag", values)
    elif cost.bearer not in {case.record.owner_org, *(each.org for each in case.record.co_owners)}:
        yield Hit("not_owner", "/cost/bearer", cost.bearer, case.record.owner_org, values)
    if cost.cost_centre is None:
        yield ask.missing("/cost/cost_centre", case="no_cost_centre")


@rule("COST-2")
def funding(case: Case) -> Iterator[Hit]:
    """Running it is paid for until its end, before it begins."""
    cost = case.record.cost
    if cost is None or cost.run_sek_y is None:
        yield ask.missing("/cost/run_sek_y", case="no_running_cost")
    if cost is not None and cost.decision_ref is not None:
        return
    until = None if cost is None else cost.funding_until
    end = case.record.lifecycle.planned_end
    if until is None:
        yield ask.missing("/cost/funding_until", end, case="no_funding")
    elif end is None:
        yield ask.missing("/lifecycle/planned_end", case="no_end", until=until)
    elif until < end:
        yield Hit("short", "/cost/funding_until", until, end, {"until": until, "end": end})


@rule("COST-3")
def price_item(case: Case) -> Iterator[Hit]:
    """What of the common infrastructure it uses is named in the price list."""
    record = case.record
    common = record.platform is not None and record.platform.kind == "common"
    shared_net = record.network is not None and record.network.service_id is not None
    if (common or shared_net) and (record.cost is None or record.cost.price_item is None):
        yield Hit("missing", "/cost/price_item")


@rule("COST-4", when=lambda case: bool(case.record.co_owners))
def split(case: Case) -> Iterator[Hit]:
    """Shares add up. The owner bears what the co-owners leave, unless it is listed among them."""
    shares = case.record.co_owners
    total = sum(each.share_pct for each in shares)
    listed = [each.org for each in shares]
    values = {"total": total}
    if len(set(listed)) < len(listed):
        yield Hit("twice", "/co_owners", observed=sorted(listed), values=values)
    whole = case.record.owner_org in listed
    if total > _WHOLE_PCT + _ROUNDING_PCT or (whole and abs(total - _WHOLE_PCT) > _ROUNDING_PCT):
        yield Hit("sum", "/co_owners", total, _WHOLE_PCT, values)


@rule("COST-5", when=lambda case: bool(case.record.co_owners) or any(each.consumers for each in case.record.streams))
def saved(case: Case) -> Iterator[Hit]:
    """What sharing saves is estimated, for the yearly report."""
    if case.record.cost is None or case.record.cost.saved_sek is None:
        yield Hit("missing", "/cost/saved_sek")
