# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The usual payload read and judged in one pass: ``firmware.wire.readings`` says what is right, in two.

``unpack`` there makes maps of any CBOR, and ``decode_reading`` a table of a kind's fields for each of them, since a
board has no memory to keep one. Here a field's key finds its table entry, and its value goes straight to its name. 20
us become 5 for a reading of four fields (benchmarks/bench_steps.py says it for this machine). A payload with anything
that is not plainly usual is None here, and all of it left to them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from firmware.wire import kinds
from firmware.wire.readings import FIRST_FIELD_KEY, KEY_AGE, KEY_SEQ, KEY_TIME

if TYPE_CHECKING:
    from firmware.wire.kinds import Field

_MAP, _NEGATIVE = 0xA0, 0x20
_MAX_SMALL = _ONE_BYTE = 24
_FALSE, _TRUE = 0xF4, 0xF5
TRUTH = 0
"""The scale of a field that is true or false (``firmware.wire.kinds``)."""

Judged = tuple[int, "int | None", "int | None", "dict[str, float | bool]"]


def read(kind: str, payload: bytes) -> tuple[list[Judged], int | None] | None:
    """Return (seq, time_s, age_s, values) of each map and the number behind them, or None: not of the usual form."""
    found: list[Judged] = []
    fields = _fields(kind)
    pos, size = 0, len(payload)
    try:
        while pos < size and _MAP <= payload[pos] < _MAP + _MAX_SMALL:
            judged, pos = _map(fields, payload, pos)
            found.append(judged)
        if pos == size:
            return (found, None) if found else None
        oldest, pos = number(payload, pos)
    except (IndexError, ValueError, KeyError):
        return None
    return (found, oldest) if pos == size and oldest >= 0 else None


def _map(fields: dict[int, Field], payload: bytes, pos: int) -> tuple[Judged, int]:
    """Return one reading and where it ends. Raises ValueError, KeyError, IndexError: not of the usual form."""
    head: list[int | None] = [None, None, None]
    values: dict[str, float | bool] = {}
    last, pairs = -1, payload[pos] - _MAP
    pos += 1
    for _ in range(pairs):
        key, first = payload[pos], payload[pos + 1]
        if key == _ONE_BYTE and first >= _MAX_SMALL:  # those that all kinds have
            pos += 1
            key, first = first, payload[pos + 1]
        elif key >= _MAX_SMALL:
            raise ValueError
        if key <= last:
            raise ValueError
        last = key
        raw, pos = (first, pos + 2) if first < _MAX_SMALL else _value(payload, pos + 1)  # most are one byte: no call
        if key < FIRST_FIELD_KEY:
            if type(raw) is bool:
                raise ValueError
            head[key] = raw
            continue
        name, _, scale, low, high = fields[key]
        if (scale == TRUTH) is not (type(raw) is bool) or not low <= raw <= high:
            raise ValueError
        values[name] = raw if scale in (TRUTH, 1) else raw / scale
    seq, time_s, age_s = head[KEY_SEQ], head[KEY_TIME], head[KEY_AGE]
    if not seq or min(seq, time_s or 0, age_s or 0) < 0 or (time_s is not None and age_s is not None):
        raise ValueError
    return (seq, time_s, age_s, values), pos


def _value(data: bytes, pos: int) -> tuple[int | bool, int]:
    if data[pos] in (_FALSE, _TRUE):
        return data[pos] == _TRUE, pos + 1
    return number(data, pos)


def number(data: bytes, pos: int) -> tuple[int, int]:
    """Return a number of at most 32 bits and where it ends. Raises ValueError, IndexError: not of the usual form."""
    first = data[pos]
    negative = first >= _NEGATIVE
    info = first - _NEGATIVE if negative else first
    if info < _MAX_SMALL:
        number, pos = info, pos + 1
    elif info == 24:
        number, pos = data[pos + 1], pos + 2
        if number < 24:
            raise ValueError
    elif info == 25:
        number, pos = data[pos + 1] << 8 | data[pos + 2], pos + 3
        if number < 0x100:
            raise ValueError
    elif info == 26:
        number = data[pos + 1] << 24 | data[pos + 2] << 16 | data[pos + 3] << 8 | data[pos + 4]
        pos += 5
        if number < 0x10000:
            raise ValueError
    else:
        raise ValueError
    return (-1 - number if negative else number), pos


@lru_cache(maxsize=64)
def _fields(kind: str) -> dict[int, Field]:
    return {field[1]: field for field in kinds.all_fields(kinds.load(kind)) if field[1] >= FIRST_FIELD_KEY}
