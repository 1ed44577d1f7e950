# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Clusters of devices that measure the same in the same place for different owners (guidelines SHARE-3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from provisioning.model.device import DeviceRecord
from provisioning.model.stock import Stock

MAX_HEIGHT_M: Final = 10.0


class Reach(NamedTuple):
    """How far apart two devices may be and still measure the same (the table R of the rule pack)."""

    scope: str
    """`asset`, `segment`, `area`, `water_body`; `none` for what never counts."""
    radius_m: float | None
    same_site_type: bool = False


ReachOf = Callable[[DeviceRecord, str], Reach | None]
"""The reach of a property where a device stands; None for a word that is not in the vocabulary."""


class Cluster(NamedTuple):
    """Devices that could be one."""

    measures: str
    devices: tuple[DeviceRecord, ...]

    @property
    def owners(self) -> tuple[str, ...]:
        """Who should talk to each other."""
        return tuple(sorted({device.owner_org or "?" for device in self.devices}))


def clusters(stock: Stock, reach_of: ReachOf) -> list[Cluster]:
    """All clusters of operational devices without a dialogue between them; the largest first.

    Asks for neighbours of each device by place, so its time grows with the devices and not with their pairs.
    """
    talked = _talked(stock)
    links: defaultdict[str, list[tuple[DeviceRecord, DeviceRecord]]] = defaultdict(list)
    for device in stock.devices():
        if device.lifecycle.stage == "operational" and not device.external:
            for name, other in _same(stock, device, reach_of):
                if frozenset({device.id, other.id}) not in talked:
                    links[name].append((device, other))
    found = [Cluster(name, group) for name, pairs in links.items() for group in _joined(pairs)]
    kept = [cluster for cluster in found if len(cluster.owners) > 1]
    return sorted(kept, key=lambda each: (-len(each.devices), each.measures, each.devices[0].id or ""))


def _talked(stock: Stock) -> set[frozenset[str | None]]:
    """Pairs that a signed dialogue has dealt with."""
    pairs: set[frozenset[str | None]] = set()
    for each in stock.dialogues():
        if each.signature.status == "valid":
            scope = each.paper.scope
            new = {*scope.device_ids, *(one.id for one in stock.devices_of_batch(scope.batch_id or ""))}
            pairs |= {frozenset({one, old.device_id}) for one in new for old in each.paper.candidates}
    return pairs


def _same(stock: Stock, device: DeviceRecord, reach_of: ReachOf) -> Iterator[tuple[str, DeviceRecord]]:
    for stream in device.streams:
        reach = reach_of(device, stream.property)
        if reach is None or reach.scope == "none":
            continue
        for other in _around(stock, device, reach):
            measures = any(theirs.property == stream.property for theirs in other.streams)
            if (other.id or "") > (device.id or "") and measures and _fits(device, other, reach):
                yield stream.property, other


def _around(stock: Stock, device: DeviceRecord, reach: Reach) -> Iterable[DeviceRecord]:
    if reach.scope == "asset" and device.asset is not None:
        return stock.devices_at(device.asset.id)
    place = device.location
    if place is None or reach.radius_m is None:
        return []
    return [near.device for near in stock.devices_near(place.lat, place.lon, reach.radius_m)]


def _fits(device: DeviceRecord, other: DeviceRecord, reach: Reach) -> bool:
    if other.lifecycle.stage != "operational" or other.external or other.owner_org == device.owner_org:
        return False
    here, there = device.location, other.location
    if here is None or there is None:
        return True
    if here.indoor != there.indoor:
        return False
    if reach.scope == "segment" and here.segment_id and there.segment_id:
        same_way = here.direction is None or there.direction is None or here.direction == there.direction
        return here.segment_id == there.segment_id and same_way
    if reach.same_site_type and here.site_type and there.site_type and here.site_type != there.site_type:
        return False
    apart_m = 0.0 if here.height_m is None or there.height_m is None else abs(here.height_m - there.height_m)
    return reach.scope == "asset" or apart_m <= MAX_HEIGHT_M


def _joined(pairs: list[tuple[DeviceRecord, DeviceRecord]]) -> Iterator[tuple[DeviceRecord, ...]]:
    """Join pairs that share a device."""
    parent: dict[str, str] = {}
    known: dict[str, DeviceRecord] = {}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for pair in pairs:
        for device in pair:
            known[device.id or ""] = device
            parent.setdefault(device.id or "", device.id or "")
        parent[root(pair[0].id or "")] = root(pair[1].id or "")
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(parent):
        groups[root(name)].append(name)
    for group in groups.values():
        yield tuple(known[name] for name in group)
