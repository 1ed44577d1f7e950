# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The tables of what may be set, put to use: kept off the heap except while a request is judged."""

from firmware.node.store import decode
from firmware.wire import kinds, requests
from firmware.wire.errors import Malformed
from firmware.wire.shapes import fits


def entries(kind: str):
    """Yield (name, key, shape, default) of each setting."""
    for module in kinds.controls(kind):
        for entry in module.SETTINGS:
            yield entry


def find(kind: str, key):
    """Return the entry of a key. KeyError."""
    for entry in entries(kind):
        if entry[1] == key:
            return entry
    raise KeyError(key)


def read(kind: str, payload: bytes):
    """Return the values by key that a record holds, or None when they cannot be."""
    try:
        values = decode(payload)
    except Malformed:
        return None
    if not isinstance(values, dict):
        return None
    try:
        possible = all(fits(find(kind, key)[2], values[key]) for key in values)
    except KeyError:
        return None
    return values if possible and contradiction(kind, values) is None else None


def named(kind: str, values: dict) -> dict:
    """Return all settings by name: from *values* by key, or their defaults."""
    return {entry[0]: values.get(entry[1], entry[3]) for entry in entries(kind)}


def merge(kind: str, old: dict, changes: dict) -> tuple:
    """Return (status, refused key, what differs from the defaults with *changes* on top of *old*)."""
    for key in changes:
        try:
            shape = find(kind, key)[2]
        except KeyError:
            return requests.UNKNOWN, key, old
        if not fits(shape, changes[key]):
            return requests.INVALID, key, old
    merged = dict(old)
    merged.update(changes)
    for entry in entries(kind):
        if entry[1] in merged and merged[entry[1]] == entry[3]:
            del merged[entry[1]]
    refused = contradiction(kind, merged)
    if refused is not None:
        return requests.CONTRADICTION, refused, old
    return requests.DONE, None, merged


def value(settings, kind: str, key):
    """Return the value for a key. KeyError."""
    return settings.values.get(key, find(kind, key)[3])


def apply(settings, kind: str, changes: dict) -> tuple:
    """Have *changes* stored, all or none; return (status, refused key)."""
    status, refused, merged = merge(kind, settings.values, changes)
    if refused is None and not settings.store(merged, named(kind, merged)):
        status = requests.NOT_STORED
    return status, refused


def reset(settings, kind: str) -> int:
    """Have all defaults back; return a status."""
    return requests.DONE if settings.store({}, named(kind, {})) else requests.NOT_STORED


def contradiction(kind: str, values: dict):
    """Return the key of a setting that does not fit the others, or None."""
    together = named(kind, values)
    for module in kinds.controls(kind):
        check = getattr(module, "contradiction", None)
        refused = None if check is None else check(together)
        if refused is not None:
            return refused
    return None
