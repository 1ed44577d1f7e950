# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""K1 to K9: what is there, who uses it, how open it is, what it covers."""

from __future__ import annotations

from collections import Counter, defaultdict

from provisioning.guidelines.deadlines import paper_end
from provisioning.model.device import DeviceRecord
from provisioning.reports.figures import Cell, Details, figure, from_fact, streams_of
from provisioning.reports.released import GATE, LIVE, withheld
from provisioning.reports.scope import ASK_RECEIVER, Scope


@figure("K1", "Components with sensors", unit="components", rules=("KPI-1",))
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
    unnamed = sum(not scope.judged.keeps(device, "KPI-1") for device in scope.in_use)
    cells.append(Cell("devices that do not say of which component (KPI-1)", unnamed, "devices", len(scope.in_use)))
    return cells, {name: len(found) for name, found in [*sorted(assets.items()), *sorted(districts.items())]}


@figure("K2", "Devices that deliver")
def delivering(scope: Scope) -> tuple[list[Cell], Details]:
    if scope.heard is None:
        return [Cell("delivering", None, "devices", source="", ask=ASK_RECEIVER)], {}
    least = scope.judged.pack.figures.delivering_pct / 100
    shares = [scope.heard.share(device, scope.begin_s, scope.end_s) for device in scope.in_use]
    name = f"delivering at least {100 * least:g} % of what is expected"
    never = sum(share is None for share in shares)
    good = sum(share is not None and share >= least for share in shares)
    cells = [
        Cell(name, good, "devices", len(shares), scope.heard.source),
        Cell("never heard in the period", never, "devices", len(shares), scope.heard.source),
    ]
    return cells, {"deliver": good, "deliver less": len(shares) - good - never, "never heard": never}


@figure("K3", "Co-use", unit="dialogues")
def co_use(scope: Scope) -> tuple[list[Cell], Details]:
    shared = sum(len(_users(device)) >= 2 for device in scope.alive)
    saved = sum(device.cost.saved_sek or 0 for device in scope.alive if device.cost is not None)
    outcomes = Counter(
        each.paper.outcome.replace("_", " ") for each in scope.stock.dialogues() if each.signature.status == "valid"
    )
    return [
        Cell("devices with two owners or users", shared, "devices", len(scope.alive)),
        Cell("dialogues that ended in co-use (city)", outcomes["co use"], "dialogues", sum(outcomes.values())),
        Cell("saved", saved, "SEK"),
    ], {name: float(count) for name, count in sorted(outcomes.items())}


def _users(device: DeviceRecord) -> set[str]:
    users = {each.org for each in device.co_owners} | {
        each.org for stream in device.streams for each in stream.consumers
    }
    return users | ({device.owner_org} if device.owner_org else set())


@figure("K4", "Possible duplicates", rules=("SHARE-3",))
def duplicates(scope: Scope) -> tuple[list[Cell], Details]:
    own = {device.id for device in scope.devices}
    mine = [each for each in scope.clusters if own & {device.id for device in each.devices}]
    sizes: Counter[str] = Counter()
    for each in mine:
        sizes[each.measures] += len(each.devices)
    return [
        Cell("clusters", len(mine), "clusters"),
        Cell("devices in them", sum(sizes.values()), "devices"),
    ], {name: float(count) for name, count in sorted(sizes.items())}


@figure("K5", "Platforms", rules=("PLAT-1", "PLAT-2"), level="change work")
def platforms(scope: Scope) -> tuple[list[Cell], Details]:
    kinds = Counter(device.platform.kind for device in scope.alive if device.platform is not None)
    local = [device for device in scope.alive if device.platform is not None and device.platform.kind == "local"]
    common = sum(
        device.platform is not None and device.platform.kind == "common" and scope.judged.keeps(device, "PLAT-1")
        for device in scope.alive
    )
    allowed = sum(scope.judged.keeps(device, "PLAT-2", "missing", "invalid") for device in local)
    approvals = [each.paper for each in scope.stock.approvals() if each.paper.platform_id is not None]
    running = sum(paper_end(paper, scope.judged.pack) > scope.now for paper in approvals)
    return [
        Cell("on common platforms (PLAT-1)", common, "devices", len(scope.alive)),
        Cell("on local platforms with an approval that counts (PLAT-2)", allowed, "devices", len(local)),
        Cell("approvals of local platforms running (city)", running, "approvals"),
        Cell("approvals of local platforms expired (city)", len(approvals) - running, "approvals"),
    ], {name: float(count) for name, count in sorted(kinds.items())}


