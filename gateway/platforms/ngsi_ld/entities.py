# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Readings as NGSI-LD entities of the Smart Data Models. Pure.

ETSI GS CIM 009: entities and their attributes in section 4.5, the @context in 4.4 and 5.5, simplified (key-value)
representation in 4.5.4. The terms stand in terms.json beside this file, so that no broker and no gateway has to fetch
anything: each entity carries those that it uses.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

from gateway.platforms.ngsi_ld.alarms import Alarm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.releases.release import Released

Format = Literal["normalized", "keyValues"]
CORE_CONTEXT = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"
"""Brokers have it built in; terms of ours that are in it too mean the same."""

_UNIT_CODES = {"W": "WTT", "V": "VLT", "mA": "4K", "Cel": "CEL", "km/h": "KMH", "s": "SEC", "/": "C62"}
"""UN/CEFACT Recommendation 20, as section 4.5.2 of the specification wants it, by unit."""
STATUS_OF = {
    "Streetlight": {"tilted": "columnIssue", "lamp_failure": "defectiveLamp", "gear_failure": "defectiveLamp"},
    "WasteContainer": {"lid_open": "lidOpen", "fallen": "dropped", "fire": "burning"},
}
"""What the models call the alarms of a kind, the gravest last."""
_NOT_IN_URN = re.compile(r"[^A-Za-z0-9._-]")
_MS_PER_KMH = 3.6
_MA_PER_A = 1000.0
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity as it was observed at one time."""

    id: str
    type: str
    time_s: float
    attributes: Mapping[str, Any]
    """By name: a number, truth value, text or list; ``Place`` and ``Link`` for what is not a property."""
    units: Mapping[str, str]
    alarms: tuple[Alarm, ...] = ()
    """What it tells of the alarms that the model's ``status`` stands for."""

    def to_json(self, form: Format) -> dict[str, Any]:
        """Return the entity as JSON-LD, its @context within it."""
        at = iso(self.time_s)
        found: dict[str, Any] = {"id": self.id, "type": self.type}
        for name, value in self.attributes.items():
            found[name] = _simple(value) if form == "keyValues" else _normal(value, at, self.units.get(name))
        known = _terms()[self.type]
        found["@context"] = [{name: known[name] for name in (self.type, *self.attributes)}, CORE_CONTEXT]
        return found


@dataclass(frozen=True, slots=True)
class Place:
    """A GeoProperty: where something stands. It was not observed at the time of the reading."""

    lon: float
    lat: float


@dataclass(frozen=True, slots=True)
class Assumed:
    """A Property that nobody observed."""

    value: str


@dataclass(frozen=True, slots=True)
class Link:
    """A Relationship."""

    to: str


def type_iri(kind: str) -> str:
    """Return the IRI of a type, which needs no context to be understood."""
    return _terms()[kind][kind]


def entities(reading: Released) -> list[Entity]:
    """Return what a reading says: of the thing, if its kind has a model, and of the device on it.

    None at all without a place, which the models of things want.
    """
    make = _MODELS.get(reading.kind)
    if reading.place is None:
        return []
    return [*(make(reading) if make else ()), _device(reading)]


def urn(kind: str, reading: Released, suffix: str = "") -> str:
    """Return the id of an entity: ``urn:ngsi-ld:<type>:<device>``."""
    return f"urn:ngsi-ld:{kind}:{_NOT_IN_URN.sub('-', reading.device)}{suffix}"


def device_of(entity_id: str) -> str:
    """Return the id of the Device behind an entity."""
    local = entity_id.split(":", 3)[-1]
    return f"urn:ngsi-ld:Device:{local.removesuffix('-a').removesuffix('-b') if 'TrafficFlow' in entity_id else local}"


def iso(time_s: float) -> str:
    """Return a DateTime (section 4.6.3): UTC, in milliseconds where there are any."""
    precision = "seconds" if time_s == int(time_s) else "milliseconds"
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def _street_light(reading: Released) -> list[Entity]:
    attributes, units = _begin(reading)
    _measured(reading, attributes, units, {"current": (_MA_PER_A, "mA")})
    if "powerState" in attributes:
        attributes["powerState"] = "on" if attributes["powerState"] else "off"
    return [_thing("Streetlight", reading, attributes, units)]


def _waste_bin(reading: Released) -> list[Entity]:
    attributes, units = _begin(reading)
    _measured(reading, attributes, units, {})
    return [_thing("WasteContainer", reading, attributes, units)]


