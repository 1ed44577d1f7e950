# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Until when something holds, by the numbers of the rule pack: one answer for the rules and for what runs out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from provisioning.guidelines.ask import DAYS_PER_MONTH, stands
from provisioning.model.papers import CoUseDialogue, Paper, expiry

if TYPE_CHECKING:
    from provisioning.guidelines.pack import Pack
    from provisioning.model.device import DeviceRecord


class Deadline(NamedTuple):
    """The last day of something."""

    day: date
    what: str


def confirm_by(last: date, pack: Pack) -> date:
    """When the owner has to say again that a device is needed (LIFE-3); `last`: when it was said, or installed."""
    return last + timedelta(days=round(pack.number("LIFE-3", "confirm_months") * DAYS_PER_MONTH))


def dialogue_end(paper: CoUseDialogue, pack: Pack) -> datetime:
    """When a dialogue on co-use does not count any more (SHARE-1)."""
    months = pack.number("SHARE-1", "dialogue_months")
    return min(paper.expires, paper.issued + timedelta(days=round(months * DAYS_PER_MONTH)))


def paper_end(paper: Paper, pack: Pack) -> datetime:
    """When a paper does not count any more."""
    return dialogue_end(paper, pack) if isinstance(paper, CoUseDialogue) else expiry(paper)


def of_device(record: DeviceRecord, pack: Pack) -> Iterator[Deadline]:
    """What ends of a device: stated ends, and those that follow from the rules."""
    life = record.lifecycle
    stated = {
        "support": record.support.until if record.support else None,
        "contract": record.contract.until if record.contract else None,
        "funding": record.cost.funding_until if record.cost else None,
        "planned use": life.planned_end,
        "testbed": life.testbed_until,
    }
    yield from (Deadline(day, what) for what, day in stated.items() if day is not None)
    valid = timedelta(days=pack.number("SEC-1", "max_age_days"))
    for stream in record.streams:
        if stream.klassa is not None:
            yield Deadline(stream.klassa.date + valid, f"classification of {stream.property}")
    installed = None if life.installed_at is None else life.installed_at.astimezone(UTC).date()
    last = life.confirmed_at or installed
    if last is not None and stands(record):
        yield Deadline(confirm_by(last, pack), "confirmation by its owner")
