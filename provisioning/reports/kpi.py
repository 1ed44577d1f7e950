# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The yearly report: figures of the city and of each owner, ready to be written down."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from provisioning.errors import ConfigError
from provisioning.model.device import DeviceRecord
from provisioning.model.stock import Stock
from provisioning.register import tables
from provisioning.register.stock import DatabaseStock
from provisioning.reports import more_figures
from provisioning.reports.figures import Cell, Figure, compute
from provisioning.reports.scope import Delivery, Fact, Scope

_DAY_S = 86400


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
    parts: list[Part]
    """The city first, then each owner."""
    elsewhere: list[Cell]


def days_to_service(stock: DatabaseStock) -> dict[str, float]:
    """Days from registration to operation by device id, from the log."""
    table = tables.log
    query = select(table.c.subject, table.c.action, table.c.at_s).where(
        table.c.action.in_(["device.register", "device.operational"])
    )
    first: dict[tuple[str, str], int] = {}
    for subject, action, at_s in stock.connection.execute(query.order_by(table.c.seq)):
        first.setdefault((subject, action), at_s)
    return {
        subject: (at_s - first[subject, "device.register"]) / _DAY_S
        for (subject, action), at_s in first.items()
        if action == "device.operational" and (subject, "device.register") in first
    }


def make(
    stock: Stock,
    *,
    city: str,
    year: int,
    by_owner: bool,
    facts: Mapping[str, Fact] | None = None,
    delivery: Mapping[str, Delivery] | None = None,
    clusters: Sequence[Sequence[str]] | None = None,
    to_service: Mapping[str, float] | None = None,
    now: datetime | None = None,
) -> Report:
    """Compute the report of a year from the register as it is. Raises ConfigError for a year that is to come."""
    now = datetime.now(UTC) if now is None else now
    if not 2000 <= year <= now.year:
        raise ConfigError(
            "This year is not over, or was before the register.", value=year, next_step=f"--year {now.year}"
        )
    devices = [device for device in stock.devices() if not device.external]
    groups: dict[str, list[DeviceRecord]] = {city: devices}
    if by_owner:
        owned: defaultdict[str, list[DeviceRecord]] = defaultdict(list)
        for device in devices:
            owned[device.owner_org or "no owner stated"].append(device)
        groups |= dict(sorted(owned.items()))
    parts = [
        Part(name, compute(Scope(name, group, stock, now, year, facts or {}, delivery, to_service or {}, clusters)))
        for name, group in groups.items()
    ]
    return Report(year, city, now, stock.revision, parts, list(more_figures.ELSEWHERE))
