# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A generic SensorThings peer, ours and not a product: the sets, filters by name, deep insert and data arrays of 1.1.

A service of others is what test_sensorthings_service.py meets (make sensorthings-test).
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.http_peer import HttpPeer

_NAME = re.compile(r"name eq '((?:[^']|'')*)'")


class Things(HttpPeer):
    """What a SensorThings service keeps."""

    def __init__(self, **tls: Any) -> None:
        super().__init__(**tls)
        self.sets: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.observations: list[tuple[str, dict[str, Any]]] = []
        """Name of the Datastream, and the observation by component."""
        self.without_body = False
        """Created entities are named in Location only."""

    def answer(self, request: Request, path: str, body: Any) -> Response:
        entity_set = path.removeprefix("/v1.1/")
        if entity_set == "CreateObservations":
            return JSONResponse([link for array in body for link in self._observe(array)], 201)
        if entity_set not in ("Things", "Locations", "Sensors", "ObservedProperties", "Datastreams"):
            return JSONResponse({"message": "no such resource"}, 404)
        if request.method == "GET":
            names = [name.replace("''", "'") for name in _NAME.findall(request.query_params.get("$filter", ""))]
            return JSONResponse({"value": [each for each in self.sets[entity_set] if each["name"] in names]})
        return self._make(entity_set, body)

    def _make(self, entity_set: str, body: dict[str, Any]) -> Response:
        if entity_set == "Datastreams" and not {"Thing", "Sensor", "ObservedProperty"} <= set(body):
            return JSONResponse({"message": "a Datastream belongs to three"}, 400)
        for place in body.pop("Locations", []):
            self._make("Locations", place)
        made = {**body, "@iot.id": len(self.sets[entity_set]) + 1}
        self.sets[entity_set].append(made)
        link = f"{self.url}/v1.1/{entity_set}({made['@iot.id']})"
        if self.without_body:
            return Response(status_code=201, headers={"Location": link})
        return JSONResponse({**made, "@iot.selfLink": link}, 201, {"Location": link})

    def _observe(self, array: dict[str, Any]) -> list[str]:
        streams = {each["@iot.id"]: each["name"] for each in self.sets["Datastreams"]}
        name = streams.get(array["Datastream"]["@iot.id"])
        links = []
        for row in array["dataArray"]:
            found = dict(zip(array["components"], row, strict=True))
            if name is None or found["result"] == "poison":
                links.append("error: no")
                continue
            self.observations.append((name, found))
            links.append(f"{self.url}/v1.1/Observations({len(self.observations)})")
        return links
