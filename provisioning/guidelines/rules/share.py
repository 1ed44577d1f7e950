# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""SHARE: use what stands there already, together, before anything new is put up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from provisioning.guidelines import ask, dialogues, nearby
from provisioning.guidelines.findings import Hit, Status
from provisioning.guidelines.rule import Answer, Case, rule

if TYPE_CHECKING:
    from provisioning.guidelines.nearby import Candidate
    from provisioning.model.papers import CoUseDialogue
    from provisioning.model.stock import Stock

_NOT_YET: Final = frozenset({"planned", "registered", "needs_approval", "approved"})
_WORKS: Final = frozenset({"operational"})


def _is_new(case: Case) -> bool:
    return ask.measures(case.record) and case.record.lifecycle.stage in _NOT_YET


@rule(
    "SHARE-1",
    when=_is_new,
    numbers=("height_difference_m", "replace_days", "remaining_months", "dialogue_months"),
)
def evaluated(case: Case) -> Answer:
    """Before a new device: was an existing one considered, in dialogue with kommunstyrelsen?"""
    worth = dialogues.weigh(case)
    hits: list[Hit] = []
    searches = []
    found_any = False
    for pointer, stream in ask.streams(case.record):
        lacking = nearby.undecidable(case, stream)
        if lacking is not None:
            hits.append(ask.missing(lacking, case="no_place", property=stream.property))
            continue
        entry = nearby.word(case.pack, stream.property)
        reach = None if entry is None else nearby.radius_m(entry, case.record)
        found = nearby.candidates(case, stream)
        searches.append({"property": stream.property, **nearby.search_record(case, found, reach)})
        found_any |= bool(found)
        left = [each for each in found if each.device.id not in worth.covered]
        if left and not worth.co_use:
            hits.append(_not_evaluated(case, pointer, stream.property, reach, left, worth))
    if worth.co_use:
        hits.append(Hit("co_use", "/share/dialogue_ref", observed=list(worth.co_use), values={"id": worth.co_use[0]}))
    approved = found_any and not hits
    status = Status.APPROVED if approved else None
    return Answer(
        tuple(hits),
        status,
        worth.used if approved else (),
        {"time": case.now.isoformat(), "searches": searches} if searches else {},
    )


def _not_evaluated(
    case: Case,
    pointer: str,
    name: str,
    reach: float | None,
    left: list[Candidate],
    worth: dialogues.Worth,
) -> Hit:
    place = case.record.location
    values = {
        "property": name,
        "count": len(left),
        "radius": reach,
        "address": (place.address if place is not None else None) or "–",
        "problems": "; ".join(worth.problems),
        "candidate": left[0].device.id,
    }
    variant = "dialogue_invalid" if worth.problems else ("new_candidate" if worth.used else "not_evaluated")
    ids = [each.device.id for each in left]
    return Hit(variant, f"{pointer}/property", ids, [], values, rows=tuple(each.row() for each in left))


@rule("SHARE-1b", when=_is_new, numbers=("near_miss_factor", "height_difference_m", "replace_days"))
def near_miss(case: Case) -> Iterator[Hit]:
    """What stands a little farther away is worth a thought."""
    for pointer, stream in ask.streams(case.record):
        entry = nearby.word(case.pack, stream.property)
        reach = None if entry is None else nearby.radius_m(entry, case.record)
        if reach is None or (entry is not None and entry.scope == "asset" and case.record.asset is not None):
            continue
        wide = nearby.candidates(case, stream, case.number("near_miss_factor"))
        beyond = [each for each in wide if each.distance_m > reach]
        if beyond:
            values: dict[str, object] = {"property": stream.property, "count": len(beyond), "radius": reach}
            values["candidate"] = beyond[0].device.id
            rows = tuple(each.row() for each in beyond)
            yield Hit("near", f"{pointer}/property", [each.device.id for each in beyond], [], values, rows=rows)


