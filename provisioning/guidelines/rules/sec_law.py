# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""SEC: what the law asks of products, what a thing that acts must do, what a gateway checks (SEC-10 to SEC-13)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

from provisioning.guidelines import ask
from provisioning.guidelines.findings import Hit, Mode
from provisioning.guidelines.rule import EVERYWHERE, Case, rule

RED_CYBER_FROM: Final = date(2025, 8, 1)
"""Delegated Regulation (EU) 2022/30, article 3(3)(d)(e)(f) of directive 2014/53/EU, as amended by 2023/2444."""
CRA_FROM: Final = date(2027, 12, 11)
"""Regulation (EU) 2024/2847, article 71."""
_RADIO: Final = frozenset({"lorawan", "nbiot", "ltem", "4g5g", "wifi"})
_SUPPORT_YEARS: Final = 5
"""Regulation (EU) 2024/2847, article 13(8)."""


@rule("SEC-10")
def conformity(case: Case) -> Iterator[Hit]:
    """It may be sold and used: the evidence is there for the day it was placed on the market."""
    record, model = case.record, case.record.model
    if model is None or model.placed_on_market is None:
        yield ask.missing("/model/placed_on_market")
        return
    placed = model.placed_on_market
    values = {"placed": placed, "from": RED_CYBER_FROM}
    radio = record.radio is not None or (record.network is not None and record.network.type in _RADIO)
    if radio and placed >= RED_CYBER_FROM and model.red_18031 is None:
        yield Hit("red", "/model/red_18031", None, "EN 18031", values, unknown=True)
    if placed >= CRA_FROM:
        values = {"placed": placed, "from": CRA_FROM}
        if model.cra_doc is None:
            yield Hit("cra", "/model/cra_doc", None, "CRA", values, unknown=True)
        until = None if record.support is None else record.support.until
        if until is None or (until - placed).days < _SUPPORT_YEARS * 365:
            yield Hit("cra_support", "/support/until", until, f">= {_SUPPORT_YEARS} a", {**values, "until": until})


@rule("SEC-11", when=lambda case: ask.acts(case.record))
def fails_safe(case: Case) -> Iterator[Hit]:
    """What acts obeys only those it knows, and does no harm when nobody speaks to it."""
    found = case.record.failsafe
    if found is None:
        yield ask.missing("/failsafe")
        return
    if not found.manual_override:
        yield Hit("no_override", "/failsafe/manual_override", observed=False, required=True)
    if found.commands_authenticated is not True:
        authenticated = found.commands_authenticated
        field = "/failsafe/commands_authenticated"
        yield Hit("open_commands", field, authenticated, required=True, unknown=authenticated is None)


def _validates(case: Case) -> bool:
    seen = case.observed
    return (seen is not None and seen.registered) if case.mode is Mode.GATEWAY else ask.is_gateway(case.record)


@rule("SEC-12", when=_validates, modes=EVERYWHERE)
def validated(case: Case) -> Iterator[Hit]:
    """The gateway takes nothing that is not what it should be: length, codec, range, counter."""
    seen = case.observed
    if seen is not None:
        if seen.rejected:
            values = {"count": seen.rejected, "gateway": seen.gateway}
            yield Hit("rejected", "/streams", seen.rejected, 0, values)
    elif "input_validation" not in case.record.controls:
        yield ask.missing("/controls", "input_validation", case="no_validation")


@rule("SEC-13")
def incidents(case: Case) -> Iterator[Hit]:
    """Somebody reports when something has happened."""
    if case.record.incident_contact is None:
        yield ask.missing("/incident_contact")
