# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The figures of the yearly report (guidelines section 4): one function each. What cannot be known is empty."""

from __future__ import annotations

import hashlib
import inspect
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from provisioning.model.device import DeviceRecord
from provisioning.model.papers import expiry
from provisioning.model.streams import Stream
from provisioning.reports.scope import Scope

REAL_TIME_S: Final = 3600
DELIVERING: Final = 0.9
CONFIRM_DAYS: Final = 730
CLASSIFIED_DAYS: Final = 365


@dataclass(frozen=True)
class Cell:
    """One number of a figure, or why there is none."""

    name: str
    value: float | None
    unit: str = ""
    of: float | None = None
    """What the value is a part of."""
    source: str = "register"
    ask: str = ""
    """Who can tell, where the value is empty."""

    @property
    def percent(self) -> float | None:
        """The value as a share of `of`, in per cent."""
        return None if self.value is None or not self.of else round(100 * self.value / self.of, 1)


@dataclass(frozen=True)
class Figure:
    """One of the sixteen."""

    id: str
    title: str
    cells: list[Cell]
    query_sha256: str
    details: Mapping[str, float] = field(default_factory=dict)
    """A breakdown, for tables and pictures."""


Details = dict[str, float]
Maker = Callable[[Scope], tuple[list[Cell], Details]]
MAKERS: Final[dict[str, tuple[str, Maker]]] = {}


def figure(figure_id: str, title: str) -> Callable[[Maker], Maker]:
    """Register the maker of a figure."""

    def register(maker: Maker) -> Maker:
        MAKERS[figure_id] = (title, maker)
        return maker

    return register


def compute(scope: Scope) -> list[Figure]:
    """All figures of a scope, in the order of their numbers."""
    made = []
    for figure_id in sorted(MAKERS, key=lambda each: int(each[1:])):
        title, maker = MAKERS[figure_id]
        cells, details = maker(scope)
        digest = hashlib.sha256(inspect.getsource(maker).encode()).hexdigest()
        made.append(Figure(figure_id, title, cells, digest, details))
    return made


def _streams(devices: Iterable[DeviceRecord]) -> list[tuple[DeviceRecord, Stream]]:
    return [(device, stream) for device in devices for stream in device.streams]


def _from_fact(scope: Scope, name: str, fact_id: str, unit: str, ask: str) -> Cell:
    fact = scope.facts.get(fact_id)
    if fact is None:
        return Cell(name, None, unit, source="", ask=ask)
    return Cell(name, fact.value, unit, source=f"{fact.source} ({fact.date})")


@figure("K1", "Components with sensors")
def components(scope: Scope) -> tuple[list[Cell], Details]:
    assets: defaultdict[str, set[str]] = defaultdict(set)
    districts: defaultdict[str, set[str]] = defaultdict(set)
    for device in scope.in_use:
        if device.asset is not None:
            kind = device.kpi.component if device.kpi is not None else device.asset.type
            assets[kind].add(device.asset.id)
            place = device.location.district if device.location is not None else None
            districts[f"district {place or 'not stated'}"].add(device.asset.id)
    cells = [Cell("components", len(set().union(*assets.values())), "components")]
    for kind in sorted(assets):
        stock = scope.facts.get(f"stock.{kind}")
        source = "register" if stock is None else f"register; stock: {stock.source} ({stock.date})"
        cells.append(Cell(kind, len(assets[kind]), "components", None if stock is None else stock.value, source))
    return cells, {name: len(found) for name, found in [*sorted(assets.items()), *sorted(districts.items())]}


@figure("K2", "Devices that deliver")
def delivering(scope: Scope) -> tuple[list[Cell], Details]:
    if scope.delivery is None:
        return [Cell("delivering", None, "devices", source="", ask="the operator of the gateways")], {}
    euis = [each.dev_eui for each in scope.in_use if each.dev_eui is not None]
    heard = [scope.delivery[eui] for eui in euis if eui in scope.delivery]
    good = sum(each.expected > 0 and each.received / each.expected >= DELIVERING for each in heard)
    return [Cell("delivering", good, "devices", len(scope.in_use), "gateways")], {}


@figure("K3", "Co-use")
def co_use(scope: Scope) -> tuple[list[Cell], Details]:
    shared = sum(len(_users(device)) >= 2 for device in scope.alive)
    saved = sum(device.cost.saved_sek or 0 for device in scope.alive if device.cost is not None)
    avoided = sum(
        each.paper.outcome == "co_use" and each.signature.status == "valid" for each in scope.stock.dialogues()
    )
    return [
        Cell("devices with two owners or users", shared, "devices", len(scope.alive)),
        Cell("dialogues that ended in co-use (city)", avoided, "dialogues"),
        Cell("saved", saved, "SEK"),
    ], {}


def _users(device: DeviceRecord) -> set[str]:
    users = {each.org for each in device.co_owners} | {
        each.org for stream in device.streams for each in stream.consumers
    }
    return users | ({device.owner_org} if device.owner_org else set())


