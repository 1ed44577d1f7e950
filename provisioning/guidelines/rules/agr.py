# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""AGR: contracts that leave the city its data, its keys and its freedom."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

from provisioning.guidelines import ask
from provisioning.guidelines.findings import Hit
from provisioning.guidelines.rule import Case, rule

DATA_ACT_DESIGN_FROM: Final = date(2026, 9, 12)
"""Regulation (EU) 2023/2854, article 50: article 3(1) holds for products placed on the market after this day."""
_RIGHTS: Final = ("data_export", "interface_docs", "keys_handover", "multi_user_right")


@rule("AGR-1")
def rights(case: Case) -> Iterator[Hit]:
    """The contract leaves room: data out, interfaces described, keys handed over, more users."""
    contract = case.record.contract
    if contract is None:
        yield ask.missing("/contract/ref")
        return
    if contract.until is None:
        yield ask.missing("/contract/until", case="no_end", ref=contract.ref)
    for name in _RIGHTS:
        found = getattr(contract, name)
        if found is not True:
            yield Hit(
                name, f"/contract/{name}", found, required=True, values={"ref": contract.ref}, unknown=found is None
            )


@rule("AGR-2", when=lambda case: case.record.contract is not None)
def long_enough(case: Case) -> Iterator[Hit]:
    """The contract lasts as long as the device, or there is a plan."""
    record, contract = case.record, case.record.contract
    if contract is None:
        return
    end = record.lifecycle.planned_end
    planned = record.lifecycle.replacement_plan is not None
    if contract.until is not None and end is not None and contract.until < end and not planned:
        values = {"until": contract.until, "end": end, "ref": contract.ref}
        yield Hit("short", "/contract/until", contract.until, end, values)
    placed = None if record.model is None else record.model.placed_on_market
    if placed is not None and placed > DATA_ACT_DESIGN_FROM and contract.data_act_access is not True:
        yield Hit("data_act", "/contract/data_act_access", contract.data_act_access, required=True)
