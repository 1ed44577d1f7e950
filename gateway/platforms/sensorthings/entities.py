# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Readings as entities of OGC SensorThings 1.1 (OGC 18-088, section 8.2). Pure.

A device is a Thing, where it stands a Location, each of its fields a Datastream; fields of one name share an
ObservedProperty, devices of one model a Sensor.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.releases.release import Released, Told

_OM = "http://www.opengis.net/def/observationType/OGC-OM/2.0/"
_ENCODING = "application/pdf"
"""Of a Sensor's metadata: of the value codes of table 15 the one that a data sheet has."""
_SENML = "https://www.iana.org/assignments/senml/senml.xhtml#senml-units"
_PROPERTY = "urn:lykta:property:"
_NO_UNIT = {"name": None, "symbol": None, "definition": None}
"""Section 8.2.4: a Datastream without a unit says so with nulls."""


def thing(reading: Released) -> dict[str, Any]:
    """Return the Thing, with its Location within it: both are made in one request, or neither is."""
    facts = reading.facts
    about = {"kind": reading.kind, "owner": facts.owner, "asset": facts.asset, "segment": facts.segment}
    found: dict[str, Any] = {
        "name": reading.device,
        "description": facts.name or f"{reading.kind} {reading.device}",
        "properties": {name: value for name, value in about.items() if value},
    }
    if reading.place is not None:
        found["Locations"] = [
            {
                "name": reading.device,
                "description": f"Where {reading.device} stands",
                "encodingType": "application/geo+json",
                "location": {"type": "Point", "coordinates": list(reading.place)},
            }
        ]
    return found


def sensor(reading: Released) -> dict[str, Any]:
    """Return the Sensor: what kind of device it was measured with."""
    facts = reading.facts
    name = " ".join(part for part in (facts.maker, facts.model) if part) or reading.kind
    return {"name": name, "description": f"{name}, {reading.kind}", "encodingType": _ENCODING, "metadata": name}


def observed_property(told: Told) -> dict[str, Any]:
    """Return the ObservedProperty of a field, by its SenML name."""
    return {
        "name": told.senml_name,
        "definition": f"{_PROPERTY}{told.senml_name}",
        "description": told.senml_name.replace("_", " "),
    }


def datastream(reading: Released, told: Told, ids: dict[str, Any]) -> dict[str, Any]:
    """Return the Datastream of a device's field; *ids* of its Thing, Sensor and ObservedProperty, by these names."""
    unit = {"name": told.unit, "symbol": told.unit, "definition": _SENML} if told.unit else _NO_UNIT
    return {
        "name": stream_name(reading, told),
        "description": f"{told.senml_name.replace('_', ' ')} of {reading.device}",
        "observationType": f"{_OM}{_observation_type(told)}",
        "unitOfMeasurement": unit,
        **{name: {"@iot.id": value} for name, value in ids.items()},
    }


def stream_name(reading: Released, told: Told) -> str:
    """Return the name by which a Datastream is found again."""
    return f"{reading.device} {told.senml_name}"


COMPONENTS = ["phenomenonTime", "result", "resultTime", "parameters"]
"""Of an observation within a data array (section 13)."""


def observation(reading: Released, told: Told) -> list[Any]:
    """Return an observation, its values in the order of COMPONENTS.

    Traffic is observed over an interval; all else at a time. The parameters name the record, so that one that comes
    twice is known.
    """
    at = _iso(reading.time_s)
    interval = reading.fields.get("interval_s")
    over = f"{_iso(reading.time_s - float(interval.value))}/{at}" if interval and interval.value else at
    return [over, told.value, at, {"stream": reading.stream, "record": reading.record, "seq": reading.seq}]


def _observation_type(told: Told) -> str:
    if isinstance(told.value, bool):
        return "OM_TruthObservation"
    if isinstance(told.value, str):
        return "OM_Observation"
    return "OM_Measurement"


def _iso(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