@figure("K6", "Integration", unit="streams", rules=("PLAT-3",))
def integration(scope: Scope) -> tuple[list[Cell], Details]:
    streams = streams_of(scope.alive)
    through = sum(scope.judged.stream_keeps(device, index, "PLAT-3") for device, index, _ in streams)
    kinds = Counter(sink.kind for _, _, stream in streams for sink in stream.sinks)
    cells = [Cell("streams through integration platforms only (PLAT-3)", through, "streams", len(streams))]
    return cells, {name: float(count) for name, count in sorted(kinds.items())}


@figure("K7", "Open data", unit="streams", rules=("OPEN-3", *GATE))
def open_data(scope: Scope) -> tuple[list[Cell], Details]:
    streams = streams_of(scope.alive)
    levels = Counter(stream.openness.level if stream.openness else "not decided" for _, _, stream in streams)
    opened = [each for each in streams if each[2].openness is not None and each[2].openness.level == "open"]
    limit_s = scope.judged.pack.number("OPEN-3", "interval_s")
    real_time = sum(
        stream.interval_s is not None
        and stream.interval_s <= limit_s
        and scope.judged.stream_keeps(device, index, "OPEN-3")
        for device, index, stream in opened
    )
    ready = sum(not withheld(scope.judged, device, index, stream) for device, index, stream in opened)
    datasets: defaultdict[str, list[bool]] = defaultdict(list)
    for device, index, stream in streams:
        if stream.openness is not None and stream.openness.dataset_id is not None:
            free = device.lifecycle.stage in LIVE and not withheld(scope.judged, device, index, stream)
            datasets[stream.openness.dataset_id].append(free)
    published = sum(all(frees) for frees in datasets.values())
    return [
        Cell("streams decided to be open", len(opened), "streams", len(streams)),
        Cell("of these ready to be published (OPEN-1 to 6, PRIV)", ready, "streams", len(opened)),
        Cell("of these in real time, with an interface (OPEN-3)", real_time, "streams", len(opened)),
        Cell("published datasets (U4SSC EC:ICT:PS:1A)", published, "datasets", len(datasets)),
    ], {name: float(count) for name, count in sorted(levels.items())}


@figure("K8", "Traffic monitoring", unit="km")
def traffic_monitoring(scope: Scope) -> tuple[list[Cell], Details]:
    segments = {
        device.location.segment_id
        for device in scope.in_use
        if device.kind == "traffic_counter" and device.location is not None and device.location.segment_id
    }
    ask = "the board of traffic: the road network"
    total = from_fact(scope, "major streets", "streets.major_km", "km", ask)
    watched = from_fact(scope, "major streets monitored (U4SSC EC:ICT:T:2C)", "streets.monitored_km", "km", ask)
    if watched.value is not None:
        watched = Cell(watched.name, watched.value, "km", total.value, watched.source)
    return [watched, total, Cell("segments with a counter", len(segments), "segments")], _parts(watched, total)


@figure("K9", "Adaptive intersections", unit="intersections")
def adaptive(scope: Scope) -> tuple[list[Cell], Details]:
    ask = "the board of traffic: signal control"
    total = from_fact(scope, "signal-controlled intersections", "intersections.signals", "intersections", ask)
    found = from_fact(scope, "adaptive (U4SSC EC:ICT:T:3A)", "intersections.adaptive", "intersections", ask)
    if found.value is not None:
        found = Cell(found.name, found.value, found.unit, total.value, found.source)
    return [found, total], _parts(found, total)


def _parts(some: Cell, total: Cell) -> Details:
    """A breakdown where both numbers are known."""
    if some.value is None or total.value is None:
        return {}
    return {"with sensors": some.value, "without": max(0.0, total.value - some.value)}
