# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""OGC SensorThings API 1.1 (OGC 18-088): the service root and one entity set."""

from __future__ import annotations

from typing import Any, Final

from provisioning.conformance.http import Http
from provisioning.conformance.steps import Minutes, StepFailed, Target

# OGC 18-088, 8.2 (the sensing entities) and 9.2.1 (what the service root lists).
_ENTITY_SETS: Final = (
    "Things", "Locations", "HistoricalLocations", "Datastreams", "Sensors", "ObservedProperties", "Observations",
    "FeaturesOfInterest",
)  # fmt: skip
_CLASS: Final = "http://www.opengis.net/spec/iot_sensing/1.1/req/datamodel"
_WHY: Final = "A client finds its way from what the service root lists (OGC 18-088, 9.2.1)."
_NEXT: Final = "api_url is the root with its version, such as https://host/v1.1; else ask whoever runs the platform"


async def check(http: Http, target: Target, minutes: Minutes) -> None:
    """Ask the service. Raises StepFailed at the first thing that is not as published."""
    root_url = target.url.rstrip("/")
    with minutes.step("SensorThings: service root") as note:
        root = (await http.ask("GET", root_url, headers={"Accept": "application/json"})).json()
        listed = _entity_sets(root)
        note.text = f"{len(listed)} entity sets"
    with minutes.step("SensorThings: conformance 1.1") as note:
        note.text = f"{_conformance(root)} classes"
    with minutes.step("SensorThings: an entity set answers") as note:
        answer = await http.ask("GET", f"{root_url}/Things?$top=1", headers={"Accept": "application/json"})
        things = answer.json()
        if not isinstance(things, dict) or not isinstance(things.get("value"), list):
            raise _wrong("Things is no list of entities: an object with an array value is expected.", things)
        note.text = f"{len(things['value'])} of its Things"


def _entity_sets(root: Any) -> set[str]:
    entries = root.get("value") if isinstance(root, dict) else None
    if not isinstance(entries, list):
        raise _wrong("The service root lists no entity sets.", root)
    named = {each["name"] for each in entries if isinstance(each, dict) and isinstance(each.get("name"), str)
             and isinstance(each.get("url"), str)}  # fmt: skip
    absent = [each for each in _ENTITY_SETS if each not in named]
    if absent:
        raise _wrong("The service root lacks entity sets that SensorThings asks for.", ", ".join(absent))
    return named


def _conformance(root: dict[str, Any]) -> int:
    settings = root.get("serverSettings")
    classes = settings.get("conformance") if isinstance(settings, dict) else None
    if not isinstance(classes, list) or not any(isinstance(each, str) and each.startswith(_CLASS) for each in classes):
        raise _wrong(f"The service root does not claim SensorThings 1.1 ({_CLASS}).", classes)
    return len(classes)


def _wrong(state: str, found: object) -> StepFailed:
    return StepFailed(state, value=found if isinstance(found, str) else repr(found)[:120], reason=_WHY, next_step=_NEXT)
