# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A generic HTTP peer for outputs, ours and not a product: keeps what it is sent, and fails on order.

No context broker can be had from a package registry, so this one stands in: the batch upsert and the queries of NGSI-LD
(ETSI GS CIM 009 sections 6.4 and 6.15), and faults that a test orders. Runs in a thread of its own.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Answer = Callable[[Any], Response | None]


class HttpPeer:
    """One server on a port of its own, which survives being stopped and started again."""

    def __init__(self, **tls: Any) -> None:
        self._tls = tls
        self._probe = socket.create_server(("127.0.0.1", 0))
        self.port = self._probe.getsockname()[1]
        self._probe.close()
        self.asked: Counter[str] = Counter()
        """Requests by method and path."""
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        """What was posted: path with query, headers, body."""
        self.faults: deque[Answer] = deque()
        """Each answers one request in place of the peer; one that returns None lets it through."""
        self.always: Answer | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        app = Starlette(routes=[Route("/{path:path}", self._handle, methods=["GET", "POST", "PATCH"])])
        quiet: dict[str, Any] = {"log_level": "critical", "ws": "none", "lifespan": "off", **self._tls}
        config = uvicorn.Config(app, host="127.0.0.1", port=self.port, **quiet)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        end = time.monotonic() + 60
        while not self._server.started and time.monotonic() < end:
            time.sleep(0.01)
        assert self._server.started, "the peer never started"

    def stop(self) -> None:
        """Be gone: connections are cut."""
        if self._server is not None and self._thread is not None:
            self._server.force_exit = self._server.should_exit = True
            self._thread.join(30)
            assert not self._thread.is_alive()
        self._server = self._thread = None

    async def _handle(self, request: Request) -> Response:
        body = await request.json() if await request.body() else None
        path = request.url.path
        self.asked[f"{request.method} {path}"] += 1
        if request.method != "GET":
            self.requests.append((f"{path}?{request.url.query}", dict(request.headers), body))
        fault = self.faults.popleft() if self.faults else self.always
        answer = None if fault is None else fault(body)
        return answer if answer is not None else self.answer(request, path, body)

    def answer(self, request: Request, path: str, body: Any) -> Response:
        raise NotImplementedError


def says(status: int, body: Any = None, **headers: str) -> Answer:
    """An answer that does not depend on the question."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: JSONResponse(body if body is not None else {"title": "ordered"}, status, named)


class Broker(HttpPeer):
    """What a context broker keeps: entities by id, attributes merged (options=update)."""

    def __init__(self, **tls: Any) -> None:
        super().__init__(**tls)
        self.entities: dict[str, dict[str, Any]] = {}
        self.contexts: dict[str, dict[str, str]] = {}
        self.poison: set[str] = set()
        """Ids that are refused, the rest of the batch is taken: 207."""

    def answer(self, request: Request, path: str, body: Any) -> Response:
        if path == "/ngsi-ld/v1/entities":
            types = request.query_params.get("type", "").split(",")
            if not all(each.startswith("https://smartdatamodels.org/dataModel.") for each in types):
                return JSONResponse({"title": "too broad, or a type without a context"}, 400)
            wanted = request.query_params.get("id", "").split(",")
            return JSONResponse([self._expanded(each) for each in wanted if each in self.entities])
        if path != "/ngsi-ld/v1/entityOperations/upsert":
            return JSONResponse({"title": "no such resource"}, 404)
        ids = [each["id"] for each in body]
        if len(ids) != len(set(ids)):
            return JSONResponse({"title": "an entity twice in one batch"}, 400)
        self.contexts |= {each["id"]: each["@context"][0] for each in body}
        errors = [
            {"entityId": each, "error": {"type": "about:blank", "title": "poison", "status": 400}}
            for each in ids
            if each in self.poison
        ]
        created = [each["id"] for each in body if each["id"] not in self.poison and each["id"] not in self.entities]
        for each in body:
            if each["id"] not in self.poison:
                self.entities.setdefault(each["id"], {}).update({k: v for k, v in each.items() if k != "@context"})
        if errors:
            return JSONResponse({"success": [each for each in ids if each not in self.poison], "errors": errors}, 207)
        return JSONResponse(created, 201) if created else Response(status_code=204)

    def _expanded(self, entity_id: str) -> dict[str, Any]:
        """An entity as it is told to someone who sent no context: under the IRIs of its attributes."""
        context = self.contexts[entity_id]
        return {context.get(name, name): value for name, value in self.entities[entity_id].items()}
