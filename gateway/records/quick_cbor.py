# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The usual payload read fast: maps from small keys to whole numbers and truth values, perhaps one number at the end.

``firmware.wire.readings.unpack`` says what is right; whatever is not plainly usual is None here, and left to it. 9.9 us
become 2.3 for a reading of three fields (benchmarks/bench_steps.py says it for this machine).
"""

from __future__ import annotations

_MAP, _NEGATIVE = 0xA0, 0x20
_MAX_SMALL = 24
_TRUE = 0xF5
_TRUTH = (0xF4, _TRUE)


def unpack(payload: bytes) -> tuple[list[object], int | None] | None:
    """Return the maps of a payload and the number behind them, or None when it is not of the usual form."""
    items: list[object] = []
    pos, size = 0, len(payload)
    try:
        while pos < size and _MAP <= payload[pos] < _MAP + _MAX_SMALL:
            item: dict[int, int | bool] = {}
            pairs, last = payload[pos] - _MAP, -1
            pos += 1
            for _ in range(pairs):
                key = payload[pos]
                if not last < key < _MAX_SMALL:
                    return None
                last = key
                value = payload[pos + 1]
                if value in _TRUTH:
                    item[key] = value == _TRUE
                    pos += 2
                    continue
                number, pos = _number(payload, pos + 1)
                item[key] = number
            items.append(item)
        if pos == size:
            return (items, None) if items else None
        number, pos = _number(payload, pos)
    except (IndexError, ValueError):
        return None
    return (items, number) if pos == size and number >= 0 else None


def _number(data: bytes, pos: int) -> tuple[int, int]:
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
