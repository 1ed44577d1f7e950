# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Radio coverage as GeoJSON (RFC 7946) and JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Literal

from provisioning.model.geo import EARTH_RADIUS_M
from provisioning.reports.radio_range import extrapolated

if TYPE_CHECKING:
    from provisioning.reports.coverage import Coverage, Group, Row, Site

Form = Literal["geojson", "json"]
NOTICE: Final = (
    "An estimate is no promise: a median of Hata's formula with a margin, without houses, hills or other traffic on "
    "the air. Try it on the spot before anything is built on it."
)
MEASURED: Final = (
    "Measured: the gateway told readings of devices as far away as this. Nothing is known of what lies between, nor "
    "how strongly they were heard."
)
_CORNERS: Final = 64
_DECIMALS: Final = 6
"""A tenth of a metre."""


def ring(lat: float, lon: float, radius_m: float) -> list[list[float]] | None:
    """Longitudes and latitudes of a closed ring against the clock, its corners on the circle; inside is within it.

    None where no plain ring can be drawn: over a pole (89 degrees and more) or the date line (RFC 7946, 3.1.9).
    """
    phi, reach = math.radians(lat), radius_m / EARTH_RADIUS_M
    if abs(lat) + math.degrees(reach) >= 89:
        return None
    corners = []
    for number in range(_CORNERS):
        bearing = -2 * math.pi * number / _CORNERS
        there = math.asin(math.sin(phi) * math.cos(reach) + math.cos(phi) * math.sin(reach) * math.cos(bearing))
        east = math.atan2(
            math.sin(bearing) * math.sin(reach) * math.cos(phi), math.cos(reach) - math.sin(phi) * math.sin(there)
        )
        corners.append([round(lon + math.degrees(east), _DECIMALS), round(math.degrees(there), _DECIMALS)])
    if any(abs(each[0]) > 180 for each in corners):
        return None
    return [*corners, corners[0]]


def about(report: Coverage) -> dict[str, Any]:
    """What the figures are, and what they are worth."""
    return {
        "basis": ["measured", "estimated"] if report.measured else ["estimated"],
        "notice": NOTICE,
        "model": "Hata 1980, medium-small city; SX1276 sensitivity at 125 kHz",
        "protected_positions": "exact" if report.exact else "rounded",
        "figures": asdict(report.budget),
    }


def as_geojson(report: Coverage) -> str:
    """A feature for each position and each area. WGS 84, longitude first."""
    features = [each for site in report.sites for each in _of_site(report, site)]
    features += [_of_row(row) for row in report.rows if row.lat is not None]
    without = [site.id for site in report.sites if site.lat is None]
    collection = {
        "type": "FeatureCollection",
        "features": features,
        "about": about(report),
        "gateways_without_position": without,
    }
    return json.dumps(collection, ensure_ascii=False, separators=(",", ":")) + "\n"


def as_json(report: Coverage, by: Group) -> str:
    """Everything as numbers, without areas."""
    values = {
        "about": about(report),
        "gateways": [asdict(site) for site in report.sites],
        "devices": [_named(row) for row in report.rows],
        "summary": {"by": by, "groups": report.summary(by)},
    }
    return json.dumps(values, ensure_ascii=False, indent=2) + "\n"


def _of_site(report: Coverage, site: Site) -> list[dict[str, Any]]:
    if site.lat is None or site.lon is None:
        return []
    named = {"gateway": site.id, "owner": site.owner, "stage": site.stage, "position": _word(site.rounded)}
    areas: list[tuple[str, str, float]] = [(link, "estimated", radius_m) for link, radius_m in site.range_m.items()]
    if site.measured_m:
        areas.append(("any", "measured", site.measured_m))
    features = []
    for link, basis, radius_m in areas:
        corners = ring(site.lat, site.lon, radius_m)
        properties = {"what": "coverage", **named, "link": link, "basis": basis, "range_m": round(radius_m)}
        properties["notice"] = NOTICE if basis == "estimated" else MEASURED
        if link == "lora":
            height_m = report.budget.gateway_height_m if site.height_m is None else site.height_m
            properties["extrapolated"] = extrapolated(height_m, radius_m)
        if corners is None:
            properties["not_drawn"] = "it crosses a pole or the date line"
        geometry = None if corners is None else {"type": "Polygon", "coordinates": [corners]}
        features.append(_feature(f"{site.id}/{link}/{basis}", geometry, properties))
    own = {"what": "gateway", **named, "links": site.links, "height_m": site.height_m}
    return [_feature(site.id, _point(site.lat, site.lon), own), *features]


def _of_row(row: Row) -> dict[str, Any]:
    properties = {"what": "device", **_named(row), "position": _word(row.rounded)}
    for name in ("id", "lat", "lon", "rounded"):
        del properties[name]
    return _feature(row.id, _point(row.lat, row.lon), properties)


def _named(row: Row) -> dict[str, Any]:
    distance_m = None if row.distance_m is None else round(row.distance_m)
    return {**row._asdict(), "distance_m": distance_m}


def _word(rounded: bool) -> str:
    return "rounded" if rounded else "exact"


def _point(lat: float | None, lon: float | None) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [lon, lat]}


def _feature(name: str, geometry: dict[str, Any] | None, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "id": name, "geometry": geometry, "properties": properties}
