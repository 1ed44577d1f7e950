# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""NGSI-LD (ETSI GS CIM 009): the list of types and, where it may, one entity created, read and deleted."""

from __future__ import annotations

import json
import secrets
from typing import Any, Final

from provisioning.conformance.http import Http
from provisioning.conformance.steps import Minutes, StepFailed, Target

_ROOT: Final = "/ngsi-ld/v1"
_MEDIA: Final = ("application/json", "application/ld+json")
_WHY: Final = "A client of NGSI-LD relies on these answers (ETSI GS CIM 009, 5.2.24 and 6)."
_NEXT: Final = f"api_url is the address before {_ROOT}; else ask whoever runs the platform"


async def check(http: Http, target: Target, minutes: Minutes) -> None:
    """Ask the broker. Raises StepFailed at the first thing that is not as published."""
    root = target.url.rstrip("/").removesuffix(_ROOT) + _ROOT
    with minutes.step("NGSI-LD: types") as note:
        answer = await http.ask("GET", f"{root}/types", headers={"Accept": "application/ld+json"})
        if answer.kind not in _MEDIA:
            raise _wrong("The list of types is neither JSON nor JSON-LD.", answer.kind or "no media type")
        note.text = f"{_types(answer.json())} types, {answer.kind}"
    if target.write:
        await _write(http, f"{root}/entities", minutes)


async def _write(http: Http, entities: str, minutes: Minutes) -> None:
    nonce = secrets.token_hex(8)
    entity_id = f"urn:ngsi-ld:LyktaTest:{nonce}"
    entity = {"id": entity_id, "type": "LyktaTest", "probe": {"type": "Property", "value": nonce}}
    with minutes.step("NGSI-LD: create the test entity") as note:
        body = json.dumps(entity).encode()
        await http.ask("POST", entities, expected=(201,), headers={"Content-Type": "application/json"}, body=body)
        note.text = entity_id
    try:
        with minutes.step("NGSI-LD: read it"):
            _same(
                (await http.ask("GET", f"{entities}/{entity_id}", headers={"Accept": "application/json"})).json(),
                entity,
            )
    finally:  # also where it was not read right: what the test made does not stay
        with minutes.step("NGSI-LD: delete it"):
            await http.ask("DELETE", f"{entities}/{entity_id}", expected=(204,))
    with minutes.step("NGSI-LD: it is gone"):
        await http.ask("GET", f"{entities}/{entity_id}", expected=(404,), headers={"Accept": "application/json"})


def _types(found: Any) -> int:
    listed = found.get("typeList") if isinstance(found, dict) and found.get("type") == "EntityTypeList" else None
    if isinstance(listed, str):  # an array of one, compacted as JSON-LD does
        return 1
    if not isinstance(listed, list):
        raise _wrong("The list of types is no EntityTypeList with a typeList.", repr(found)[:120])
    return len(listed)


def _same(found: Any, entity: dict[str, Any]) -> None:
    probe = found.get("probe") if isinstance(found, dict) else None
    value = probe.get("value") if isinstance(probe, dict) else None
    if not isinstance(found, dict) or found.get("id") != entity["id"] or value != entity["probe"]["value"]:
        raise _wrong("The test entity is read back as something else.", repr(found)[:120])


def _wrong(state: str, found: str) -> StepFailed:
    return StepFailed(state, value=found, reason=_WHY, next_step=_NEXT)
