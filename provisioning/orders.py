# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a kind of device can be told, by name, and the bytes that tell it. Pure; for the CLI and gateways alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from firmware.wire import cbor, kinds, requests
from firmware.wire.kinds import common_controls
from firmware.wire.readings import FPORT_COMMANDS, FPORT_SETTINGS
from firmware.wire.shapes import describe, fits
from provisioning.errors import OrderError

SET: Final = "settings.set"
GET: Final = "settings.get"
RESET: Final = "settings.reset"
SETTINGS_VERBS: Final = (SET, GET, RESET)
MAX_PAYLOAD_BYTES: Final = 222
"""Of a frame at DR4 and DR5 of EU868 (RP002-1.0.4, table 12). What is longer could never be sent."""


@dataclass(frozen=True, slots=True)
class Order:
    """A verb and its arguments in the keys of a kind; `request` makes the bytes for one device."""

    fport: int
    body: dict[int, Any]
    keys: frozenset[int]
    """Of the settings that the device's answer will name: one answer may take several frames."""

    def request(self, number: int) -> bytes:
        """The request under a number of 16 bits that the device's answer will name."""
        return bytes(cbor.dumps({requests.ID: number, **self.body}))


def verbs(kind: str) -> list[str]:
    """What can be ordered from a kind of device."""
    return [name for module in kinds.controls(kind) for name, _key, _arguments in module.COMMANDS] + [*SETTINGS_VERBS]


def arguments_of(kind: str, verb: str) -> list[str]:
    """The names of a command's own arguments, the one that people mean without a name first. Raises OrderError."""
    return [name for name, _key, _shape in _command(kind, verb)[1]]


def settings_of(kind: str) -> dict[str, tuple[int, object]]:
    """Key and shape of each setting by name."""
    return {entry[0]: (entry[1], entry[2]) for module in kinds.controls(kind) for entry in module.SETTINGS}


def order(kind: str, verb: str, arguments: Mapping[str, Any] | list[str]) -> Order:
    """Translate. Raises OrderError, which says what is allowed."""
    if verb == GET:
        made = _get(kind, arguments)
    elif verb == RESET:
        if arguments:
            raise OrderError(f"{RESET} takes no arguments.", value=_shown(arguments))
        made = Order(FPORT_SETTINGS, {requests.RESET: True}, frozenset())
    elif not isinstance(arguments, Mapping):
        raise OrderError(f"The arguments of {verb} have names and values.", value=_shown(arguments))
    elif verb == SET:
        made = _set(kind, arguments)
    else:
        key, own = _command(kind, verb)
        shapes = {name: (number, shape) for name, number, shape in own + common_controls.MODIFIERS}
        body = {requests.COMMAND: key, requests.ARGUMENTS: _checked(kind, verb, shapes, arguments)}
        made = Order(FPORT_COMMANDS, body, frozenset())
    if len(made.request(requests.MAX_ID)) > MAX_PAYLOAD_BYTES:
        raise OrderError(
            "This is more than fits into a frame.",
            value=f"{len(made.request(requests.MAX_ID))} bytes of at most {MAX_PAYLOAD_BYTES}",
            next_step="give some of it in another command",
        )
    return made


def _get(kind: str, arguments: Mapping[str, Any] | list[str]) -> Order:
    known = settings_of(kind)
    if not isinstance(arguments, list):
        raise OrderError(f"{GET} takes a list of settings.", value=_shown(arguments))
    keys = [_known(kind, "setting", known, name)[0] for name in arguments] or [key for key, _shape in known.values()]
    return Order(FPORT_SETTINGS, {requests.GET: keys}, frozenset(keys))


def _set(kind: str, arguments: Mapping[str, Any]) -> Order:
    if not arguments:
        raise OrderError(f"{SET} needs at least one setting.", next_step=f"of a {kind}: {', '.join(settings_of(kind))}")
    values = _checked(kind, SET, settings_of(kind), arguments)
    return Order(FPORT_SETTINGS, {requests.SET: values}, frozenset(values))


def _command(kind: str, verb: str) -> tuple[int, tuple[tuple[str, int, Any], ...]]:
    for module in kinds.controls(kind):
        for name, key, own in module.COMMANDS:
            if name == verb:
                return key, own
    raise OrderError(
        f"A {kind} does not know this command.", value=verb[:60], next_step=f"it knows {', '.join(verbs(kind))}"
    )


def _checked(kind: str, verb: str, shapes: Mapping[str, tuple[int, Any]], given: Mapping[str, Any]) -> dict[int, Any]:
    what = "setting" if verb == SET else f"argument of {verb}"
    values = {}
    for name, value in given.items():
        key, shape = _known(kind, what, shapes, name)
        if not fits(shape, value):
            raise OrderError(
                f"{name} cannot be this.", value=_shown(value), reason=f"It is {describe(shape)} for a {kind}."
            )
        values[key] = value
    return values


def _known(kind: str, what: str, table: Mapping[str, tuple[int, Any]], name: str) -> tuple[int, Any]:
    if name not in table:
        raise OrderError(
            f"A {kind} has no such {what}.", value=name[:60], next_step=f"there are: {', '.join(table) or 'none'}"
        )
    return table[name]


def _shown(value: object) -> str:
    return str(value)[:80]
