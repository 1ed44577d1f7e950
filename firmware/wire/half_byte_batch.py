# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A batch of readings in half bytes, as boards wrote them before ``wire.batch`` had bits: still read.

Half bytes, the high one of a byte first. A *number* is its groups of three bits, the lowest first, with 8 added where
another follows; a *signed* one is 2 n, or -2 n - 1 when n is negative, as a number. The first half byte says what
follows for time: 0 nothing, 1 seconds after 2026, 2 age. Then for each reading, up to the end or a 0 that fills a byte:

- how much its sequence number is more than the one before (than 0), a number;
- by how much its time is another than at the pace of the two before it: signed, the first and the pace from 0;
- for each field that any reading before it had, by rising key: 7 when it has none, else the difference to the last
  value, signed, and 1 more from 7 on; true is 1;
- its other fields: how much the key is more than the last one (than 2), four times, and 1 more when the value is
  negative, 2 more when it is false, 3 when it is true, a number; the value without its sign, a number, unless it is a
  truth value; 0 ends them.
"""

from firmware.wire import batch_values, readings
from firmware.wire.errors import Malformed

_ABSENT = 7
_GROUPS = 12  # of three bits: a number of 32 bits and its sign, twice


class _Halves:
    """Half bytes from first to last."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def left(self) -> int:
        return 2 * len(self._data) - self._at

    def half(self) -> int:
        if not self.left():
            raise Malformed("batch: it ends in the middle of a reading")
        byte = self._data[self._at // 2]
        self._at += 1
        return byte >> 4 if self._at & 1 else byte & 15

    def number(self) -> int:
        value = 0
        for group in range(_GROUPS):
            half = self.half()
            value |= (half & 7) << 3 * group
            if half < 8:
                if group and not half:
                    raise Malformed("batch: a number is longer than it needs to be")
                return value
        raise Malformed("batch: a number of more than %d bits" % (3 * _GROUPS))


def batched_maps(data: bytes) -> "list[dict[int, int | bool]]":
    """Return the maps, each as ``wire.readings`` has a reading. Raises Malformed."""
    halves = _Halves(data)
    mode = halves.half()
    if mode > readings.KEY_AGE:
        raise Malformed("batch: a form of time that is not known: %d" % mode)
    found: "list[dict[int, int | bool]]" = []
    last: "dict[int, int | bool]" = {}
    seq = at = pace = 0
    while halves.left():
        step = halves.number()
        if not step:
            if halves.left():
                raise Malformed("batch: more bytes behind its end")
            break
        seq += step
        item: "dict[int, int | bool]" = {readings.KEY_SEQ: batch_values.within(seq, 0)}
        if mode:
            step = pace + batch_values.unfolded(halves.number())
            at, pace = at + step, step if found else 0
            item[readings.KEY_TIME if mode == readings.KEY_TIME else readings.KEY_AGE] = batch_values.within(
                at + batch_values.EPOCH_S if mode == readings.KEY_TIME else at, 0
            )
        _fields(halves, item, last)
        found.append(item)
    if not found:
        raise Malformed("batch: there is no reading in it")
    return found


def _fields(halves: _Halves, item: "dict[int, int | bool]", last: "dict[int, int | bool]") -> None:
    for key in sorted(last):
        change = halves.number()
        if change != _ABSENT:
            item[key] = last[key] = batch_values.after(last[key], batch_values.unfolded(change - (change > _ABSENT)))
    key = readings.FIRST_FIELD_KEY - 1
    new: "dict[int, int | bool]" = {}
    step = halves.number()
    while step:
        key += step >> 2
        if step < 4 or key > batch_values.MAX_KEY or key in last:
            raise Malformed("batch: a field %d that is no new one" % key)
        if step & 2:
            new[key] = bool(step & 1)
        else:
            value = halves.number()
            if step & 1 and not value:
                raise Malformed("batch: a nought below nought")
            new[key] = batch_values.within(-value if step & 1 else value, -readings.MAX_SEQ)
        step = halves.number()
    item.update(new)
    last.update(new)
