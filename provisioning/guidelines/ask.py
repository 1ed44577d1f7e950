# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Small questions about a record that several rules ask."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Final

from provisioning.guidelines.findings import Hit

if TYPE_CHECKING:
    from provisioning.guidelines.rule import Case
    from provisioning.model.device import DeviceRecord
    from provisioning.model.streams import Stream

DAYS_PER_YEAR: Final = 365.25
DAYS_PER_MONTH: Final = DAYS_PER_YEAR / 12
LEVELS: Final = {"none": 0, "possible": 1, "yes": 2}
STANDS: Final = frozenset({"installed", "operational", "suspended"})
"""Stages in which a device hangs where it is to hang."""
_IP: Final = frozenset({"nbiot", "ltem", "4g5g", "fibre", "ethernet", "wifi"})


def missing(field: str, required: object = None, case: str = "missing", **values: object) -> Hit:
    """A hit for a field that is not there: nothing can be decided, so the rule fails."""
    return Hit(case, field, observed=None, required=required, values=values, unknown=True)


def streams(record: DeviceRecord) -> Iterator[tuple[str, Stream]]:
    """Each stream with its JSON pointer."""
    for index, stream in enumerate(record.streams):
        yield f"/streams/{index}", stream


def is_gateway(record: DeviceRecord) -> bool:
    """Whether the record is a gateway's."""
    return record.role == "gateway" or record.kind == "gateway"


def measures(record: DeviceRecord) -> bool:
    """Whether it is more than a gateway or a bare actuator."""
    return not is_gateway(record) and (record.role != "actuator" or bool(record.streams))


def acts(record: DeviceRecord) -> bool:
    """Whether it moves or switches something."""
    return record.role in {"actuator", "both"}


def speaks_ip(record: DeviceRecord) -> bool:
    """Whether it has an IP stack: a gateway, or a device on such a network."""
    return is_gateway(record) or (record.network is not None and record.network.type in _IP)


def personal(record: DeviceRecord) -> bool:
    """Whether personal data is possible. What was not declared is taken to be."""
    return record.personal_data is None or record.personal_data.level != "none"


def highest(record: DeviceRecord, letter: str) -> int:
    """The highest class K, R or T of all streams; 0 where none is classified."""
    return max((getattr(each.klassa, letter) for each in record.streams if each.klassa is not None), default=0)


def stands(record: DeviceRecord) -> bool:
    """Whether it is installed."""
    return record.lifecycle.stage in STANDS


def starts(case: Case) -> date:
    """The day from which it works: when it was installed, is planned to be, or today."""
    lifecycle = case.record.lifecycle
    if lifecycle.installed_at is not None:
        return lifecycle.installed_at.date()
    return lifecycle.planned_install or case.today


def is_city_body(case: Case, org_id: str) -> bool:
    """Whether this is an active committee or company of the city."""
    org = case.stock.organisation(org_id)
    return org is not None and org.active and org.kind in CITY_KINDS


CITY_KINDS: Final = frozenset({"namnd", "bolag"})
