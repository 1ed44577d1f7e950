# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the status page's server answers. It knows an overview, a reload and nothing else of the gateway."""

from __future__ import annotations

import asyncio
import csv
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from gateway.operate import metrics
from gateway.operate.web.access import bearer_is

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request

    from gateway.operate.web.source import Source

STATIC = Path(__file__).parent / "static"
EVERY_S = 2.0
MAX_STREAMS = 16


class Pages:
    """All answers of one configuration."""

    def __init__(
        self, source: Source, token: bytes | None, devices: int, positions: Mapping[str, tuple[float, float]]
    ) -> None:
        self.ended = asyncio.Event()
        """Set it to end the streams of events."""
        self._source = source
        self._token = token
        self._devices = devices
        self._positions = positions
        self._streams = 0

    def app(self) -> Starlette:
        """Return the application."""
        return Starlette(
            routes=[
                Route("/", self._page),
                Route("/status.json", self._status),
                Route("/events", self._events),
                Route("/metrics", self._metrics),
                Route("/healthz", self._live),
                Route("/readyz", self._ready),
                Route("/reload", self._reload, methods=["POST"]),
                Mount("/static", StaticFiles(directory=STATIC)),
            ]
        )

    async def _shown(self) -> dict[str, Any]:
        return shown(await self._source.gather(), self._devices, self._positions)

    async def _page(self, _request: Request) -> Response:
        return FileResponse(STATIC / "index.html", media_type="text/html; charset=utf-8")

    async def _status(self, _request: Request) -> Response:
        return JSONResponse(await self._shown())

    async def _metrics(self, _request: Request) -> Response:
        text = self._source.metrics.text(await self._source.gather())
        return Response(text, headers={"content-type": metrics.CONTENT_TYPE})

    async def _live(self, _request: Request) -> Response:
        return _yes_or_no((await self._source.gather())["live"])

    async def _ready(self, _request: Request) -> Response:
        return _yes_or_no((await self._source.gather())["ready"])

    async def _events(self, _request: Request) -> Response:
        if self._streams >= MAX_STREAMS:
            return PlainTextResponse("Too many pages are open; close one.\n", 503, {"retry-after": "10"})
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[bytes]:
        self._streams += 1
        try:
            while not self.ended.is_set():
                found = json.dumps(await self._shown(), separators=(",", ":"))
                yield f"event: status\ndata: {found}\n\n".encode()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.ended.wait(), EVERY_S)
        finally:
            self._streams -= 1

    async def _reload(self, request: Request) -> Response:
        if self._token is None:
            return PlainTextResponse("There is no operate.token, so nothing can be changed here.\n", 403)
        if not bearer_is(request.headers.get("authorization", ""), self._token):
            return PlainTextResponse("This needs the token of operate.token.\n", 401, {"www-authenticate": "Bearer"})
        outcome = await self._source.reload()
        return JSONResponse(dict(outcome), 200 if outcome["ok"] else 409)


def shown(found: Mapping[str, Any], devices: int, positions: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    """Return what the page needs of an overview, with the places that are known."""
    placed = []
    for device in found["devices"][:devices]:
        latitude_deg, longitude_deg = positions.get(device["dev_eui"], (None, None))
        placed.append({**device, "latitude_deg": latitude_deg, "longitude_deg": longitude_deg})
    return {**found, "devices": placed, "devices_heard": len(found["devices"])}


def read_positions(text: str) -> dict[str, tuple[float, float]]:
    """Return (latitude, longitude) by DevEUI from CSV with the columns dev_eui, latitude_deg, longitude_deg.

    Raises ValueError.
    """
    found = {}
    for number, row in enumerate(csv.DictReader(text.splitlines()), 2):
        try:
            place = float(row["latitude_deg"]), float(row["longitude_deg"])
            dev_eui = row["dev_eui"].strip().lower()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"line {number}: this is not dev_eui,latitude_deg,longitude_deg") from error
        if not (-90 <= place[0] <= 90 and -180 <= place[1] <= 180):
            raise ValueError(f"line {number}: {place[0]}, {place[1]} is no place on Earth")
        found[dev_eui] = place
    return found


def _yes_or_no(yes: bool) -> Response:
    return PlainTextResponse("ok\n" if yes else "no\n", 200 if yes else 503)
