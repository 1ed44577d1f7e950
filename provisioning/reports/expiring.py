# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What runs out: papers, signing keys, certificates, and of each device its support, contract, funding and class."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from provisioning.guidelines import deadlines

if TYPE_CHECKING:
    from provisioning.guidelines.pack import Pack
    from provisioning.model.papers import Signed
    from provisioning.model.stock import Stock


class Ending(NamedTuple):
    """Something that ends, or has ended."""

    day: date
    what: str
    about: str
    owner: str
    """Whom it concerns."""


def expiring(stock: Stock, pack: Pack, days: int, now: datetime | None = None) -> list[Ending]:
    """Everything that ends within so many days, and what has ended and still stands; soonest first."""
    now = datetime.now(UTC) if now is None else now
    last = now.date() + timedelta(days=days)
    found = [*_papers(stock, pack), *_people(stock), *_gateways(stock)]
    for device in stock.devices():
        if device.lifecycle.stage not in {"retired", "disposed"}:
            about, owner = device.id or "", device.owner_org or ""
            found += [Ending(day, what, about, owner) for day, what in deadlines.of_device(device, pack)]
    return sorted(ending for ending in found if ending.day <= last)


def _papers(stock: Stock, pack: Pack) -> Iterator[Ending]:
    signed: list[Signed[Any]] = [*stock.waivers(), *stock.approvals(), *stock.dialogues()]
    for each in signed:
        paper = each.paper
        about = getattr(paper, "rule_id", None) or paper.case_ref
        yield Ending(
            deadlines.paper_end(paper, pack).date(), paper.type, f"{paper.id} ({about})", each.signature.org or ""
        )


def _people(stock: Stock) -> Iterator[Ending]:
    for holder in stock.role_holders():
        if holder.revoked_at is None:
            yield Ending(holder.valid_to, "signing key", f"{holder.id} ({holder.role})", holder.org)


def _gateways(stock: Stock) -> Iterator[Ending]:
    for gateway in stock.gateways():
        if gateway.state == "registered":
            yield Ending(gateway.not_after.date(), "gateway certificate", gateway.name, "")
