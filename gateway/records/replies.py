# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a device answers to commands (FPort 3) and settings (FPort 5), in the words of its kind's tables. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firmware.wire import kinds, requests
from firmware.wire.readings import FPORT_COMMANDS, FPORT_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

FPORTS = (FPORT_COMMANDS, FPORT_SETTINGS)


def describe(kind: str, fport: int, payload: bytes) -> dict[str, Any]:
    """Return number, status and what came with them, by name. Raises wire Malformed."""
    answer = requests.decode(payload)
    status: Any = answer.get(requests.STATUS_KEY)
    known = isinstance(status, int) and not isinstance(status, bool) and 0 <= status < len(requests.STATUS)
    found = {"request": answer[requests.ID], "answer": requests.STATUS[status] if known else repr(status)}
    if fport == FPORT_COMMANDS:
        return found | _named(answer.get(requests.RESULTS), "results", _components(kind))
    names = _settings(kind)
    found |= _named(answer.get(requests.VALUES), "settings", names)
    if requests.REFUSED in answer:
        refused = answer[requests.REFUSED]
        found["refused"] = names.get(refused, repr(refused)) if isinstance(refused, int) else repr(refused)
    if isinstance(answer.get(requests.CRC), int):
        found["settings_crc"] = answer[requests.CRC]
    return found


def _named(values: object, title: str, names: Mapping[int, str]) -> dict[str, Any]:
    if not isinstance(values, dict) or not values:
        return {}
    return {title: {names.get(key, str(key)): value for key, value in values.items()}}


def _settings(kind: str) -> dict[int, str]:
    return {entry[1]: entry[0] for module in kinds.controls(kind) for entry in module.SETTINGS}


def _components(kind: str) -> dict[int, str]:
    return {key: name for module in kinds.controls(kind) for name, key in module.COMPONENTS}
