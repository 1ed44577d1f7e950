# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""K10 to K16: what the rules say of security, privacy and life, what it costs, how it goes, what comes of it."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from datetime import timedelta

from provisioning.guidelines.ask import DAYS_PER_MONTH
from provisioning.guidelines.findings import Status
from provisioning.reports.figures import Cell, Details, figure, from_fact, streams_of
from provisioning.reports.scope import ASK_RECEIVER, Scope

_MOST_OFTEN = 5


@figure("K10", "Security", rules=("GOV-2", "SEC-1", "SEC-9"), level="change work")
def security(scope: Scope) -> tuple[list[Cell], Details]:
    streams = streams_of(scope.alive)
    classified = sum(scope.judged.stream_keeps(device, index, "SEC-1") for device, index, _ in streams)
    ends = {device.id: device.support.until for device in scope.alive if device.support is not None}
    today = scope.now.date()
    supported = sum(
        (end := ends.get(device.id)) is not None and end >= today and scope.judged.keeps(device, "SEC-9")
        for device in scope.alive
    )
    count = len(scope.alive)
    cells = [
        Cell("streams classified, and not too long ago (SEC-1)", classified, "streams", len(streams)),
        Cell("on supported firmware (SEC-9)", supported, "devices", count),
    ]
    for months in scope.judged.pack.figures.support_months:
        last = today + timedelta(days=round(months * DAYS_PER_MONTH))
        soon = sum(end is not None and today <= end <= last for end in ends.values())
        cells.append(Cell(f"support ends within {months:g} months", soon, "devices", count))
    verdicts = Counter(scope.judged.verdicts[device.id or ""].replace("_", " ") for device in scope.alive)
    cells += [Cell("keep every rule that may block them", verdicts["ok"], "devices", count), *_waivers(scope)]
    shown = {"ok": "keep the rules", "needs approval": "lack an approval", "blocked": "break a rule that blocks"}
    return cells, {text: float(verdicts[name]) for name, text in shown.items() if verdicts[name]}


def _waivers(scope: Scope) -> list[Cell]:
    """Waivers as the evaluation sees them: those that settle something, by rule, and those that do not count."""
    used: defaultdict[str, set[str]] = defaultdict(set)
    refused: set[str] = set()
    for device in scope.devices:
        for each in scope.judged.settled(device, Status.WAIVED):
            used[each.rule_id].update(each.settled_by)
        for each in scope.judged.hits(device, "GOV-2"):
            if each.hit is not None and each.hit.case != "ending":
                refused.add(str(each.hit.observed))
    cells = [Cell("waivers in use", len(set().union(*used.values())), "waivers")]
    cells += [Cell(f"waivers of {rule_id}", len(used[rule_id]), "waivers") for rule_id in sorted(used)]
    return [*cells, Cell("waivers expired or not valid, with their rule broken (GOV-2)", len(refused), "waivers")]


@figure("K11", "Privacy", rules=("PRIV-1", "PRIV-2", "PRIV-5"), level="change work")
def privacy(scope: Scope) -> tuple[list[Cell], Details]:
    personal = [each for each in scope.alive if each.personal_data is not None and each.personal_data.level != "none"]
    levels = Counter(each.personal_data.level if each.personal_data else "not stated" for each in scope.alive)
    wrong = sum(not scope.judged.keeps(device, "PRIV-1") for device in scope.alive)
    assessed = sum(scope.judged.keeps(device, "PRIV-2") for device in personal)
    signs = sum(scope.judged.keeps(device, "PRIV-5") for device in personal)
    return [
        Cell("devices with personal data possible or certain", len(personal), "devices", len(scope.alive)),
        Cell("of these screened, and assessed where it must be (PRIV-2)", assessed, "devices", len(personal)),
        Cell("of these with a sign where people pass (PRIV-5)", signs, "devices", len(personal)),
        Cell("declared too low, or not at all (PRIV-1)", wrong, "devices", len(scope.alive)),
    ], {name: float(count) for name, count in sorted(levels.items())}


@figure("K12", "Life cycle", rules=("LIFE-3", "LIFE-4", "LIFE-6"), level="change work")
def life_cycle(scope: Scope) -> tuple[list[Cell], Details]:
    alive, judged = scope.alive, scope.judged
    past = sum(not judged.keeps(device, "LIFE-3", "past_end") for device in alive)
    unconfirmed = sum(not judged.keeps(device, "LIFE-3", "due") for device in alive)
    gone = [device for device in scope.devices if device.lifecycle.stage in {"retired", "disposed"}]
    proper = sum(judged.keeps(device, "LIFE-4") for device in gone)
    batteries = sum(device.lifecycle.mains is not True for device in gone)
    stages = Counter(device.lifecycle.stage for device in scope.devices)
    name = f"silent for {judged.pack.number('LIFE-6', 'act_days'):g} days (LIFE-6)"
    silent = Cell(name, None, "devices", source="", ask=ASK_RECEIVER)
    if scope.heard is not None:
        quiet = sum(not judged.keeps(device, "LIFE-6", "act") for device in scope.in_use)
        silent = Cell(name, quiet, "devices", len(scope.in_use), scope.heard.source)
    return [
        Cell("past their planned end (LIFE-3)", past, "devices", len(alive)),
        Cell("not confirmed in time (LIFE-3)", unconfirmed, "devices", len(alive)),
        silent,
        Cell("retired with all that is to be done (LIFE-4)", proper, "devices", len(gone)),
        Cell("of these with a battery that became waste", batteries, "devices", len(gone)),
    ], {name: float(count) for name, count in sorted(stages.items())}


