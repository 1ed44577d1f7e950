# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""OWN: who answers for a device, its data and what it hangs on."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning.guidelines import ask
from provisioning.guidelines.findings import Hit
from provisioning.guidelines.rule import AT_GATEWAY, Case, rule
from provisioning.model.lifecycle import TALKING


def _body(case: Case, org_id: str, field: str) -> Iterator[Hit]:
    org = case.stock.organisation(org_id)
    if org is None:
        yield Hit("unknown_org", field, observed=org_id, values={"org": org_id})
    elif org.kind not in ask.CITY_KINDS:
        yield Hit("not_city", field, observed=org.kind, required="namnd, bolag", values={"org": org_id})
    elif not org.active:
        yield Hit("inactive", field, observed=org_id, values={"org": org_id})


@rule("OWN-1")
def owner(case: Case) -> Iterator[Hit]:
    """A committee or company of the city owns it and can be reached."""
    found = case.record.owner
    if found is None:
        yield ask.missing("/owner/org_id")
        return
    yield from _body(case, found.org_id, "/owner/org_id")
    if found.contact is None:
        yield ask.missing("/owner/contact", case="no_contact")


@rule("OWN-2", when=lambda case: bool(case.record.streams))
def information_owner(case: Case) -> Iterator[Hit]:
    """Each stream has somebody who answers for the data."""
    for pointer, stream in ask.streams(case.record):
        field = f"{pointer}/info_owner"
        if stream.info_owner is None:
            yield ask.missing(field, stream=stream.property)
        elif not ask.is_city_body(case, stream.info_owner):
            yield Hit("not_city", field, observed=stream.info_owner, values={"stream": stream.property})


@rule("OWN-3", when=lambda case: case.record.operator is not None)
def operator(case: Case) -> Iterator[Hit]:
    """Who operates it for the owner has a contract."""
    found = case.record.operator
    if found is not None and found.org != case.record.owner_org and found.contract_ref is None:
        yield Hit("no_contract", "/operator/contract_ref", observed=found.org, values={"org": found.org})


@rule("OWN-4", modes=AT_GATEWAY, numbers=("keep_h",), external=True, after_end=True)
def known_at_the_gateway(case: Case) -> Iterator[Hit]:
    """Who talks is registered and approved."""
    seen = case.observed
    if seen is None:
        return
    values = {"dev_eui": seen.dev_eui, "gateway": seen.gateway, "stage": case.record.lifecycle.stage}
    if not seen.registered:
        yield Hit("unregistered", "/identity/dev_eui", observed=seen.dev_eui, values=values)
    elif case.record.lifecycle.stage not in TALKING:
        stage = case.record.lifecycle.stage
        yield Hit("not_approved", "/lifecycle/stage", observed=stage, required=sorted(TALKING), values=values)


@rule("OWN-5")
def asset(case: Case) -> Iterator[Hit]:
    """What it hangs on is named, and its owner has agreed."""
    found = case.record.asset
    if found is None:
        yield ask.missing("/asset/id")
        return
    values = {"asset": found.id, "org": found.owner_org}
    if found.owner_org is None:
        yield ask.missing("/asset/owner_org", case="no_owner", **values)
    elif found.owner_org != case.record.owner_org and found.consent_ref is None:
        yield Hit("no_consent", "/asset/consent_ref", observed=found.owner_org, values=values)
