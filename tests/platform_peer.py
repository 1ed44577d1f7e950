# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A peer inside the test's process that answers HTTP as a platform should, or as a broken one: no real platform."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

SENSORTHINGS_CLASS = "http://www.opengis.net/spec/iot_sensing/1.1/req/datamodel"
ENTITY_SETS = (
    "Things", "Locations", "HistoricalLocations", "Datastreams", "Sensors", "ObservedProperties", "Observations",
    "FeaturesOfInterest",
)  # fmt: skip
OPENAPI: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "City data", "version": "1"},
    "paths": {"/readings": {"get": {"responses": {"200": {"description": "readings"}}}}},
}


class Reply(NamedTuple):
    """What the peer answers; `hold` is waited for before the body."""

    status: int = 200
    body: bytes = b""
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    hold: threading.Event | None = None


def as_json(value: object, status: int = 200, kind: str = "application/json") -> Reply:
    """A reply of JSON."""
    return Reply(status, json.dumps(value).encode(), kind)


class Peer:
    """Answers each request by `answer(method, path, body)` and remembers what was asked."""

    def __init__(self) -> None:
        self.answer: Callable[[str, str, bytes], Reply] = lambda _m, _p, _b: Reply(404)
        self.asked: list[tuple[str, str, str | None]] = []
        """Method, path and what the Authorization header was."""
        self.url = ""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """The class that http.server wants."""
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                peer.asked.append((self.command, self.path, self.headers.get("Authorization")))
                reply = peer.answer(self.command, self.path, body)
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.kind)
                for name, value in reply.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                if reply.hold is not None:
                    reply.hold.wait(60)
                try:
                    self.wfile.write(reply.body)
                except OSError:  # whoever asked has read enough
                    self.close_connection = True

            do_GET = do_POST = do_DELETE = _any  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def serving(certificate: tuple[Path, Path] | None = None) -> Iterator[Peer]:
    """A peer on a loopback port; with a certificate and its key over TLS."""
    peer = Peer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), peer.handler())
    server.daemon_threads = True
    server.block_on_close = False
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    peer.url = f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def sensorthings(url: str) -> Callable[[str, str, bytes], Reply]:
    """Answers of a SensorThings service below /v1.1."""
    root = {
        "value": [{"name": each, "url": f"{url}/v1.1/{each}"} for each in ENTITY_SETS],
        "serverSettings": {"conformance": [SENSORTHINGS_CLASS]},
    }
    return lambda _m, path, _b: as_json(root if path == "/v1.1" else {"value": []})


class NgsiLd:
    """Answers of an NGSI-LD broker that keeps entities."""

    def __init__(self) -> None:
        self.entities: dict[str, Any] = {}

    def __call__(self, method: str, path: str, body: bytes) -> Reply:
        """One request."""
        if path == "/ngsi-ld/v1/types":
            found = {"id": "urn:ngsi-ld:EntityTypeList:1", "type": "EntityTypeList", "typeList": ["Streetlight"]}
            return as_json(found, kind="application/ld+json")
        if method == "POST":
            entity = json.loads(body)
            self.entities[entity["id"]] = entity
            return Reply(201)
        entity_id = path.rpartition("/")[2]
        if entity_id not in self.entities:
            return as_json({"title": "no such entity"}, 404)
        if method == "DELETE":
            del self.entities[entity_id]
            return Reply(204)
        return as_json(self.entities[entity_id])
