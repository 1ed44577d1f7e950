# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The second half of the figures: privacy, life cycle, cost, time, energy, projects."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from datetime import timedelta

from provisioning.reports.figures import CONFIRM_DAYS, Cell, Details, figure
from provisioning.reports.scope import Scope


@figure("K11", "Privacy")
def privacy(scope: Scope) -> tuple[list[Cell], Details]:
    stated = [device.personal_data for device in scope.alive if device.personal_data is not None]
    personal = [each for each in stated if each.level != "none"]
    levels = Counter(each.level for each in stated)
    return [
        Cell("devices with personal data possible or certain", len(personal), "devices", len(scope.alive)),
        Cell(
            "of these with an impact assessment",
            sum(each.dpia_ref is not None for each in personal),
            "devices",
            len(personal),
        ),
        Cell("of these with a sign", sum(each.sign is not None for each in personal), "devices", len(personal)),
    ], {name: float(count) for name, count in sorted(levels.items())}


@figure("K12", "Life cycle")
def life_cycle(scope: Scope) -> tuple[list[Cell], Details]:
    lives = [device.lifecycle for device in scope.alive]
    past = sum(life.planned_end is not None and life.planned_end < scope.today for life in lives)
    since = scope.today - timedelta(days=CONFIRM_DAYS)
    unconfirmed = 0
    for life in lives:
        last = max(
            filter(None, [life.confirmed_at, life.installed_at.date() if life.installed_at else None]), default=None
        )
        unconfirmed += last is not None and last < since
    gone = [device.lifecycle.retired for device in scope.devices if device.lifecycle.stage in {"retired", "disposed"}]
    proper = sum(
        each is not None
        and each.keys_revoked
        and each.data_wiped
        and each.taken_down is not None
        and each.streams_closed
        for each in gone
    )
    stages = Counter(device.lifecycle.stage for device in scope.devices)
    return [
        Cell("past their planned end", past, "devices", len(lives)),
        Cell("not confirmed for 24 months", unconfirmed, "devices", len(lives)),
        Cell("silent for 30 days", None, "devices", source="", ask="the operator of the gateways"),
        Cell("retired properly", proper, "devices", len(gone)),
    ], {name: float(count) for name, count in sorted(stages.items())}


@figure("K13", "Cost")
def cost(scope: Scope) -> tuple[list[Cell], Details]:
    costs = [device.cost for device in scope.alive if device.cost is not None]
    by_bearer: defaultdict[str, float] = defaultdict(float)
    for each in costs:
        by_bearer[each.bearer] += each.run_sek_y or 0
    unfunded = sum(each.funding_until is not None and each.funding_until < scope.today for each in costs)
    return [
        Cell("investment", sum(each.invest_sek or 0 for each in costs), "SEK"),
        Cell("running cost", sum(each.run_sek_y or 0 for each in costs), "SEK/year"),
        Cell("no longer funded", unfunded, "devices", len(scope.alive)),
    ], dict(sorted(by_bearer.items()))


@figure("K14", "Time to service")
def time_to_service(scope: Scope) -> tuple[list[Cell], Details]:
    ids = [device.id for device in scope.devices if device.id is not None]
    days = [scope.days_to_service[each] for each in ids if each in scope.days_to_service]
    median = round(statistics.median(days), 1) if days else None
    ask = "" if days else "nobody yet: no device was registered and put into operation"
    return [
        Cell("median from registration to operation", median, "days", source="log of the register", ask=ask),
        Cell("devices this is taken from", len(days), "devices", source="log of the register"),
        Cell(
            "registered at the first try", None, "%", source="", ask="stadsledningskontoret: refused tries are not kept"
        ),
    ], {}


@figure("K15", "Energy and trips")
def energy(scope: Scope) -> tuple[list[Cell], Details]:
    lights = sum(device.kind == "streetlight_controller" for device in scope.in_use)
    platform = "the owner of the lighting platform"
    return [
        Cell("connected lights", lights, "lights"),
        Cell("energy of connected lights", None, "kWh", source="", ask=platform),
        Cell("hours dimmed", None, "h", source="", ask=platform),
        Cell("emptying trips avoided", None, "trips", source="", ask="the owner of the route system"),
    ], {}


@figure("K16", "Effect of projects")
def projects(scope: Scope) -> tuple[list[Cell], Details]:
    found = {}
    counts: Counter[str] = Counter()
    for device in scope.devices:
        if device.project is not None:
            found[device.project.id] = device.project
            counts[device.project.id] += 1
    cells = [Cell("projects", len(found), "projects")]
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
