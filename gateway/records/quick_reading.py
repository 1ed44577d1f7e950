# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The usual reading judged fast: ``firmware.wire.readings.decode_reading`` says what is right.

That one keeps no table of a kind's fields, since a board has no memory for it, and makes one for each reading. Whatever
is not plainly usual is None here, and left to it: benchmarks/bench_steps.py says what this earns.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from firmware.wire import kinds
from firmware.wire.readings import KEY_AGE, KEY_SEQ, KEY_TIME, MAX_SEQ

if TYPE_CHECKING:
    from firmware.wire.kinds import Field

_TRUTH = 0
"""The scale of a field that is true or false (``firmware.wire.kinds``)."""

Judged = tuple[int, "int | None", "int | None", "dict[str, float | bool]"]


def decode(kind: str, item: object) -> Judged | None:
    """Return (seq, time_s, age_s, values) of one map, or None when it is not of the usual form."""
    if type(item) is not dict:
        return None
    fields = _fields(kind)
    values: dict[str, float | bool] = {}
    numbers: dict[int, int] = {}
    for key, raw in item.items():
        field = fields.get(key)
        if field is None:
            if key not in (KEY_SEQ, KEY_TIME, KEY_AGE) or type(raw) is not int or not 0 <= raw <= MAX_SEQ:
                return None
            numbers[key] = raw
            continue
        name, _, scale, low, high = field
        if scale == _TRUTH:
            if type(raw) is not bool:
                return None
            values[name] = raw
        elif type(raw) is int and low <= raw <= high:
            values[name] = raw if scale == 1 else raw / scale
        else:
            return None
    seq, time_s, age_s = numbers.get(KEY_SEQ), numbers.get(KEY_TIME), numbers.get(KEY_AGE)
    if not seq or (time_s is not None and age_s is not None):
        return None
    return seq, time_s, age_s, values


@lru_cache(maxsize=64)
def _fields(kind: str) -> dict[int, Field]:
    return {field[1]: field for field in kinds.fields(kinds.load(kind))}
