# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What everybody may know of the devices in the streets: what stands where, who owns it, what it measures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from provisioning.errors import AlreadyExists
from provisioning.guidelines.texts import Language
from provisioning.model.device import DeviceRecord
from provisioning.model.organisations import Organisation
from provisioning.model.parts import Location
from provisioning.private_files import PUBLIC_MODE, make_directory, write_new
from provisioning.reports import public_html
from provisioning.reports.judged import Judged, judge

if TYPE_CHECKING:
    from provisioning.guidelines.engine import Guidelines

RULE: Final = "PRIV-1"
_STANDS: Final = frozenset({"installed", "operational", "suspended"})
_DECIMALS: Final = 5
"""About a metre."""
_PROTECTED_DECIMALS: Final = 2
"""About a kilometre: where is not to be known more closely."""


def position(place: Location, *, exact: bool = False) -> tuple[float, float]:
    """Latitude and longitude as others may see them; protected ones are rounded unless `exact`."""
    digits = _PROTECTED_DECIMALS if place.protected and not exact else _DECIMALS
    return round(place.lat, digits), round(place.lon, digits)


def feature(
    device: DeviceRecord, organisations: Mapping[str, Organisation], feedback: str, judged: Judged
) -> dict[str, Any] | None:
    """A device as a GeoJSON feature (RFC 7946); None for one without a place. It names no DevEUI."""
    place = device.location
    if place is None:
        return None
    lat, lon = position(place)
    owner = organisations.get(device.owner_org or "")
    personal = device.personal_data
    properties: dict[str, Any] = {
        "id": device.id,
        "kind": device.kind,
        "owner": owner.name if owner is not None else device.owner_org,
        "measures": sorted({stream.property for stream in device.streams}),
        "sensors": list(device.sensing_tech or ()),
        "personal_data": _personal(device, judged),
        "purpose": device.need.summary if device.need is not None else None,
        "until": device.lifecycle.planned_end.isoformat() if device.lifecycle.planned_end else None,
        "district": place.district,
        "address": None if place.protected else place.address,
        "position": "rounded" if place.protected else "exact",
        "more": personal.info_url if personal is not None else None,
        "contact": device.owner.contact if device.owner is not None and device.owner.contact else feedback,
    }
    return {
        "type": "Feature",
        "id": device.id,
        "geometry": {"type": "Point", "coordinates": [lon, lat]},
        "properties": {name: value for name, value in properties.items() if value is not None},
    }


def _personal(device: DeviceRecord, judged: Judged) -> str:
    """What it may tell of people: as declared, or as PRIV-1 says where that was too little."""
    for each in judged.hits(device, RULE, "too_low"):
        if each.hit is not None:
            return str(each.hit.required)
    return device.personal_data.level if device.personal_data is not None else "not stated"


def features(rules: Guidelines, feedback: str) -> list[dict[str, Any]]:
    """All devices that stand somewhere."""
    organisations = {each.id: each for each in rules.stock.organisations()}
    standing = [each for each in rules.stock.devices() if each.lifecycle.stage in _STANDS and not each.external]
    judged = judge(rules.only(RULE), standing)
    made = (feature(device, organisations, feedback, judged) for device in standing)
    return [each for each in made if each is not None]


def write(rules: Guidelines, folder: Path, *, city: str, feedback: str, language: Language = "sv") -> int:
    """Write `devices.geojson`, an index and a page for each device into a new folder; return how many devices."""
    make_directory(folder)
    if any(folder.iterdir()):
        raise AlreadyExists(
            "The folder for the public pages is not empty. Nothing was changed.",
            value=folder,
            reason="A page of a device that is gone would stay.",
            next_step="choose a new folder, and put it in the place of the old one when it is done",
        )
    found = features(rules, feedback)
    collection = {"type": "FeatureCollection", "features": found}
    _write(folder / "devices.geojson", json.dumps(collection, ensure_ascii=False, separators=(",", ":")) + "\n")
    _write(folder / "index.html", public_html.index(city, [each["properties"] for each in found], language))
    make_directory(folder / "device")
    for each in found:
        page = public_html.page(city, each["properties"], feedback, language)
        _write(folder / "device" / f"{each['id']}.html", page)
    return len(found)


def _write(path: Path, text: str) -> None:
    write_new(path, text.encode(), PUBLIC_MODE)
