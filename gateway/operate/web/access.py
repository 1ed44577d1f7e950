# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Who may ask what: names of this host only, a login where one is set, a token for anything that changes something."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

USER = "operator"
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""Yes or no, and nothing else: load balancers have no passwords."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """Stands before the application."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str], password: bytes | None) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._password = password

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(each for each in _HEADERS if each[0] not in names)]
            await send(message)

        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        app = self._app
        if _host(headers.get(b"host", b"").decode("latin-1")) not in self._hosts:
            app = PlainTextResponse("This page is not known by that name; see operate.hosts.\n", 421)
        elif self._password is not None and scope["path"] not in OPEN_PATHS and not self._knows(headers):
            ask = {"www-authenticate": 'Basic realm="Lykta gateway", charset="UTF-8"'}
            app = PlainTextResponse("The user is operator; operate.password says where its password is.\n", 401, ask)
        await app(scope, receive, guarded)

    def _knows(self, headers: dict[bytes, bytes]) -> bool:
        scheme, _, value = headers.get(b"authorization", b"").partition(b" ")
        try:
            given = base64.b64decode(value, validate=True)
        except binascii.Error:
            return False
        expected = USER.encode() + b":" + (self._password or b"")
        return scheme.lower() == b"basic" and hmac.compare_digest(given, expected)


def bearer_is(authorization: str, token: bytes) -> bool:
    """Tell whether an Authorization header carries the token."""
    scheme, _, value = authorization.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(value.strip().encode("utf-8", "replace"), token)


def _host(text: str) -> str:
    """Return a Host header without its port."""
    if text.startswith("["):
        return text.partition("]")[0].removeprefix("[").lower()
    return text.partition(":")[0].lower()
