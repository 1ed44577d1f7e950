# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An interface over HTTP that is described by an OpenAPI document (OpenAPI Specification 3.0 and 3.1), as JSON."""

from __future__ import annotations

import re
from typing import Any, Final

from provisioning.conformance.http import Http
from provisioning.conformance.steps import Minutes, StepFailed, Target

_VERSION: Final = re.compile(r"3\.[01]\.\d+")
_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_WHY: Final = "Programs and people build on this description; one that is not whole describes no interface."
_NEXT: Final = "api_url is the address of the OpenAPI document as JSON; else ask whoever runs the platform"


async def check(http: Http, target: Target, minutes: Minutes) -> None:
    """Fetch the document and look at it. Raises StepFailed at the first thing that is not as it must be."""
    with minutes.step("OpenAPI: the document") as note:
        document = (await http.ask("GET", target.url, headers={"Accept": "application/json"})).json()
        note.text = _header(document)
    with minutes.step("OpenAPI: its operations") as note:
        note.text = f"{_operations(document)} operations"


def _header(document: Any) -> str:
    if not isinstance(document, dict):
        raise _wrong("The document is no OpenAPI object.", repr(document)[:120])
    version = document.get("openapi")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        found = f"openapi: {version!r}, swagger: {document.get('swagger')!r}"
        raise _wrong("The document does not say that it is OpenAPI 3.0 or 3.1.", found)
    info = document.get("info")
    for key in ("title", "version"):
        if not isinstance(info, dict) or not isinstance(info.get(key), str):
            raise _wrong(f"The document has no info.{key}.", repr(info)[:120])
    return f"OpenAPI {version}: {info['title']} {info['version']}"  # type: ignore[index]


def _operations(document: dict[str, Any]) -> int:
    paths = document.get("paths")
    if paths is None and not document["openapi"].startswith("3.0") and {"components", "webhooks"} & document.keys():
        return 0
    if not isinstance(paths, dict):
        raise _wrong("The document has no paths.", repr(paths)[:120])
    count = 0
    for path, item in paths.items():
        if not isinstance(item, dict) or not (path.startswith(("/", "x-"))):
            raise _wrong("An entry of paths is no path.", path)
        for method in _METHODS:
            if method in item:
                count += 1
                _operation(document, f"{method.upper()} {path}", item[method])
    return count


def _operation(document: dict[str, Any], name: str, operation: Any) -> None:
    if not isinstance(operation, dict):
        raise _wrong("An operation is no object.", name)
    responses = operation.get("responses")
    if isinstance(responses, dict) or (responses is None and not document["openapi"].startswith("3.0")):
        return
    raise _wrong("An operation does not say what it answers: responses are missing.", name)


def _wrong(state: str, found: str) -> StepFailed:
    return StepFailed(state, value=found, reason=_WHY, next_step=_NEXT)
