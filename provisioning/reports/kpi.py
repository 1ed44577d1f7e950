# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The yearly report: figures of the city and of each owner, ready to be written down."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from provisioning.errors import ConfigError
from provisioning.model.device import DeviceRecord
from provisioning.reports import duplicates, figures_duty, figures_use
from provisioning.reports.figures import Cell, Figure, compute
from provisioning.reports.judged import judge
from provisioning.reports.scope import Fact, Scope, Service

if TYPE_CHECKING:
    from provisioning.guidelines.engine import Guidelines
    from provisioning.reports.heard import Heard

__all__ = ["Part", "Report", "figures_use", "make"]


@dataclass(frozen=True)
class Part:
    """The figures of one scope."""

    name: str
    figures: list[Figure]


@dataclass(frozen=True)
class Report:
    """A yearly report."""

    year: int
    city: str
    made_at: datetime
    revision: int
    rulepack: str
    """The version of the rules that judged."""
    parts: list[Part]
    """The city first, then each owner."""
    elsewhere: list[Cell]


def make(
    rules: Guidelines,
    *,
    city: str,
    year: int,
    by_owner: bool,
    facts: Mapping[str, Fact] | None = None,
    heard: Heard | None = None,
    service: Service | None = None,
) -> Report:
    """Compute the report of a year from the register as it is, judged by `rules` (in the mode of an audit).

    Raises ConfigError for a year that is to come.
    """
    now, stock = rules.now, rules.stock
    if not 2000 <= year <= now.year:
        raise ConfigError(
            "This year is not over, or was before the register.", value=year, next_step=f"--year {now.year}"
        )
    devices = [device for device in stock.devices() if not device.external]
    judged = judge(rules, devices, None if heard is None else _last_heard_s(heard, devices, year))
    clusters = duplicates.clusters(judged, stock)
    groups: dict[str | None, list[DeviceRecord]] = {None: devices}
    if by_owner:
        owned: defaultdict[str, list[DeviceRecord]] = defaultdict(list)
        for device in devices:
            owned[device.owner_org or ""].append(device)
        groups |= dict(sorted(owned.items()))
    parts = []
    for owner, group in groups.items():
        name = city if owner is None else owner or "no owner stated"
        known = (facts or {}, heard, service or Service(), clusters)
        parts.append(Part(name, compute(Scope(name, group, stock, judged, now, year, owner, *known))))
    return Report(year, city, now, stock.revision, rules.pack.version, parts, list(figures_duty.ELSEWHERE))


def _last_heard_s(heard: Heard, devices: Iterable[DeviceRecord], year: int) -> dict[str, float]:
    """When each device that should talk was heard last; who never was is silent since it stands, or the year began."""
    last_s = heard.last_s()
    begin_s = datetime(year, 1, 1, tzinfo=UTC).timestamp()
    for device in devices:
        if device.lifecycle.stage == "operational" and device.dev_eui is not None and device.dev_eui not in heard.of:
            installed = device.lifecycle.installed_at
            last_s[device.dev_eui] = begin_s if installed is None else max(begin_s, installed.timestamp())
    return last_s