def _traffic(reading: Released) -> list[Entity]:
    """One entity for each direction; what was measured over both stands with each."""
    interval = reading.fields.get("interval_s")
    seconds = float(interval.value) if interval else 0.0
    found = []
    for suffix, field, direction in (("-a", "count_a", "forward"), ("-b", "count_b", "backward")):
        attributes, units = _begin(reading)
        attributes["dateObserved"] = iso(reading.time_s)
        attributes["laneDirection"] = direction
        if seconds:
            attributes["dateObservedFrom"] = iso(reading.time_s - seconds)
            attributes["dateObservedTo"] = iso(reading.time_s)
        if field in reading.fields:
            attributes["intensity"] = reading.fields[field].value
        _measured(reading, attributes, units, {"averageVehicleSpeed": (_MS_PER_KMH, "km/h")})
        found.append(
            Entity(
                urn("TrafficFlowObserved", reading, suffix), "TrafficFlowObserved", reading.time_s, attributes, units
            )
        )
    return found


_MODELS: dict[str, Callable[[Released], list[Entity]]] = {
    "street_light": _street_light,
    "waste_bin": _waste_bin,
    "traffic": _traffic,
}
"""A kind that is not here is told of as a Device only."""


def _begin(reading: Released) -> tuple[dict[str, Any], dict[str, str]]:
    attributes: dict[str, Any] = {}
    if reading.place is not None:
        attributes["location"] = Place(*reading.place)
    attributes["refDevice"] = Link(urn("Device", reading))
    if reading.facts.owner:
        attributes["owner"] = [f"urn:ngsi-ld:Organization:{_NOT_IN_URN.sub('-', reading.facts.owner)}"]
    return attributes, {}


def _measured(
    reading: Released, attributes: dict[str, Any], units: dict[str, str], other: Mapping[str, tuple[float, str]]
) -> None:
    """Add the fields that the model has a word for; *other*: factor from the SenML unit, and the model's unit."""
    for field in reading.fields.values():
        if not field.attribute:
            continue
        factor, unit = other.get(field.attribute, (1.0, field.unit or ""))
        value = field.value
        if factor != 1.0 and isinstance(value, int | float):
            value = round(value * factor, _DECIMALS)
        attributes[field.attribute] = value
        if unit in _UNIT_CODES:
            units[field.attribute] = _UNIT_CODES[unit]


def _thing(kind: str, reading: Released, attributes: dict[str, Any], units: dict[str, str]) -> Entity:
    alarms = tuple(
        Alarm(field, status, bool(reading.fields[field].value))
        for field, status in STATUS_OF[kind].items()
        if field in reading.fields
    )
    return Entity(urn(kind, reading), kind, reading.time_s, attributes, units, alarms)


def _device(reading: Released) -> Entity:
    facts, fields = reading.facts, reading.fields
    attributes: dict[str, Any] = {
        "category": ["sensor", "actuator"] if facts.role in ("actuator", "both") else ["sensor"],
        "controlledProperty": list(facts.measures) or [reading.kind],
        "dateLastValueReported": iso(reading.time_s),
    }
    if reading.place is not None:
        attributes["location"] = Place(*reading.place)
    if facts.asset:
        attributes["controlledAsset"] = [f"urn:ngsi-ld:Asset:{_NOT_IN_URN.sub('-', facts.asset)}"]
    if "battery_pct" in fields:
        attributes["batteryLevel"] = round(float(fields["battery_pct"].value) / 100, _DECIMALS)
    if "firmware_version" in fields:
        number = int(fields["firmware_version"].value)
        attributes["firmwareVersion"] = f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    return Entity(urn("Device", reading), "Device", reading.time_s, attributes, {})


def _normal(value: Any, at: str, unit: str | None) -> dict[str, Any]:
    if isinstance(value, Place):
        return {"type": "GeoProperty", "value": _simple(value)}
    if isinstance(value, Link):
        return {"type": "Relationship", "object": value.to}
    if isinstance(value, Assumed):
        return {"type": "Property", "value": value.value}
    found = {"type": "Property", "value": value, "observedAt": at}
    return found if unit is None else {**found, "unitCode": unit}


def _simple(value: Any) -> Any:
    if isinstance(value, Place):
        return {"type": "Point", "coordinates": [value.lon, value.lat]}
    if isinstance(value, Assumed):
        return value.value
    return value.to if isinstance(value, Link) else value


@cache
def _terms() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(
        resources.files(__package__).joinpath("terms.json").read_text("utf-8")
    )
    return found