@figure("K4", "Possible duplicates")
def duplicates(scope: Scope) -> tuple[list[Cell], Details]:
    if scope.clusters is None:
        return [Cell("clusters", None, "clusters", source="", ask="stadsledningskontoret: lykta report duplicates")], {}
    own = {device.id for device in scope.devices}
    mine = [cluster for cluster in scope.clusters if own & set(cluster)]
    return [Cell("clusters", len(mine), "clusters"), Cell("devices in them", sum(map(len, mine)), "devices")], {}


@figure("K5", "Platforms")
def platforms(scope: Scope) -> tuple[list[Cell], Details]:
    kinds = Counter(device.platform.kind for device in scope.alive if device.platform is not None)
    approvals = [each.paper for each in scope.stock.approvals() if each.paper.platform_id is not None]
    running = sum(expiry(paper) > scope.now for paper in approvals)
    return [
        Cell("on common platforms", kinds["common"], "devices", len(scope.alive)),
        Cell("approvals of local platforms running (city)", running, "approvals"),
        Cell("approvals of local platforms expired (city)", len(approvals) - running, "approvals"),
    ], {name: float(count) for name, count in sorted(kinds.items())}


@figure("K6", "Integration")
def integration(scope: Scope) -> tuple[list[Cell], Details]:
    streams = _streams(scope.alive)
    through = sum(any(sink.kind == "integration" for sink in stream.sinks) for _, stream in streams)
    return [Cell("streams through an integration platform", through, "streams", len(streams))], {}


@figure("K7", "Open data")
def open_data(scope: Scope) -> tuple[list[Cell], Details]:
    streams = [stream for _, stream in _streams(scope.alive)]
    levels = Counter(stream.openness.level if stream.openness else "not decided" for stream in streams)
    opened = [stream for stream in streams if stream.openness is not None and stream.openness.level == "open"]
    real_time = sum(stream.interval_s is not None and stream.interval_s <= REAL_TIME_S for stream in opened)
    named = {stream.openness.dataset_id for stream in streams if stream.openness is not None} - {None}
    published = {stream.openness.dataset_id for stream in opened if stream.openness is not None} - {None}
    return [
        Cell("open streams", len(opened), "streams", len(streams)),
        Cell("open in real time", real_time, "streams", len(opened)),
        Cell("published datasets (U4SSC EC:ICT:PS:1A)", len(published), "datasets", len(named)),
    ], {name: float(count) for name, count in sorted(levels.items())}


@figure("K8", "Traffic monitoring")
def traffic_monitoring(scope: Scope) -> tuple[list[Cell], Details]:
    segments = {
        device.location.segment_id
        for device in scope.in_use
        if device.kind == "traffic_counter" and device.location is not None and device.location.segment_id
    }
    ask = "the board of traffic: the road network"
    total = _from_fact(scope, "major streets", "streets.major_km", "km", ask)
    watched = _from_fact(scope, "major streets monitored (U4SSC EC:ICT:T:2C)", "streets.monitored_km", "km", ask)
    if watched.value is not None:
        watched = Cell(watched.name, watched.value, "km", total.value, watched.source)
    return [watched, total, Cell("segments with a counter", len(segments), "segments")], {}


@figure("K9", "Adaptive intersections")
def adaptive(scope: Scope) -> tuple[list[Cell], Details]:
    ask = "the board of traffic: signal control"
    total = _from_fact(scope, "signal-controlled intersections", "intersections.signals", "intersections", ask)
    found = _from_fact(scope, "adaptive (U4SSC EC:ICT:T:3A)", "intersections.adaptive", "intersections", ask)
    if found.value is not None:
        found = Cell(found.name, found.value, found.unit, total.value, found.source)
    return [found, total], {}


@figure("K10", "Security")
def security(scope: Scope) -> tuple[list[Cell], Details]:
    streams = [stream for _, stream in _streams(scope.alive)]
    since = scope.today - timedelta(days=CLASSIFIED_DAYS)
    classified = sum(stream.klassa is not None and stream.klassa.date >= since for stream in streams)
    ends = [device.support.until if device.support is not None else None for device in scope.alive]
    waivers = [each.paper for each in scope.stock.waivers()]
    open_by_rule = Counter(paper.rule_id for paper in waivers if paper.expires > scope.now)
    return [
        Cell("streams classified within a year", classified, "streams", len(streams)),
        Cell("on supported firmware", _until(ends, scope.today), "devices", len(ends)),
        Cell("support ends within 12 months", _between(ends, scope.today, 365), "devices", len(ends)),
        Cell("support ends within 24 months", _between(ends, scope.today, 730), "devices", len(ends)),
        Cell("waivers open (city)", sum(open_by_rule.values()), "waivers"),
        Cell("waivers expired (city)", len(waivers) - sum(open_by_rule.values()), "waivers"),
    ], {f"waiver {rule}": float(count) for rule, count in sorted(open_by_rule.items())}


def _until(ends: Iterable[date | None], day: date) -> int:
    return sum(end is not None and end >= day for end in ends)


def _between(ends: Iterable[date | None], day: date, days: int) -> int:
    return sum(end is not None and day <= end <= day + timedelta(days=days) for end in ends)
