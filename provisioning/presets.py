# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Settings that a board has from its first start: where its pole stands, what its lamp draws.

Validated against the tables beside each kind (firmware/wire/kinds/<kind>_controls.py), as the board validates them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from firmware.node import slots
from firmware.wire import cbor, kinds, shapes
from provisioning.errors import BoardError


def record(kind: str, given: Sequence[str]) -> bytes | None:
    """The record of ``NAME=VALUE`` pairs, values in JSON; None without any. Raises BoardError."""
    tables = kinds.controls(kind)
    entries = {entry[0]: entry for table in tables for entry in table.SETTINGS}
    values = {name: entry[3] for name, entry in entries.items()}
    for pair in given:
        name, _, text = pair.partition("=")
        if name not in entries:
            known = ", ".join(sorted(entries))
            raise BoardError("This setting is not known.", value=repr(name), next_step=f"choose one of: {known}")
        values[name] = _value(pair, text, entries[name][2])
    for table in tables:
        check = getattr(table, "contradiction", None)
        refused = None if check is None else check(values)
        if refused is not None:
            name = next(name for name, entry in entries.items() if entry[1] == refused)
            raise BoardError("This setting contradicts the others.", value=f"{name} = {values[name]}")
    changed = {entry[1]: values[name] for name, entry in entries.items() if values[name] != entry[3]}
    return slots.pack(1, cbor.dumps(changed)) if changed else None


def _value(pair: str, text: str, shape: Any) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if not shapes.fits(shape, value):
        raise BoardError(f"This setting cannot be; possible: {shapes.describe(shape)}.", value=pair)
    return value
