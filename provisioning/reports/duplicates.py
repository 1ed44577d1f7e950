# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Clusters of devices that measure the same in the same place for different owners: what SHARE-3 found, joined."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from provisioning.model.device import DeviceRecord
from provisioning.reports.judged import Judged, judge

if TYPE_CHECKING:
    from provisioning.guidelines.engine import Guidelines
    from provisioning.model.stock import Stock

RULE = "SHARE-3"


class Cluster(NamedTuple):
    """Devices that could be one."""

    measures: str
    devices: tuple[DeviceRecord, ...]

    @property
    def owners(self) -> tuple[str, ...]:
        """Who should talk to each other."""
        return tuple(sorted({device.owner_org or "?" for device in self.devices}))


def of_city(rules: Guidelines) -> list[Cluster]:
    """All clusters of the city; only their rule is asked."""
    judged = judge(rules.only(RULE), rules.stock.devices())
    return clusters(judged, rules.stock)


def clusters(judged: Judged, stock: Stock) -> list[Cluster]:
    """The clusters among what was judged; the largest first."""
    links: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for device_id, findings in judged.findings.items():
        for each in findings:
            if each.rule_id == RULE and each.open and each.hit is not None:
                measures = str(each.hit.values.get("property", ""))
                links[measures] += [(device_id, str(row["device_id"])) for row in each.hit.rows]
    found = [_cluster(name, group, stock) for name, pairs in links.items() for group in _joined(pairs)]
    return sorted(found, key=lambda each: (-len(each.devices), each.measures, each.devices[0].id or ""))


def _cluster(measures: str, ids: list[str], stock: Stock) -> Cluster:
    return Cluster(measures, tuple(device for each in ids if (device := stock.device(each)) is not None))


def _joined(pairs: list[tuple[str, str]]) -> Iterator[list[str]]:
    """Join pairs that share a device; ids of a group are in order."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for pair in pairs:
        for each in pair:
            parent.setdefault(each, each)
        parent[root(pair[0])] = root(pair[1])
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(parent):
        groups[root(name)].append(name)
    yield from groups.values()
