# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The HTTP side of outputs, on httpx: one fixed address, bounded in time and size, errors in our own words.

Nothing that the other side says leads anywhere else: redirects and links are not followed, proxies of the environment
are not used, and no answer is read beyond a limit.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from gateway import plugins
from gateway.errors import NotTaken, PlatformError, TryLater
from gateway.platforms._tls import TlsSettings, tls_context
from gateway.releases.settings import ReleaseSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from gateway.platforms import Context

_CONNECT_S = 5.0
_MAX_ANSWER_BYTES = 4 * 1024 * 1024
_MAX_TOLD_CHARS = 300
_RETRY_S = 5.0


def _is_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no address; it is like https://broker.example.org")
    if parts.username or parts.password:
        raise ValueError("a user in the address would stand in logs: use token, or username and password")
    if parts.query or parts.fragment:
        raise ValueError(f"{url!r} has a query or a fragment; give the address that paths are added to")
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return url.rstrip("/")
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        raise ValueError(f"{address} is the address of no platform")
    return url.rstrip("/")


class HttpSettings(plugins.PlatformSettings):
    """What outputs over HTTP have in common."""

    url: Annotated[str, AfterValidator(_is_address)]
    """Without the path of the standard."""
    token: str | None = None
    """Reference to a bearer token."""
    username: str | None = None
    password: str | None = None
    """Reference to the password."""
    timeout_s: Annotated[float, Field(ge=1, le=300)] = 30.0
    """For one request, from its first byte to the last one of the answer."""
    batch: Annotated[int, Field(ge=1, le=1000)] = 100
    """Readings in one request, at most."""
    retry_max_s: Annotated[float, Field(ge=0.5, le=600)] = 30.0
    """The longest pause between two tries."""
    tls: TlsSettings | None = None
    release: ReleaseSettings = ReleaseSettings()

    @model_validator(mode="after")
    def _secrets_are_safe(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together: give both or neither")
        if self.token is not None and self.username is not None:
            raise ValueError("token, or username and password, not both")
        secret = self.token is not None or self.password is not None
        if secret and self.url.startswith("http://") and not _is_this_machine(urlsplit(self.url).hostname or ""):
            raise ValueError("a secret would travel in the clear: use https")
        return self


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Its status is 200 to 299, or 404 or 409 where those were asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON. Raises PlatformError."""
        try:
            return json.loads(self.body or b"null")
        except ValueError as error:
            raise PlatformError(f"the answer is no JSON: {self.body[:80]!r}") from error


class Http:
    """Requests to one platform."""

    def __init__(self, settings: HttpSettings, context: Context) -> None:
        self._settings = settings
        self._name = settings.name
        self._tls = tls_context(settings.name, settings.tls or TlsSettings(), context.base)
        self._headers: dict[str, str] = {}
        self._auth: tuple[str, str] | None = None
        if settings.token is not None:
            token = context.secret(settings.token).decode(errors="replace").strip()
            self._headers["Authorization"] = f"Bearer {token}"
        if settings.username is not None and settings.password is not None:
            password = context.secret(settings.password).decode(errors="replace").strip()
            self._auth = settings.username, password
        self._client: httpx.AsyncClient | None = None

    async def open(self) -> None:
        """Be ready for requests."""
        import httpx  # here: with what it imports it takes 8 MB of every gateway, also of those that have no use for it

        await self.close()
        self._client = httpx.AsyncClient(
            headers=self._headers,
            auth=self._auth,
            verify=self._tls,
            timeout=httpx.Timeout(self._settings.timeout_s, connect=_CONNECT_S),
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=2, max_keepalive_connections=1),
        )

    async def close(self) -> None:
        """Let the connection go."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        also: tuple[int, ...] = (),
    ) -> Answer:
        """Ask once. *also* are statuses of 400 and above that are answers. Raises PlatformError, TryLater, NotTaken."""
        import httpx

        if self._client is None:
            raise PlatformError(f"{self._name}: not open")
        content = None if body is None else json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        sent = {"Content-Type": "application/json", **(headers or {})} if body is not None else dict(headers or {})
        url = f"{self._settings.url}{path}"
        try:
            async with (
                asyncio.timeout(self._settings.timeout_s),
                self._client.stream(method, url, content=content, params=query, headers=sent) as response,
            ):
                answer = Answer(response.status_code, response.headers, await self._read(response))
        except TimeoutError as error:
            raise PlatformError(f"{method} {path}: no answer within {self._settings.timeout_s:g} s") from error
        except (httpx.HTTPError, ssl.SSLError) as error:
            raise PlatformError(f"{method} {path}: {str(error) or type(error).__name__}") from error
        if answer.status < 300 or answer.status in also:
            return answer
        raise _error(f"{method} {path}", answer)

    async def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > _MAX_ANSWER_BYTES:
                raise PlatformError(f"{self._name}: the answer is longer than {_MAX_ANSWER_BYTES} bytes")
        return bytes(body)


def _error(what: str, answer: Answer) -> PlatformError:
    told = answer.body[:_MAX_TOLD_CHARS].decode(errors="replace")
    said = f"{what}: {answer.status} {told}".rstrip()
    if answer.status in (429, 503):
        return TryLater(said, retry_after_s(answer.headers.get("retry-after"), datetime.now(UTC)))
    if answer.status in (400, 413, 415, 422):
        return NotTaken(said)
    if answer.status in (401, 403):
        return PlatformError(f"{said}; see that token, or username and password, are right and may write there")
    if answer.status < 400:
        return PlatformError(f"{said}; redirects are not followed: correct url")
    return PlatformError(said)


def retry_after_s(header: str | None, now: datetime) -> float:
    """Return the seconds of a Retry-After (RFC 9110 section 10.2.3), which says seconds or a date."""
    if header is None:
        return _RETRY_S
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - now).total_seconds())
    except (ValueError, TypeError):
        return _RETRY_S
