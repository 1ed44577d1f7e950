# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""CBOR (RFC 8949) read strictly: what could mean two things to two readers is refused before it is decoded.

Checked on the bytes: definite and shortest lengths, no tag, map keys that are integers or texts and not repeated,
bounded depth, size and number of items, texts in UTF-8, nothing after the end. cbor2 decodes only such bytes.
"""

from __future__ import annotations

from typing import Any, Final

import cbor2

from consumer.errors import Malformed

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 8
MAX_ITEMS: Final = 100_000

_SIMPLE: Final = frozenset({20, 21, 22})  # false, true, null
_FLOAT_BYTES: Final = {25: 2, 26: 4, 27: 8}
_SHORTEST: Final = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}  # least value that needs this length


def loads(data: bytes) -> Any:
    """Decode one data item. Raises Malformed for anything but the strict form above."""
    if len(data) > MAX_BYTES:
        raise Malformed(f"{len(data)} bytes of CBOR; at most {MAX_BYTES} are read")
    walker = _Walker(data)
    end = walker.item(0, 0)
    if end != len(data):
        raise Malformed(f"{len(data) - end} bytes after the end of the CBOR item")
    return cbor2.loads(data)


def end_of_item(data: bytes, start: int = 0) -> int:
    """Where the item that begins at `start` ends. Raises Malformed when it is cut off or not in the strict form."""
    return _Walker(data).item(start, 0)


class _Walker:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._items = 0

    def item(self, start: int, depth: int) -> int:
        """Check the item that begins at `start`; return where it ends."""
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            raise Malformed(f"CBOR with more than {MAX_DEPTH} levels or {MAX_ITEMS} items")
        major, argument, position = self._head(start)
        if major in (0, 1, 7):
            return position
        if major == 2:
            return self._skip(position, argument)
        if major == 3:
            return self._text(position, argument)
        if major == 4:
            for _ in range(self._bounded(argument, position)):
                position = self.item(position, depth + 1)
            return position
        if major == 5:
            return self._map(position, argument, depth)
        raise Malformed(f"tag {argument} at byte {start}: no tag is allowed here")

    def _text(self, position: int, count: int) -> int:
        """cbor2 (5.9) never gives back the memory of its error about a text: whoever may send could fill ours."""
        end = self._skip(position, count)
        try:
            str(self._data[position:end], "utf-8")
        except UnicodeDecodeError as error:
            raise Malformed(f"the text at byte {position} is not UTF-8: {error.reason}") from None
        return end

    def _map(self, position: int, pairs: int, depth: int) -> int:
        keys = set()
        for _ in range(self._bounded(pairs, position)):
            start = position
            if self._peek(position) >> 5 not in (0, 1, 3):
                raise Malformed(f"a map key at byte {start} is neither an integer nor a text")
            position = self.item(position, depth + 1)
            key = self._data[start:position]  # equal keys have equal bytes: lengths are shortest
            if key in keys:
                raise Malformed(f"the map key at byte {start} is repeated")
            keys.add(key)
            position = self.item(position, depth + 1)
        return position

    def _head(self, start: int) -> tuple[int, int, int]:
        """Major type, argument and the position after them (RFC 8949, 3)."""
        first = self._peek(start)
        major, info = first >> 5, first & 0x1F
        if major == 7:
            if info in _FLOAT_BYTES:
                return major, 0, self._skip(start + 1, _FLOAT_BYTES[info])
            if info not in _SIMPLE:
                raise Malformed(f"simple value {info} at byte {start} is not allowed")
            return major, info, start + 1
        if info < 24:
            return major, info, start + 1
        if info not in _SHORTEST:
            raise Malformed(f"indefinite or reserved length at byte {start}")
        end = self._skip(start + 1, 1 << (info - 24))
        argument = int.from_bytes(self._data[start + 1 : end], "big")
        if argument < _SHORTEST[info]:
            raise Malformed(f"the number at byte {start} is not in its shortest form")
        return major, argument, end

    def _peek(self, position: int) -> int:
        if position >= len(self._data):
            raise Malformed("the CBOR item is cut off")
        return self._data[position]

    def _skip(self, position: int, count: int) -> int:
        if position + count > len(self._data):
            raise Malformed("the CBOR item is cut off")
        return position + count

    def _bounded(self, count: int, position: int) -> int:
        if count > len(self._data) - position:  # every element takes a byte at least
            raise Malformed("the CBOR item is cut off")
        return count
