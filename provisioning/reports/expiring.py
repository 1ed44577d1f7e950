# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What runs out: papers, signing keys, certificates, and of each device its support, contract, funding and class."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from provisioning.model.device import DeviceRecord
from provisioning.model.papers import Signed, expiry
from provisioning.model.stock import Stock

_CLASS_DAYS = 365


class Ending(NamedTuple):
    """Something that ends, or has ended."""

    day: date
    what: str
    about: str
    owner: str
    """Whom it concerns."""


def expiring(stock: Stock, days: int, now: datetime | None = None) -> list[Ending]:
    """Everything that ends within so many days, and what has ended and still stands; soonest first."""
    now = datetime.now(UTC) if now is None else now
    last = now.date() + timedelta(days=days)
    found = [*_papers(stock), *_people(stock), *_gateways(stock)]
    for device in stock.devices():
        if device.lifecycle.stage not in {"retired", "disposed"}:
            found += _of_device(device)
    return sorted(ending for ending in found if ending.day <= last)


def _papers(stock: Stock) -> Iterator[Ending]:
    signed: list[Signed[Any]] = [*stock.waivers(), *stock.approvals(), *stock.dialogues()]
    for each in signed:
        paper = each.paper
        about = getattr(paper, "rule_id", None) or paper.case_ref
        yield Ending(expiry(paper).date(), paper.type, f"{paper.id} ({about})", each.signature.org or "")


def _people(stock: Stock) -> Iterator[Ending]:
    for holder in stock.role_holders():
        if holder.revoked_at is None:
            yield Ending(holder.valid_to, "signing key", f"{holder.id} ({holder.role})", holder.org)


def _gateways(stock: Stock) -> Iterator[Ending]:
    for gateway in stock.gateways():
        if gateway.state == "registered":
            yield Ending(gateway.not_after.date(), "gateway certificate", gateway.name, "")


def _of_device(device: DeviceRecord) -> Iterator[Ending]:
    about, owner, life = device.id or "", device.owner_org or "", device.lifecycle
    ends = [
        ("support", device.support.until if device.support else None),
        ("contract", device.contract.until if device.contract else None),
        ("funding", device.cost.funding_until if device.cost else None),
        ("planned use", life.planned_end),
        ("testbed", life.testbed_until),
    ]
    for stream in device.streams:
        if stream.klassa is not None:
            ends.append((f"classification of {stream.property}", stream.klassa.date + timedelta(days=_CLASS_DAYS)))
    for what, day in ends:
        if day is not None:
            yield Ending(day, what, about, owner)
