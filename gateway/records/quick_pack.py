# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The usual payload made into SenML in one pass: ``quick_payload`` and ``senml`` say what comes out, in two.

A number that a kind neither scales nor converts is the same CBOR in SenML as on the air, so its bytes are copied; the
others are remembered by field and number, since what a city measures repeats. What people and rules ask of a reading
besides, its values by name, is read when somebody asks. A batch of many devices takes a sixth less for it
(benchmarks/bench_steps.py has one reading, again and again). Anything that is not plainly usual is None here.
"""

from __future__ import annotations

from collections.abc import Iterator, KeysView, Mapping
from functools import lru_cache

from firmware.wire import kinds
from firmware.wire.readings import FIRST_FIELD_KEY, KEY_AGE, KEY_SEQ, KEY_TIME
from gateway.records import quick_payload, senml
from gateway.records.quick_layout import Looks, look_of

_ONE_BYTE = 24
_PAIRS = {0xA0 + pairs: range(pairs) for pairs in range(1, _ONE_BYTE)}
"""By the first byte of a map."""
_FALSE, _TRUE = 0xF4, 0xF5
_REMEMBERED = 4096
"""Numbers of one field."""


Packed = tuple[int, bytes, "int | None", bytes, "int | None", int, bytes, "int | None"]
"""One reading: number, and it in CBOR; time, and it in CBOR; age; a bit for each key of a field that it has; the SenML
records of its fields; the number behind it."""


class Number:
    """How a field's number becomes its record."""

    __slots__ = ("as_it_is", "factor", "head", "high", "low", "remembered", "scale")

    def __init__(self, head: bytes, scale: int, factor: float, low: int, high: int) -> None:
        self.head, self.scale, self.factor, self.low, self.high = head, scale, factor, low, high
        self.as_it_is = scale == 1 and factor == 1
        self.remembered: dict[bytes, bytes] = {}
        """Records by the number as it is encoded."""

    def record_of(self, text: bytes, raw: int) -> bytes:
        """Return the record of a number, and remember it. Raises ValueError when the field cannot have it."""
        if not self.low <= raw <= self.high:
            raise ValueError
        made = self.head + senml.number(raw if self.scale == 1 else raw / self.scale, self.factor)
        if len(self.remembered) >= _REMEMBERED:
            self.remembered.clear()
        self.remembered[text] = made
        return made


_NOTHING: tuple[None, bytes] = (None, b"")


_looks = Looks()
timed = _looks.timed
"""As ``read``, with all SenML records, where the payload has a time and looks like one before."""


def read(kind: str, payload: bytes) -> Packed | None:
    """Return the reading that a payload is, or None: not one reading of the usual form."""
    packed = _looks.read(kind, payload)
    if packed is None:
        packed = plain(kind, payload)
        if packed is not None:
            _looks.add(kind, payload, look_of(payload, *_table(kind)))
    return packed


def plain(kind: str, payload: bytes) -> Packed | None:
    """As ``read``, of any look."""
    pieces: list[bytes] = []
    oldest = None
    try:
        head, fields, pos = _map(*_table(kind), payload, pieces)
        if pos != len(payload):
            oldest, pos = quick_payload.number(payload, pos)
        seq, seq_cbor = head[KEY_SEQ]
    except (IndexError, ValueError, KeyError):
        return None
    (time_s, time_cbor), (age_s, _) = head.get(KEY_TIME, _NOTHING), head.get(KEY_AGE, _NOTHING)
    if not seq or pos != len(payload) or (oldest or 0) < 0 or (time_s is not None and age_s is not None):
        return None
    return seq, seq_cbor, time_s, time_cbor, age_s, fields, b"".join(pieces), oldest


def _map(
    numbers: dict[int, Number], truths: dict[int, tuple[bytes, bytes]], payload: bytes, pieces: list[bytes]
) -> tuple[dict[int, tuple[int, bytes]], int, int]:
    """Add the fields' records to *pieces*; return the numbers of the head, the fields, and where the map ends.

    Raises ValueError, KeyError, IndexError: not of the usual form.
    """
    head: dict[int, tuple[int, bytes]] = {}
    last, fields, pos = -1, 0, 1
    for _ in _PAIRS[payload[0]]:
        key, first = payload[pos], payload[pos + 1]
        pos += 1
        if key >= _ONE_BYTE:  # those that all kinds have
            key, first, pos = _far(key, payload, pos)
        if key <= last:
            raise ValueError
        last, start = key, pos
        if first in (_FALSE, _TRUE):
            fields |= 1 << key
            pos += 1
            pieces.append(truths[key][first - _FALSE])
            continue
        raw, pos = (first, pos + 1) if first < _ONE_BYTE else quick_payload.number(payload, pos)
        if key >= FIRST_FIELD_KEY:
            fields |= 1 << key
            field = numbers[key]
            if field.as_it_is and field.low <= raw <= field.high:
                pieces += (field.head, payload[start:pos])
            else:
                pieces.append(field.record_of(payload[start:pos], raw))
        elif raw >= 0:
            head[key] = raw, payload[start:pos]
        else:
            raise ValueError
    return head, fields, pos


def _far(key: int, payload: bytes, pos: int) -> tuple[int, int, int]:
    """Return a key of two bytes, the first byte of its value and where that is. Raises ValueError, IndexError."""
    if key != _ONE_BYTE or payload[pos] < _ONE_BYTE:
        raise ValueError
    return payload[pos], payload[pos + 1], pos + 1


@lru_cache(maxsize=64)
def _table(kind: str) -> tuple[dict[int, Number], dict[int, tuple[bytes, bytes]]]:
    """Return the fields that are numbers, and those that are truths: their records when false and when true."""
    numbers, truths = {}, {}
    for name, key, scale, low, high in kinds.all_fields(kinds.load(kind)):
        head, true, false, factor = senml.of_kind(kind)[name]
        if scale == quick_payload.TRUTH:
            truths[key] = (false, true)
        else:
            numbers[key] = Number(head, scale, factor, low, high)
    return numbers, truths


@lru_cache(maxsize=4096)
def names(kind: str, fields: int) -> KeysView[str]:
    """Return the names of the fields whose bits are set, in the order of a payload."""
    known = sorted(kinds.all_fields(kinds.load(kind)), key=lambda field: field[1])
    return dict.fromkeys([name for name, key, *_ in known if fields >> key & 1]).keys()


class Values(Mapping[str, "float | bool"]):
    """The values of a packed reading by name, read when somebody asks for one."""

    __slots__ = ("_kind", "_names", "_payload", "_read")

    def __init__(self, kind: str, payload: bytes, found: KeysView[str]) -> None:
        self._kind, self._payload, self._names = kind, payload, found
        self._read: dict[str, float | bool]

    def keys(self) -> KeysView[str]:
        """Return the names."""
        return self._names

    def __getitem__(self, name: str) -> float | bool:
        """Return one value."""
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names, in the order of the payload."""
        return iter(self._all())

    def __len__(self) -> int:
        """How many there are."""
        return len(self._names)

    def __repr__(self) -> str:
        """As a dict."""
        return repr(self._all())

    def _all(self) -> dict[str, float | bool]:
        try:
            return self._read
        except AttributeError:  # nobody asked yet, as nearly always: to note that with each costs more
            found = quick_payload.read(self._kind, self._payload)
            self._read = {} if found is None else found[0][0][3]
            return self._read