@figure("K13", "Cost", unit="SEK/year", rules=("COST-2",), level="change work")
def cost(scope: Scope) -> tuple[list[Cell], Details]:
    costs = [device.cost for device in scope.alive if device.cost is not None]
    by_bearer: defaultdict[str, float] = defaultdict(float)
    for each in costs:
        by_bearer[each.bearer] += each.run_sek_y or 0
    ended = sum(each.funding_until is not None and each.funding_until < scope.now.date() for each in costs)
    unfunded = sum(not scope.judged.keeps(device, "COST-2") for device in scope.alive)
    return [
        Cell("investment", sum(each.invest_sek or 0 for each in costs), "SEK"),
        Cell("running cost", sum(each.run_sek_y or 0 for each in costs), "SEK/year"),
        Cell("not funded to their planned end (COST-2)", unfunded, "devices", len(scope.alive)),
        Cell("whose funding has ended", ended, "devices", len(scope.alive)),
    ], dict(sorted(by_bearer.items()))


@figure("K14", "Time to service", unit="refusals", level="change work")
def time_to_service(scope: Scope) -> tuple[list[Cell], Details]:
    log = "log of the register"
    ids = [device.id for device in scope.devices if device.id is not None]
    days = [scope.service.days[each] for each in ids if each in scope.service.days]
    median = round(statistics.median(days), 1) if days else None
    ask = "" if days else "nobody yet: no device was registered and put into operation"
    own = [each for each in scope.service.tries if scope.owner in {None, each.owner}]
    done = [each for each in own if each.device_id is not None]
    refused = [each for each in own if each.device_id is None]
    rules = Counter(rule for each in refused for rule in each.rules)
    cells = [
        Cell("median from registration to operation", median, "days", source=log if days else "", ask=ask),
        Cell("devices this is taken from", len(days), "devices", source=log),
        Cell("registered at the first try", sum(each.first for each in done), "registrations", len(done), log),
        Cell("refused tries", len(refused), "tries", len(own), log),
    ]
    for rule, count in sorted(rules.items(), key=lambda each: (-each[1], each[0]))[:_MOST_OFTEN]:
        cells.append(Cell(f"refused by {rule}", count, "tries", len(refused), log))
    return cells, {rule: float(count) for rule, count in sorted(rules.items(), key=lambda each: (-each[1], each[0]))}


@figure("K15", "Energy and trips", unit="kWh")
def energy(scope: Scope) -> tuple[list[Cell], Details]:
    lights = [device for device in scope.in_use if device.kind == "streetlight_controller"]
    cells = [Cell("connected lights", len(lights), "lights")]
    used, dimmed = 0.0, 0.0
    by_district: defaultdict[str, float] = defaultdict(float)
    metered = 0
    for device in lights:
        found = None if scope.heard is None else scope.heard.of.get(device.dev_eui or "")
        if found is not None and found.energy_wh is not None:
            metered += 1
            used += found.energy_wh / 1000
            place = device.location.district if device.location is not None else None
            by_district[place or "not stated"] += found.energy_wh / 1000
        dimmed += (found.dimmed_h or 0.0) if found is not None else 0.0
    source, ask = ("", ASK_RECEIVER) if scope.heard is None or not metered else (scope.heard.source, "")
    cells += [
        Cell("energy of connected lights", round(used, 3) if metered else None, "kWh", source=source, ask=ask),
        Cell("lights that were metered", metered if source else None, "lights", len(lights), source, ask),
        Cell("hours dimmed, all lights together", round(dimmed, 1) if source else None, "h", source=source, ask=ask),
        from_fact(scope, "emptying trips avoided", "trips.avoided", "trips", "the owner of the route system"),
    ]
    return cells, {name: round(value, 3) for name, value in sorted(by_district.items())}


@figure("K16", "Effect of projects", rules=("KPI-3",), level="effect of projects")
def projects(scope: Scope) -> tuple[list[Cell], Details]:
    found = {}
    counts: Counter[str] = Counter()
    for device in scope.devices:
        if device.project is not None:
            found[device.project.id] = device.project
            counts[device.project.id] += 1
    late = {device.project.id for device in scope.devices if device.project and not scope.judged.keeps(device, "KPI-3")}
    cells = [
        Cell("projects", len(found), "projects"),
        Cell("with a measure and a date in time (KPI-3)", len(found) - len(late), "projects", len(found)),
    ]
    for project_id, project in sorted(found.items()):
        measure = f"{project_id}: {project.benefit_measure or 'no measure stated'} by {project.benefit_by or 'no date'}"
        value = _number(project.benefit_value)
        cells.append(
            Cell(
                measure,
                value,
                "",
                source="register" if value is not None else "",
                ask="" if value is not None else f"the owner of {project_id}",
            )
        )
    return cells, {name: float(count) for name, count in sorted(counts.items())}


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text.replace(",", ".").split()[0])
    except ValueError:
        return None


ELSEWHERE = [
    Cell("satisfaction with network services", None, "%", source="", ask="kommunstyrelsen: user survey"),
    Cell("households with smart meters", None, "%", source="", ask="the electricity network company"),
    Cell("waste water that is used again", None, "%", source="", ask="the water company"),
    Cell("investment in smart industry", None, "%", source="", ask="the board of business development"),
    Cell("residents engaged online", None, "%", source="", ask="kommunstyrelsen: e-services"),
]
"""Measures of the strategy that no device of the register can tell."""
