# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Readings to a SenML pack in CBOR (RFC 8428 section 6), deterministic (RFC 8949 section 4.2.1).

Built from prepared pieces: names and units of a kind are encoded once, a reading costs its numbers.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

from firmware.wire.kinds.terms import terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.records.reading import Reading

# SenML labels (RFC 8428 table 4) as they are encoded; in the order that deterministic encoding asks for
_N, _U, _V, _VS, _VB, _VD = b"\x00", b"\x01", b"\x02", b"\x03", b"\x04", b"\x08"
_BN, _BT = b"\x21", b"\x22"

_UINT, _NINT, _BYTES, _TEXT, _ARRAY, _MAP = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
_BASE = bytes((_MAP | 4,))
_TRUE, _FALSE = b"\xf5", b"\xf4"
_DECIMALS = 9  # a factor such as 0.01 leaves digits that nobody measured


def encode(readings: Sequence[Reading]) -> bytes:
    """Return the pack: for each reading its number with base name and base time, then its fields by SenML name."""
    made = [reading.packed for reading in readings]
    if made and None not in made:  # nearly always
        counts, records_of = zip(*made, strict=True)
        return _head(_ARRAY, sum(counts)) + b"".join(records_of)
    pieces: list[bytes] = []
    records = sum([_add_records(reading, pieces) for reading in readings])
    return _head(_ARRAY, records) + b"".join(pieces)


def _add_records(reading: Reading, pieces: list[bytes]) -> int:
    """Add the pieces of a reading's records; return how many records."""
    if reading.packed is not None:
        pieces.append(reading.packed[1])
        return reading.packed[0]
    base, time_source = _fixed()
    pieces += (base, _number(reading.seq), device(reading.dev_eui), _number(reading.time_s))
    fields = of_kind(reading.kind)
    for field, value in reading.values.items():
        number_head, true, false, factor = fields[field]
        if value is True or value is False:
            pieces.append(true if value else false)
        else:
            pieces += (number_head, number(value, factor))
    for each in reading.measured:
        unit = _U + _text(each.unit) if each.unit else b""
        pieces.append(_head(_MAP, 3 if unit else 2) + _N + _text(each.name) + unit + _measured(each.value))
    if reading.time_source == "gateway":
        pieces.append(time_source)
        return 2 + len(reading.values) + len(reading.measured)
    return 1 + len(reading.values) + len(reading.measured)


def packed(
    dev_eui: bytes, seq_cbor: bytes, time_cbor: bytes, body: bytes, records: int, *, from_gateway: bool
) -> tuple[int, bytes]:
    """Return how many records a reading has, and these, from what ``quick_pack`` made of its payload."""
    base, time_source = _fixed()
    if from_gateway:
        return records + 2, b"".join((base, seq_cbor, device(dev_eui), time_cbor, body, time_source))
    return records + 1, b"".join((base, seq_cbor, device(dev_eui), time_cbor, body))


def number(value: float, factor: float = 1) -> bytes:
    """Return a number in CBOR, brought to its SenML unit by *factor*."""
    return _number(value if factor == 1 else round(value * factor, _DECIMALS))


def _measured(value: float | bool | str | bytes) -> bytes:
    if isinstance(value, bool):
        return _VB + (_TRUE if value else _FALSE)
    if isinstance(value, str):
        return _VS + _text(value)
    if isinstance(value, bytes):
        return _VD + _head(_BYTES, len(value)) + value
    return _V + _number(value)


def start() -> bytes:
    """Return what each reading begins with, up to its number."""
    return _fixed()[0]


@lru_cache(maxsize=4096)
def device(dev_eui: bytes) -> bytes:
    """Return what stands between a reading's number and its time."""
    return _BN + _text(f"urn:dev:mac:{dev_eui.hex()}_") + _BT


@lru_cache(maxsize=1)
def _fixed() -> tuple[bytes, bytes]:
    return _BASE + _N + _text("seq") + _V, _head(_MAP, 2) + _N + _text("time_source") + _VS + _text("gateway")


@lru_cache(maxsize=64)
def of_kind(kind: str) -> dict[str, tuple[bytes, bytes, bytes, float]]:
    """For each field its record up to the number, or whole if it is a truth, and the factor to its SenML unit."""
    fields = {}
    for name, term in terms(kind).items():
        unit = _U + _text(term.senml_unit) if term.senml_unit else b""
        head = _head(_MAP, 3 if unit else 2) + _N + _text(term.senml_name) + unit
        fields[name] = (head + _V, head + _VB + _TRUE, head + _VB + _FALSE, term.senml_factor)
    return fields


def _head(major: int, length: int) -> bytes:
    if length < 24:
        return bytes((major | length,))
    if length < 0x100:
        return bytes((major | 24, length))
    if length < 0x10000:
        return struct.pack(">BH", major | 25, length)
    if length < 0x100000000:
        return struct.pack(">BI", major | 26, length)
    return struct.pack(">BQ", major | 27, length)


def _text(text: str) -> bytes:
    data = text.encode()
    return _head(_TEXT, len(data)) + data


_SHORT = tuple(bytes((number,)) if number < 24 else bytes((_UINT | 24, number)) for number in range(0x100))
"""Whole numbers of at most one byte: most of what a city measures."""


_pack_u32 = struct.Struct(">BI").pack
"""Times and counters."""


def _number(value: float) -> bytes:
    if type(value) is float:
        return _float(value)
    if 0 <= value < 0x100:
        return _SHORT[int(value)]
    if 0x10000 <= value < 0x100000000:
        return _pack_u32(0x1A, int(value))
    return _head(_UINT, int(value)) if value >= 0 else _head(_NINT, -1 - int(value))


@lru_cache(maxsize=4096)
def _float(value: float) -> bytes:
    if value == int(value):  # 21.0 is 21: shorter, and the same number
        whole = int(value)
        return _head(_UINT, whole) if whole >= 0 else _head(_NINT, -1 - whole)
    for code, form in ((b"\xf9", ">e"), (b"\xfa", ">f")):  # the shortest float that keeps the value
        try:
            packed = struct.pack(form, value)
        except OverflowError:
            continue
        if struct.unpack(form, packed)[0] == value:
            return code + packed
    return b"\xfb" + struct.pack(">d", value)
