# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Requests down and their answers up: commands on FPort 3, settings on FPort 5.

Each is a CBOR map. Key 0 is the request's number, chosen by whoever asks, and stands in every answer to it.

- settings, down: ``{0: id, 1: {key: value...}}`` to set, ``{0: id, 2: [key...]}`` to ask ([]: for all that differ from
  their defaults), ``{0: id, 3: true}`` back to all defaults;
- settings, up: ``{0: id, 1: status, 2: CRC of all settings, 3: {key: value...}, 4: the key that was refused}``;
- commands, down: ``{0: id, 1: command, 2: {key: argument...}}``; up: ``{0: id, 1: status, 2: {key: result...}}``.

A request that is repeated has the effect of one: values are set, not added. Which keys there are stands beside the
kind, in ``kinds/<kind>_controls.py``, and in ``kinds/common_controls.py`` for all.
"""

from firmware.wire import cbor
from firmware.wire.errors import Malformed

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any

DONE = 0
UNKNOWN = 1  # no such key or command
INVALID = 2  # a value outside what its table allows
CONTRADICTION = 3  # each value is possible, but not together with the others
NOT_STORED = 4  # the flash refused; nothing was changed
MALFORMED = 5
NOT_MEANT = 6  # for a group that this device is not in
EXPIRED = 7
NOT_NOW = 8
FAILED = 9

STATUS = (
    "done",
    "unknown",
    "invalid",
    "contradiction",
    "not stored",
    "malformed",
    "not meant",
    "expired",
    "not now",
    "failed",
)

ID = 0
SET = 1
GET = 2
RESET = 3
STATUS_KEY = 1
CRC = 2
VALUES = 3
REFUSED = 4
COMMAND = 1
ARGUMENTS = 2
RESULTS = 2

MAX_ID = 0xFFFF
_MAX_DEPTH = 6
_MAX_ITEMS = 128


def decode(payload: bytes) -> "dict[int, Any]":
    """Return the map of a request or an answer. Raises Malformed."""
    item = cbor.loads(payload, max_depth=_MAX_DEPTH, max_items=_MAX_ITEMS)
    if not isinstance(item, dict):
        raise Malformed("request: a map is expected, not %s" % type(item).__name__)
    number = item.get(ID)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MAX_ID:
        raise Malformed("request: number %r is not an integer of 16 bits" % (number,))
    return item


def settings(number: int, values: "dict[int, object]") -> bytes:
    """Return the request that sets *values* by key."""
    return cbor.dumps({ID: number, SET: values})


def ask_settings(number: int, keys: "list[int]") -> bytes:
    """Return the request for the values of *keys*; of all that differ from their defaults when there are none."""
    return cbor.dumps({ID: number, GET: keys})


def defaults(number: int) -> bytes:
    """Return the request that brings all settings back to their defaults."""
    return cbor.dumps({ID: number, RESET: True})


def command(number: int, key: int, arguments: "dict[int, object]") -> bytes:
    """Return a command."""
    return cbor.dumps({ID: number, COMMAND: key, ARGUMENTS: arguments})