@rule("SHARE-2", when=lambda case: bool(dialogues.weigh(case).shared))
def shared_responsibility(case: Case) -> Iterator[Hit]:
    """Who shares is named, with a share, and one of them operates."""
    values = {"id": dialogues.weigh(case).shared[0]}
    if not case.record.co_owners:
        yield ask.missing("/co_owners", case="no_co_owner", **values)
    elif (total := sum(each.share_pct for each in case.record.co_owners)) > 100:
        yield Hit("split", "/co_owners", total, 100, {**values, "total": total})
    if case.record.operator is None:
        yield ask.missing("/operator", case="no_operator", **values)


@rule(
    "SHARE-3",
    when=lambda case: ask.measures(case.record) and case.record.lifecycle.stage in _WORKS,
    numbers=("height_difference_m",),
)
def duplicates(case: Case) -> Iterator[Hit]:
    """Two owners measure the same thing in one place, and nobody has talked about it."""
    covered = dialogues.weigh(case).covered
    for pointer, stream in ask.streams(case.record):
        found = [
            each
            for each in nearby.candidates(case, stream)
            if each.device.lifecycle.stage in _WORKS
            and each.device.owner_org != case.record.owner_org
            and each.device.id not in covered
            and not _talked(case, each)
        ]
        if found:
            values = {"property": stream.property, "count": len(found)}
            rows = tuple(each.row() for each in found)
            yield Hit("cluster", f"{pointer}/property", [each.device.id for each in found], [], values, rows=rows)


def _talked(case: Case, other: Candidate) -> bool:
    """Whether the other's dialogue was about this device."""
    papers = case.stock.dialogues(device_id=other.device.id, batch_id=other.device.batch)
    return any(
        each.signature.status == "valid" and case.record.id in {one.device_id for one in each.paper.candidates}
        for each in papers
    )


@rule("SHARE-4", when=lambda case: not ask.is_gateway(case.record))
def useful_to_others(case: Case) -> Iterator[Hit]:
    """Who else could use it was asked, and what it measures is said well enough to tell."""
    record = case.record
    if not record.streams and ask.measures(record):
        yield ask.missing("/streams", case="no_property")
    for pointer, stream in ask.streams(record):
        for name in ("unit", "interval_s"):
            if getattr(stream, name) is None:
                yield ask.missing(f"{pointer}/{name}", case="undescribed", stream=stream.property, what=name)
        if stream.accuracy is None and stream.accuracy_pct is None:
            yield ask.missing(f"{pointer}/accuracy", case="undescribed", stream=stream.property, what="accuracy")
    share = record.share
    if record.streams and (share is None or share.potential_users is None):
        yield ask.missing("/share/potential_users", case="nobody_asked")
    elif share is not None and share.potential_users == () and share.no_users_reason is None:
        yield ask.missing("/share/no_users_reason", case="nobody_why")


_asked_of: WeakKeyDictionary[Stock, dict[str, list[CoUseDialogue]]] = WeakKeyDictionary()


def _unanswered(stock: Stock, device_id: str) -> list[CoUseDialogue]:
    """Dialogues in which the owner of this device has not answered; a stock does not change while it is asked."""
    index = _asked_of.get(stock)
    if index is None:
        index = _asked_of[stock] = {}
        for signed in stock.dialogues():
            for each in signed.paper.candidates:
                if each.owner_answer == "no_answer":
                    index.setdefault(each.device_id, []).append(signed.paper)
    return index.get(device_id, [])


@rule("SHARE-5", when=lambda case: case.record.id is not None, numbers=("working_days",))
def answered(case: Case) -> Iterator[Hit]:
    """A question about sharing is answered in time."""
    for paper in _unanswered(case.stock, case.record.id or ""):
        asked = min(paper.dates)
        due = asked
        left = round(case.number("working_days"))
        while left:
            due += timedelta(days=1)
            left -= due.weekday() < 5
        if case.today > due:
            days = (case.today - due).days
            yield Hit("late", "/share", asked, due, {"id": paper.id, "asked": asked, "due": due, "days": days})
