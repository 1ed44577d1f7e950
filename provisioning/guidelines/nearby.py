# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which devices of the city measure the same thing in the same place (guidelines 2.4)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from provisioning.guidelines import ask
from provisioning.guidelines.pack import ANY_SITE, Pack, Property
from provisioning.model import geo
from provisioning.model.lifecycle import STANDING
from provisioning.model.stock import Near

if TYPE_CHECKING:
    from provisioning.guidelines.rule import Case
    from provisioning.model.device import DeviceRecord
    from provisioning.model.streams import Stream


@dataclass(frozen=True, slots=True)
class Candidate:
    """A device that measures what a new one is to measure."""

    device: DeviceRecord
    stream: Stream
    distance_m: float
    lacks: tuple[str, ...]
    """In what it is worse than asked for: `interval`, `accuracy`, `availability`, `lifetime`."""

    @property
    def fit(self) -> str:
        """`good`, or `partial` where it lacks something."""
        return "partial" if self.lacks else "good"

    def row(self) -> dict[str, object]:
        """What is shown of it."""
        return {
            "device_id": self.device.id,
            "distance_m": round(self.distance_m),
            "owner": self.device.owner_org,
            "property": self.stream.property,
            "interval_s": self.stream.interval_s,
            "fit": self.fit,
            "lacks": list(self.lacks),
        }


def word(pack: Pack, name: str) -> Property | None:
    """The entry of the vocabulary, None for a word that is not in it."""
    return pack.tables.vocabulary.get(name)


def covers(pack: Pack, name: str, other: str) -> bool:
    """Whether `other` is `name` or a narrower word for it."""
    seen: set[str] = set()
    while other not in seen:
        if other == name:
            return True
        seen.add(other)
        entry = word(pack, other)
        if entry is None or entry.broader is None:
            return False
        other = entry.broader
    return False


def radius_m(entry: Property, record: DeviceRecord) -> float | None:
    """How far apart two devices may be and still measure the same; None where only the same asset counts."""
    site = None if record.location is None else record.location.site_type
    return entry.radius_m.get(site or ANY_SITE, entry.radius_m.get(ANY_SITE))


def undecidable(case: Case, stream: Stream) -> str | None:
    """Field without which no search can be made; None where one can."""
    entry = word(case.pack, stream.property)
    if entry is None or entry.scope == "none":
        return None
    needs_place = entry.scope != "asset" or case.record.asset is None
    if needs_place and case.record.location is None:
        return "/location"
    return None


def candidates(case: Case, stream: Stream, times: float = 1.0) -> list[Candidate]:
    """Devices that measure the same within `times` the radius, nearest first."""
    entry = word(case.pack, stream.property)
    if entry is None or entry.scope == "none":
        return []
    found: dict[str, Candidate] = {}
    for near in _in_reach(case, entry, times):
        if not _counts(case, entry, near.device):
            continue
        for theirs in near.device.streams:
            if covers(case.pack, stream.property, theirs.property):
                lacks = tuple(_lacks(case, stream, near.device, theirs))
                found.setdefault(near.device.id or "", Candidate(near.device, theirs, near.distance_m, lacks))
    return sorted(found.values(), key=lambda each: (each.distance_m, each.device.id))


def _in_reach(case: Case, entry: Property, times: float) -> Iterator[Near]:
    record, place = case.record, case.record.location
    if entry.scope == "asset" and record.asset is not None:
        for device in case.stock.devices_at(record.asset.id):
            yield _near(record, device)
        return
    reach = radius_m(entry, record)
    if place is not None and reach is not None:
        yield from case.stock.devices_near(place.lat, place.lon, reach * times)


def _near(record: DeviceRecord, device: DeviceRecord) -> Near:
    here, there = record.location, device.location
    if here is None or there is None:
        return Near(device, 0.0)
    return Near(device, geo.distance_m(here.lat, here.lon, there.lat, there.lon))


def _counts(case: Case, entry: Property, device: DeviceRecord) -> bool:
    record = case.record
    if device.id == record.id or (record.batch is not None and device.batch == record.batch):
        return False
    if device.lifecycle.stage not in STANDING or ask.is_gateway(device) or _replaced(case, device):
        return False
    if device.external and (device.share is None or device.share.shareable is not True):
        return False
    return _same_place(case, entry, device)


def _replaced(case: Case, device: DeviceRecord) -> bool:
    """Whether the new device takes the place of this one, which is about to go."""
    if case.record.lifecycle.replaces != device.id or case.record.owner_org != device.owner_org:
        return False
    goes = device.lifecycle.retires_at
    days = case.entry.numbers.get("replace_days", 0.0)
    return goes is not None and goes <= case.today + timedelta(days=days)


def _same_place(case: Case, entry: Property, device: DeviceRecord) -> bool:
    here, there = case.record.location, device.location
    if here is None or there is None:
        return True
    if here.indoor != there.indoor:
        return False
    limit = case.entry.numbers.get("height_difference_m")
    apart_m = 0.0 if here.height_m is None or there.height_m is None else abs(here.height_m - there.height_m)
    if entry.scope != "asset" and limit is not None and apart_m > limit:
        return False
    if entry.same_site_type and here.site_type and there.site_type and here.site_type != there.site_type:
        return False
    if entry.scope == "segment" and here.segment_id and there.segment_id:
        same_way = here.direction is None or there.direction is None or here.direction == there.direction
        return here.segment_id == there.segment_id and same_way
    return True


def _lacks(case: Case, ours: Stream, device: DeviceRecord, theirs: Stream) -> Iterator[str]:
    if ours.interval_s is None or theirs.interval_s is None or theirs.interval_s > ours.interval_s:
        yield "interval"
    if ours.accuracy_pct is not None and (theirs.accuracy_pct is None or theirs.accuracy_pct > ours.accuracy_pct):
        yield "accuracy"
    if ours.klassa is not None and (theirs.klassa is None or theirs.klassa.T < ours.klassa.T):
        yield "availability"
    end = device.lifecycle.planned_end
    months = case.pack.number("SHARE-1", "remaining_months")
    if end is None or end < case.today + timedelta(days=round(months * ask.DAYS_PER_MONTH)):
        yield "lifetime"


def search_record(case: Case, found: list[Candidate], reach_m: float | None) -> dict[str, object]:
    """What a search is remembered by: when, how far, in which register, and what it found."""
    ids = sorted(each.device.id or "" for each in found)
    told = json.dumps([case.stock.revision, reach_m, ids])
    return {
        "R": reach_m,
        "rev": case.stock.revision,
        "hash": hashlib.sha256(told.encode()).hexdigest(),
        "candidates": ids,
    }
