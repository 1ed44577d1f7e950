# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the log of the register says of registrations: how long they took, and what was refused before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from provisioning.register import tables
from provisioning.register.refusals import REFUSED
from provisioning.reports.scope import Service, Try

if TYPE_CHECKING:
    from sqlalchemy import Connection

_DAY_S: Final = 86400
_REGISTERED: Final = "device.register"
_WORKS: Final = "device.operational"


def read(connection: Connection, year: int) -> Service:
    """Tries of a year, and the days that each device took to its first operation."""
    table = tables.log
    query = (
        select(table.c.subject, table.c.action, table.c.at_s, table.c.body)
        .where(table.c.action.in_([_REGISTERED, _WORKS, REFUSED]))
        .order_by(table.c.seq)
        .execution_options(yield_per=1000)
    )
    began: dict[str, int] = {}
    days: dict[str, float] = {}
    refused: set[str] = set()
    tries: list[Try] = []
    with connection.execute(query) as rows:
        for subject, action, at_s, body in rows:
            if action == _WORKS:
                if subject in began:
                    days.setdefault(subject, (at_s - began[subject]) / _DAY_S)
                continue
            told = json.loads(body)
            one = _refusal(told) if action == REFUSED else _registration(subject, told, refused)
            if action == REFUSED:
                refused |= set(_names(told))
            else:
                began.setdefault(subject, at_s)
            if datetime.fromtimestamp(at_s, UTC).year == year:
                tries.append(one)
    return Service(days, tries)


def _refusal(told: dict[str, Any]) -> Try:
    return Try(str(told.get("owner") or ""), None, first=False, rules=tuple(told.get("rules", ())))


def _registration(subject: str, told: dict[str, Any], refused: set[str]) -> Try:
    record = told.get("record", {})
    owner = record.get("owner", {}).get("org_id") or ""
    names = {"dev_eui": record.get("identity", {}).get("dev_eui"), "name": record.get("name")}
    return Try(owner, subject, first=refused.isdisjoint(_names(names)))


def _names(told: dict[str, Any]) -> Iterator[str]:
    """By what a device is known before it has an id."""
    yield from (f"{name} {told[name]}" for name in ("dev_eui", "name") if told.get(name))
