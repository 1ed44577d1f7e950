# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Several readings in one byte string of a payload on the readings port, each told by what differs from the one before.

Bits, the high one of a byte first. A *number of order k* (Exp-Golomb) is the number and 2^k more, in binary with the
1 in front, behind one 0 for each bit that this is longer than k + 1. A *signed* one is 2 n, or -2 n - 1 when n is
negative. The first four bits are 4 and what follows for time: 0 nothing, 1 seconds after 2026, 2 age. Then for each
reading a 1, and

- how much its sequence number is more than one more than the one before, in order 0 (the first: than 1, in order 14);
- time: of the first in order 25, without a sign and modulo 2^32, or an age in order 14; then by how much it is later
  than the one before, signed, in order 8; then by how much the pace is another than the last, signed, in order 1;
- the fields that the one before did not have, and those that it alone has (the first: all that it has), by rising key:
  each a 1 and how many keys are left out since the last such field (since 2), in order 0; then a 0;
- its fields by rising key. One that no reading had before: 0 and the value in order 4, 10 and how far below -1 it is
  in order 4, or 110 false, 111 true. Else the difference to the last value, signed, true being 1.

The order of a field's first difference is 2; it follows the differences: half of the sum of the order, of the bits of
the last difference, and of 1 more when these are more. Zeros fill the last byte. There is one form of a batch.

A first half byte below 4 is the form of before, ``wire.half_byte_batch``. A board writes batches with
firmware/node/batching.py. docs/decisions/0012-buffered-readings-share-a-frame.md says why.
"""

from firmware.wire import batch_values, half_byte_batch, readings
from firmware.wire.errors import Malformed

FORM = 4
_MAX_BITS = 36  # of a number of 32 bits and its sign, twice, and its order's


class _Bits:
    """Bits from first to last."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def left(self) -> int:
        return 8 * len(self._data) - self._at

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            if not self.left():
                raise Malformed("batch: it ends in the middle of a reading")
            value = value << 1 | self._data[self._at >> 3] >> (7 - (self._at & 7)) & 1
            self._at += 1
        return value

    def number(self, order: int) -> int:
        bits = order
        while not self.take(1):
            bits += 1
            if bits > _MAX_BITS:
                raise Malformed("batch: a number of more than %d bits" % _MAX_BITS)
        return (1 << bits | self.take(bits)) - (1 << order)


def batched_maps(data: bytes) -> "list[dict[int, int | bool]]":
    """Return the maps, each as ``wire.readings`` has a reading. Raises Malformed."""
    if not data or data[0] >> 4 < FORM:
        return half_byte_batch.batched_maps(data)
    mode = (data[0] >> 4) - FORM
    if mode > readings.KEY_AGE:
        raise Malformed("batch: a form of time that is not known: %d" % mode)
    bits = _Bits(data, 4)
    found: "list[dict[int, int | bool]]" = []
    fields = _Fields(bits)
    seq = at = pace = 0
    while bits.left():
        if not bits.take(1):
            if bits.left() > 6 or bits.take(bits.left()):
                raise Malformed("batch: more bits behind its end")
            break
        seq = batch_values.within(seq + 1 + bits.number(0 if found else 14), 0)
        item: "dict[int, int | bool]" = {readings.KEY_SEQ: seq}
        if mode:
            if not found:
                step = bits.number(25 if mode == readings.KEY_TIME else 14)
                at = batch_values.within(step, 0)
                if mode == readings.KEY_TIME:
                    at = at + batch_values.EPOCH_S & readings.MAX_SEQ
            else:
                pace += batch_values.unfolded(bits.number(1 if len(found) > 1 else 8))
                at = batch_values.within(at + pace, 0)
            item[mode] = at
        fields.read(item)
        found.append(item)
    if not found:
        raise Malformed("batch: there is no reading in it")
    return found


class _Fields:
    """The fields of one reading after the other."""

    def __init__(self, bits: _Bits) -> None:
        self._bits = bits
        self._last: "dict[int, int | bool]" = {}
        self._orders: "dict[int, int]" = {}
        self._keys: "set[int]" = set()

    def read(self, item: "dict[int, int | bool]") -> None:
        """Put a reading's fields into its map."""
        key = readings.FIRST_FIELD_KEY - 1
        while self._bits.take(1):
            key += 1 + self._bits.number(0)
            if key > batch_values.MAX_KEY:
                raise Malformed("batch: a field %d" % key)
            self._keys ^= {key}
        for key in sorted(self._keys):
            item[key] = self._last[key] = self._changed(key) if key in self._last else self._first(key)

    def _first(self, key: int) -> "int | bool":
        self._orders[key] = 2
        if not self._bits.take(1):
            return batch_values.within(self._bits.number(4), 0)
        if self._bits.take(1):
            return bool(self._bits.take(1))
        return batch_values.within(-1 - self._bits.number(4), -readings.MAX_SEQ)

    def _changed(self, key: int) -> "int | bool":
        order = self._orders[key]
        change = self._bits.number(order)
        width = 0
        while change >> width:
            width += 1
        self._orders[key] = order + width + (width > order) >> 1
        return batch_values.after(self._last[key], batch_values.unfolded(change))
