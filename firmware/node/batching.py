# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Puts more kept readings into a frame than fit side by side; ``wire.batch`` has the form. Loaded when they wait."""

from firmware.node.store import decode
from firmware.wire import cbor, readings

_FORM = 4
_EPOCH_S = 1767225600  # 2026-01-01: further from 0 a time would be longer


def batch(records, encode, room_bytes: int, more_than: int) -> "tuple[bytes, int, int] | None":
    """Return (a batch of the first of *records*, how many, the number of the first that is not in it or 0).

    None when it would be no *more_than* fit without. *encode(record)* gives a reading's bytes as of now.
    """
    bits = bytearray()  # a byte for each bit
    last = {}  # type: dict[int, list[int]]  # value and order of each field
    keys = []  # type: list[int]
    mode = seq = at = pace = count = rest = 0
    for record in records:
        item = decode(encode(record))
        form = 1 if readings.KEY_TIME in item else 2 if readings.KEY_AGE in item else 0
        number = item[readings.KEY_SEQ]
        before = len(bits)
        if not count:
            mode = form
            _put(_FORM + mode, 4, bits)
        fits = mode == form and number > seq
        if fits:
            bits.append(1)
            _number(number - seq - 1, 0 if count else 14, bits)
            now = item[mode]  # without a time the number, which nobody looks at
            if count and mode:
                _number(_folded(now - at - pace), 1 if count > 1 else 8, bits)
                pace = now - at
            elif mode:
                _number(now - _EPOCH_S & readings.MAX_SEQ if mode == 1 else now, 25 if mode == 1 else 14, bits)
            at = now
            keys = _put_fields(item, keys, last, bits)
        size = len(bits) + 7 >> 3
        if not fits or size + (1 if size < 24 else 2) > room_bytes:
            rest = number
            bits = bits[:before]
            break
        seq = number
        count += 1
    if count <= more_than:
        return None
    data = bytearray(len(bits) + 7 >> 3)
    for at in range(len(bits)):
        data[at >> 3] |= bits[at] << 7 - (at & 7)
    return cbor.dumps(bytes(data)), count, rest


def _put_fields(item: dict, before: list, last: dict, bits: bytearray) -> list:
    """Return the keys of the fields that were put."""
    keys = sorted([key for key in item if key >= readings.FIRST_FIELD_KEY])
    at = readings.FIRST_FIELD_KEY - 1
    for key in sorted(set(keys) ^ set(before)):
        bits.append(1)
        _number(key - at - 1, 0, bits)
        at = key
    bits.append(0)
    for key in keys:
        value = item[key]
        if key in last:
            change = _folded(value - last[key][0])
            order = last[key][1]
            _number(change, order, bits)
            width = _width(change)
            last[key] = [value, order + width + (width > order) >> 1]
            continue
        last[key] = [value, 2]
        if isinstance(value, bool):
            _put(6 + value, 3, bits)
        elif value < 0:
            _put(2, 2, bits)
            _number(-1 - value, 4, bits)
        else:
            bits.append(0)
            _number(value, 4, bits)
    return keys


def _put(value: int, width: int, bits: bytearray) -> None:
    while width:
        width -= 1
        bits.append(value >> width & 1)


def _number(value: int, order: int, bits: bytearray) -> None:
    value += 1 << order
    _put(value, 2 * _width(value) - 1 - order, bits)


def _width(value: int) -> int:
    bits = 0
    while value >> bits:
        bits += 1
    return bits


def _folded(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1
