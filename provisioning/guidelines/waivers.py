# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Whether a waiver or an approval counts: asked here for register, audit, gateway and report alike (guidelines 2.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provisioning.guidelines.pack import Pack, RuleEntry
    from provisioning.model.device import DeviceRecord
    from provisioning.model.papers import Approval, Signature, Signed, Waiver
    from provisioning.model.stock import Stock

MIN_REASON: Final = 30


@dataclass(frozen=True, slots=True)
class Weighed:
    """A waiver and what it is worth."""

    id: str
    rule_id: str
    problem: str | None
    """Name of a message of GOV-2; None where the waiver counts."""
    detail: str
    role: str
    """In which it was signed, as the rule's approvers call it; empty where it does not count."""
    until: datetime
    days_left: int


def weigh(record: DeviceRecord, stock: Stock, pack: Pack, now: datetime) -> list[Weighed]:
    """Weigh every waiver that names the device or its batch, by id."""
    papers = stock.waivers(device_id=record.id, batch_id=record.batch)
    return [_weigh(each, record, stock, pack, now) for each in papers]


def _weigh(signed: Signed[Waiver], record: DeviceRecord, stock: Stock, pack: Pack, now: datetime) -> Weighed:
    paper = signed.paper
    entry = pack.rules.get(paper.rule_id)
    problem, detail = "unknown_rule", paper.rule_id
    roles: set[str] = set()
    if entry is not None:
        roles = roles_of(signed.signature, record)
        problem, detail = _problem(signed, entry, roles, now) or _unknown_device(signed, stock) or ("", "")
    wanted = {role for alternative in (entry.approvers if entry else ()) for role in alternative}
    counted = sorted(roles & wanted)
    days_left = math.floor((paper.expires - now) / timedelta(days=1))
    role = "" if problem or not counted else counted[0]
    return Weighed(paper.id, paper.rule_id, problem or None, detail, role, paper.expires, days_left)


def _problem(signed: Signed[Waiver], entry: RuleEntry, roles: set[str], now: datetime) -> tuple[str, str] | None:
    paper, signature = signed.paper, signed.signature
    if not entry.waivable:
        return "not_waivable", paper.rule_id
    if signature.status != "valid":
        return "signature", signature.status
    wanted = {role for alternative in entry.approvers for role in alternative}
    if not roles & wanted or signature.role != paper.approved_by.role:
        return "role", f"{signature.role}, {paper.approved_by.role}"
    if same_person(paper.requested_by, paper.approved_by.name, signature.name):
        return "self_approved", paper.requested_by
    if paper.expires - paper.issued > timedelta(days=entry.max_waiver_days):
        return "too_long", str(entry.max_waiver_days)
    if len(paper.reason_text) < MIN_REASON:
        return "no_reason", str(len(paper.reason_text))
    if bool(paper.scope.device_ids) == (paper.scope.batch_id is not None):
        return "scope", ""
    if now < paper.issued:
        return "not_yet", paper.issued.date().isoformat()
    return ("expired", paper.expires.date().isoformat()) if now >= paper.expires else None


def _unknown_device(signed: Signed[Waiver], stock: Stock) -> tuple[str, str] | None:
    unknown = [each for each in signed.paper.scope.device_ids if stock.device(each) is None]
    return ("unknown_device", ", ".join(unknown[:3])) if unknown else None


def same_person(requested_by: str, *others: str | None) -> bool:
    """Whether somebody decided on what they asked for; capitals and spaces do not make two people of one."""
    asked = " ".join(requested_by.split()).casefold()
    return any(" ".join(other.split()).casefold() == asked for other in others if other is not None)


def roles_of(signature: Signature, record: DeviceRecord) -> set[str]:
    """The roles in which a signature counts for this device; of the owner's kind only from the right organisation."""
    role = signature.role
    if signature.status != "valid" or role is None:
        return set()
    if role == "owner":
        asset = record.asset
        found = {"owner"} if signature.org == record.owner_org else set()
        return found | ({"asset_owner"} if asset is not None and signature.org == asset.owner_org else set())
    if role == "info_owner":
        return {"info_owner"} if signature.org in {each.info_owner for each in record.streams} else set()
    return {role}


def enough(roles: Iterable[str], alternatives: tuple[tuple[str, ...], ...]) -> bool:
    """Whether all roles of one alternative have signed."""
    have = set(roles)
    return any(have.issuperset(alternative) for alternative in alternatives)


def approved_by(record: DeviceRecord, stock: Stock, rule_id: str, now: datetime) -> dict[str, str]:
    """Ids of the approvals of this rule that count, by role."""
    found: dict[str, str] = {}
    for each in stock.approvals(device_id=record.id, batch_id=record.batch):
        if each.paper.rule_id == rule_id and _approval_counts(each, record, now):
            found |= dict.fromkeys(roles_of(each.signature, record), each.paper.id)
    return found


def _approval_counts(signed: Signed[Approval], record: DeviceRecord, now: datetime) -> bool:
    paper, signature = signed.paper, signed.signature
    own = signature.by(paper.decided_by.role) and paper.applicant_org == record.owner_org
    in_time = paper.valid_from <= now.astimezone(UTC).date() <= paper.valid_to and now >= paper.issued
    return own and in_time and not same_person(paper.requested_by, paper.decided_by.name, signature.name)
