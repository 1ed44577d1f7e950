# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Writes batches as boards did before: in half bytes (``wire.half_byte_batch``)."""

from firmware.node.store import decode
from firmware.wire import cbor, readings

_ABSENT = 7


def batch(records, encode, room_bytes: int, more_than: int) -> "tuple[bytes, int, int] | None":
    """Return (a batch of the first of *records*, how many, the number of the first that is not in it or 0).

    None when it would be no *more_than* fit without. *encode(record)* gives a reading's bytes as of now.
    """
    halves = bytearray()
    last = {}  # type: dict[int, int]
    mode = seq = at = pace = count = rest = 0
    for record in records:
        item = decode(encode(record))
        time_key = readings.KEY_TIME if readings.KEY_TIME in item else readings.KEY_AGE
        form = time_key if time_key in item else 0
        number = item[readings.KEY_SEQ]
        before = len(halves)
        if not count:
            mode = form
            halves.append(mode)
        if mode == form and number > seq:
            _put(number - seq, halves)
            if mode:
                step = item[mode] - at
                if not count and mode == readings.KEY_TIME:
                    step -= 1767225600  # 2026-01-01: further from 0 it would be longer
                _put(_folded(step - pace), halves)
                at, pace = item[mode], step if count else 0
            _put_fields(item, last, halves)
        size = (len(halves) + 1) // 2
        if len(halves) == before or size + (1 if size < 24 else 2) > room_bytes:
            rest = number
            halves = halves[:before]
            break
        seq = number
        count += 1
    if count <= more_than:
        return None
    if len(halves) & 1:
        halves.append(0)
    data = bytes([halves[i] << 4 | halves[i + 1] for i in range(0, len(halves), 2)])
    return cbor.dumps(data), count, rest


def _put_fields(item: dict, last: dict, halves: bytearray) -> None:
    for key in sorted(last):
        if key in item:
            change = _folded(item[key] - last[key])
            _put(change if change < _ABSENT else change + 1, halves)
        else:
            halves.append(_ABSENT)
    before = readings.FIRST_FIELD_KEY - 1
    for key in sorted(item):
        if key >= readings.FIRST_FIELD_KEY:
            value = item[key]
            if key not in last:
                truth = isinstance(value, bool)
                _put(4 * (key - before) + (2 + value if truth else value < 0), halves)
                if not truth:
                    _put(abs(value), halves)
                before = key
            last[key] = value
    halves.append(0)


def _folded(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def _put(value: int, halves: bytearray) -> None:
    while value > 7:
        halves.append(value & 7 | 8)
        value >>= 3
    halves.append(value)
