# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A deterministic, bounded subset of CBOR (RFC 8949), small enough for a board.

Kept: integers of 64 bits, byte and text strings, arrays, maps with integer or text keys, true, false, null.
Left out on purpose: floats (values on air are scaled integers), tags, indefinite lengths. Encoding is the core
deterministic one (RFC 8949 section 4.2.1); the decoder refuses anything else, so a value has exactly one form.
"""

import struct

from firmware.wire.errors import Malformed

_UINT = 0
_NEGATIVE = 1
_BYTES = 2
_TEXT = 3
_ARRAY = 4
_MAP = 5
_SIMPLE = 7

MAX_DEPTH = 4
MAX_ITEMS = 64


def dumps(value: object) -> bytes:
    """Return the deterministic encoding of *value*. Raises TypeError or ValueError for what the subset lacks."""
    out = bytearray()
    _encode(value, out)
    return bytes(out)


def loads(data: bytes, max_depth: int = MAX_DEPTH, max_items: int = MAX_ITEMS) -> object:
    """Return the one value that *data* holds. Raises Malformed; work and memory are bounded by the arguments."""
    decoder = _Decoder(data, max_items)
    value = decoder.item(max_depth)
    if decoder.pos != len(data):
        raise Malformed("CBOR: %d bytes left over after the value" % (len(data) - decoder.pos))
    return value


def loads_sequence(data: bytes, max_depth: int = MAX_DEPTH, max_items: int = MAX_ITEMS) -> "list[object]":
    """Return the values of a CBOR sequence (RFC 8742). *max_items* bounds the whole of it."""
    decoder = _Decoder(data, max_items)
    values = []
    while decoder.pos < len(data):
        values.append(decoder.item(max_depth))
    return values


def _head(major: int, argument: int, out: bytearray) -> None:
    first = major << 5
    if argument < 24:
        out.append(first | argument)
    elif argument < 0x100:
        out.extend(struct.pack(">BB", first | 24, argument))
    elif argument < 0x10000:
        out.extend(struct.pack(">BH", first | 25, argument))
    elif argument < 0x100000000:
        out.extend(struct.pack(">BI", first | 26, argument))
    elif argument < 0x10000000000000000:
        out.extend(struct.pack(">BQ", first | 27, argument))
    else:
        raise ValueError("CBOR: integer needs more than 64 bits")


def _encode(value: object, out: bytearray) -> None:
    if value is None:
        out.append(0xF6)
    elif isinstance(value, bool):
        out.append(0xF5 if value else 0xF4)
    elif isinstance(value, int):
        if value >= 0:
            _head(_UINT, value, out)
        else:
            _head(_NEGATIVE, -1 - value, out)
    elif isinstance(value, (bytes, bytearray)):
        _head(_BYTES, len(value), out)
        out.extend(value)
    elif isinstance(value, str):
        text = value.encode()
        _head(_TEXT, len(text), out)
        out.extend(text)
    elif isinstance(value, (list, tuple)):
        _head(_ARRAY, len(value), out)
        for item in value:
            _encode(item, out)
    elif isinstance(value, dict):
        _encode_map(value, out)
    else:
        raise TypeError("CBOR: no encoding for %s" % type(value).__name__)


def _encode_map(value: "dict[object, object]", out: bytearray) -> None:
    keys = []
    for key in value:
        if isinstance(key, bool) or not isinstance(key, (int, str)):
            raise TypeError("CBOR: a map key is an integer or a text, not %s" % type(key).__name__)
        keys.append((dumps(key), key))
    keys.sort(key=_first)  # bytewise order of the encoded keys, RFC 8949 section 4.2.1
    _head(_MAP, len(keys), out)
    for encoded, key in keys:
        out.extend(encoded)
        _encode(value[key], out)


def _first(pair: "tuple[bytes, object]") -> bytes:
    return pair[0]


class _Decoder:
    def __init__(self, data: bytes, max_items: int) -> None:
        self.pos = 0
        self._data = data
        self._items_left = max_items

    def item(self, depth: int) -> object:
        if depth <= 0:
            raise Malformed("CBOR: nested too deeply at byte %d" % self.pos)
        self._items_left -= 1
        if self._items_left < 0:
            raise Malformed("CBOR: more items than allowed at byte %d" % self.pos)
        start = self.pos
        first = self._take(1)[0]
        major = first >> 5
        if major == _SIMPLE:
            return self._simple(first, start)
        argument = self._argument(first & 0x1F, start)
        if major == _UINT:
            return argument
        if major == _NEGATIVE:
            return -1 - argument
        if major == _BYTES:
            return self._take(argument)
        if major == _TEXT:
            return self._text(argument, start)
        if major == _ARRAY:
            return self._array(argument, depth)
        if major == _MAP:
            return self._map(argument, depth)
        raise Malformed("CBOR: tag at byte %d; this dialect has none" % start)

    def _take(self, count: int) -> bytes:
        end = self.pos + count
        if end > len(self._data):
            raise Malformed("CBOR: ends at byte %d, %d bytes too early" % (len(self._data), end - len(self._data)))
        part = self._data[self.pos : end]
        self.pos = end
        return bytes(part)

    def _argument(self, info: int, start: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise Malformed("CBOR: indefinite or reserved length at byte %d" % start)
        size = 1 << (info - 24)
        value = 0
        for byte in self._take(size):
            value = value << 8 | byte
        shortest = 24 if size == 1 else 1 << (4 * size)  # the smallest value that needs this many bytes
        if value < shortest:
            raise Malformed("CBOR: %d at byte %d is not in its shortest form" % (value, start))
        return value

    def _simple(self, first: int, start: int) -> "bool | None":
        if first == 0xF4:
            return False
        if first == 0xF5:
            return True
        if first == 0xF6:
            return None
        raise Malformed("CBOR: float or simple value 0x%02x at byte %d; this dialect has none" % (first, start))

    def _text(self, length: int, start: int) -> str:
        raw = self._take(length)
        try:
            text = raw.decode()
        except (UnicodeError, ValueError):  # MicroPython raises UnicodeError, which there is no ValueError
            raise Malformed("CBOR: text at byte %d is not UTF-8" % start) from None
        return text

    def _array(self, length: int, depth: int) -> "list[object]":
        self._bound(length)
        return [self.item(depth - 1) for _ in range(length)]

    def _map(self, length: int, depth: int) -> "dict[object, object]":
        self._bound(2 * length)
        result: "dict[object, object]" = {}
        last = b""
        for _ in range(length):
            start = self.pos
            key = self.item(depth - 1)
            encoded = bytes(self._data[start : self.pos])
            if isinstance(key, bool) or not isinstance(key, (int, str)):
                raise Malformed("CBOR: map key at byte %d is neither integer nor text" % start)
            if encoded <= last:
                raise Malformed("CBOR: map key at byte %d is repeated or out of order" % start)
            last = encoded
            result[key] = self.item(depth - 1)
        return result

    def _bound(self, count: int) -> None:
        if count > self._items_left:
            raise Malformed("CBOR: %d items announced, %d allowed" % (count, self._items_left))
