# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Requests to a platform under test: bounded in time and size; no answer leads to another host."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx

from provisioning.conformance.steps import StepFailed, Target

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
_MAX_REDIRECTS: Final = 3
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_NO_ENTRY: Final = (401, 403)
_WHY: Final = "Devices and systems cannot use an interface that does not do what it publishes."


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    kind: str
    """Media type without parameters, small letters."""
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises StepFailed."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise StepFailed(
                "The answer is no JSON.",
                value=f"{self.kind or 'no media type'}: {self.body[:80]!r}",
                reason=_WHY,
                next_step="check that api_url is the address of the interface and not of a page about it",
            ) from error


class Http:
    """A client for one platform; `async with` opens and closes it."""

    def __init__(self, target: Target) -> None:
        self._target = target
        access = target.access
        headers = {"Accept-Encoding": "identity"}
        if target.token is not None:
            headers["Authorization"] = f"Bearer {target.token}"
        self._client = httpx.AsyncClient(
            headers=headers,
            auth=None if access.username is None else httpx.BasicAuth(access.username, access.password or ""),
            verify=ssl.create_default_context() if access.tls is None else access.tls,
            # Half of it for TCP and half for TLS: a handshake that is ended from outside would leave its socket open.
            timeout=httpx.Timeout(target.timeout_s, connect=target.timeout_s / 2),
            follow_redirects=False,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def ask(
        self,
        method: str,
        url: str,
        *,
        expected: tuple[int, ...] = (200,),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """One request and its whole answer. Raises StepFailed, also where the status is none of the `expected`."""
        try:
            async with asyncio.timeout(self._target.timeout_s):
                answer = await self._follow(method, url, dict(headers or {}), body)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise StepFailed(
                f"The platform did not answer within {self._target.timeout_s:g} s.",
                value=f"{method} {url}",
                reason=_WHY,
                next_step=f"lykta platform test {self._target.platform_id} --timeout SECONDS waits longer",
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            raise _unreachable(error, url) from error
        if answer.status not in expected:
            raise self._wrong_status(method, url, answer, expected)
        return answer

    async def _follow(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Answer:
        for _ in range(_MAX_REDIRECTS + 1):
            request = self._client.build_request(method, url, headers=headers, content=body)
            response = await self._client.send(request, stream=True)
            try:
                if response.status_code not in _REDIRECTS or method != "GET":
                    return Answer(response.status_code, _media_type(response), await _read(response, url))
                url = self._elsewhere(url, response.headers.get("location", ""))
            finally:
                await response.aclose()
        raise StepFailed("The platform redirects again and again.", value=url, reason=_WHY, next_step="correct api_url")

    def _elsewhere(self, url: str, location: str) -> str:
        try:
            there = urljoin(url, location)
            same = _origin(urlsplit(there)) == _origin(urlsplit(url))
        except ValueError:
            there, same = location, False
        if not same:
            raise StepFailed(
                "The platform sends to another host.",
                value=f"{url} -> {there}",
                reason="What was registered would not be what was tested, and a secret could go to somebody else.",
                next_step=f"if that is its address: lykta platform add {self._target.platform_id} --replace "
                "--api-url URL …",
            )
        return there

    def _wrong_status(self, method: str, url: str, answer: Answer, expected: tuple[int, ...]) -> StepFailed:
        wanted = " or ".join(str(each) for each in expected)
        told = answer.body[:120].decode(errors="replace")
        step = "ask whoever runs the platform; --timeout and --json show more"
        if answer.status in _NO_ENTRY:
            step = f"lykta platform test {self._target.platform_id} --token-ref REF, or --username and --password-ref"
        return StepFailed(
            f"The platform answers {answer.status} instead of {wanted}.",
            value=f"{method} {url}: {told}",
            reason=_WHY,
            next_step=step,
        )


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _media_type(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


async def _read(response: httpx.Response, url: str) -> bytes:
    """The bytes as they came: they are never unpacked, so that few cannot become many."""
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise StepFailed(
                f"The answer is longer than {MAX_ANSWER_BYTES} bytes.",
                value=url,
                reason="No answer of an interface is so long; it is not read any further.",
                next_step="check that api_url is the address of the interface",
            )
    return bytes(body)


def _unreachable(error: Exception, url: str) -> StepFailed:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return StepFailed(
                f"The platform's certificate is not one to trust: {cause.verify_message}.",
                value=url,
                reason="Whoever answers there may be somebody else.",
                next_step="name the authority of the platform with --ca FILE",
            )
        cause = cause.__cause__ or cause.__context__
    return StepFailed(
        f"The platform cannot be reached: {str(error) or type(error).__name__}.",
        value=url,
        reason="An interface that is not there lets nobody talk.",
        next_step="check api_url with lykta platform list --json, and the network between",
    )
