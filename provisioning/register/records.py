# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Device records in the database: one row each, with the columns that are searched beside the record itself."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, insert, or_, select, update

from provisioning.errors import DuplicateEntry
from provisioning.model import geo
from provisioning.model.device import DeviceRecord, Kind
from provisioning.model.lifecycle import TALKING, Stage
from provisioning.register import tables
from provisioning.register.log import Change
from provisioning.register.record_text import load, wire_kind
from provisioning.register.spelling import canonical

PREFIXES: Final[dict[Kind, str]] = {
    "streetlight_controller": "LJU",
    "waste_level": "AVF",
    "traffic_counter": "TRK",
    "signal_detector": "SIG",
    "ped_bike_counter": "GCT",
    "air": "LUF",
    "noise": "BUL",
    "weather": "VAD",
    "water": "VAT",
    "soil": "JOR",
    "parking": "PAR",
    "gateway": "GWY",
    "other": "OVR",
}
"""The letters of the ids that devices of a kind are given."""


def state_of(stage: Stage) -> str:
    """What a gateway asks for: `registered` for devices that may talk, else the stage itself."""
    return "registered" if stage in TALKING else stage


def dump(record: DeviceRecord) -> dict[str, Any]:
    """The record as JSON values, without what is not stated."""
    return record.model_dump(mode="json", exclude_none=True)


def input_digest(record: DeviceRecord) -> bytes:
    """A digest of a record as it was handed in: who hands in the same one again meant the same device."""
    return hashlib.sha256(canonical(dump(record)).encode()).digest()


def columns(record: DeviceRecord) -> dict[str, Any]:
    """The row of a record, without what a registration adds."""
    place = record.location
    identity = record.identity
    return {
        "id": record.id,
        "dev_eui": record.dev_eui,
        "join_eui": None if identity is None else identity.join_eui,
        "kind": wire_kind(record),
        "record_kind": record.kind,
        "name": record.name,
        "owner": record.owner_org,
        "state": state_of(record.lifecycle.stage),
        "stage": record.lifecycle.stage,
        "batch": record.batch,
        "asset": None if record.asset is None else record.asset.id,
        "segment": None if place is None else place.segment_id,
        "fingerprint": record.fingerprint,
        "cell": None if place is None else geo.cell(place.lat, place.lon),
        "lat": None if place is None else place.lat,
        "lon": None if place is None else place.lon,
        "record": canonical(dump(record)),
    }


def refuse_duplicate(connection: Connection, record: DeviceRecord) -> None:
    """Raise DuplicateEntry when a device with this id, DevEUI or name is there."""
    table = tables.devices
    for column, value, what in (
        (table.c.dev_eui, record.dev_eui, "DevEUI"),
        (table.c.id, record.id, "id"),
        (table.c.name, record.name, "name"),
    ):
        if value is None:
            continue
        taken = connection.execute(select(table.c.id).where(column == value)).scalar_one_or_none()
        if taken is not None:
            raise DuplicateEntry(
                f"A device with this {what} is already registered.",
                value=value if taken == value else f"{value} ({taken})",
                reason="Readings of two devices under one identity could not be told apart.",
                next_step=f"lykta show {taken} shows it",
            )


def add_all(change: Change, found: Sequence[tuple[DeviceRecord, bytes | None]], *, action: str) -> None:
    """Write new records, which have ids and names by now, each with the digest of its input."""
    rows = []
    for record, digest in found:
        if record.id is None:
            raise ValueError("a record is written under an id")
        revision = change.log(action, record.id, {"record": dump(record)})
        rows.append({**columns(record), "revision": revision, "created_at_s": change.at_s, "input_sha256": digest})
    if rows:
        change.connection.execute(insert(tables.devices), rows)


def replace(change: Change, record: DeviceRecord, *, action: str, extra: dict[str, Any] | None = None) -> int:
    """Write a record that is there already in its new form. Returns its revision."""
    if record.id is None:
        raise ValueError("a record is written under an id")
    revision = change.log(action, record.id, {"record": dump(record), **(extra or {})})
    table = tables.devices
    change.connection.execute(
        update(table).where(table.c.id == record.id).values({**columns(record), "revision": revision})
    )
    return revision


def find(connection: Connection, what: str) -> DeviceRecord | None:
    """The record of an id (`TRK-2041`), a DevEUI or a name; None where there is none."""
    for clause in _ways(what):
        text = connection.execute(select(tables.devices.c.record).where(clause)).scalar_one_or_none()
        if text is not None:
            return load(text)
    return None


def meant(connection: Connection, what: str) -> list[tuple[str, str | None, str]]:
    """Id, DevEUI and name of each device that has *what* as one of them: of more than one, where names are unlucky."""
    table = tables.devices
    query = select(table.c.id, table.c.dev_eui, table.c.name).where(or_(*_ways(what))).order_by(table.c.id)
    return [(row.id, row.dev_eui, row.name) for row in connection.execute(query)]


def _ways(what: str) -> list[ColumnElement[bool]]:
    table = tables.devices
    digits = what.translate(str.maketrans("", "", "-: ")).lower()
    return [table.c.id == what.upper(), table.c.dev_eui == digits, table.c.name == what]
