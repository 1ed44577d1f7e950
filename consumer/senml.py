# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""SenML packs in CBOR (RFC 8428) to readings: names resolved, times absolute, sizes bounded."""

from __future__ import annotations

import base64
import math
import re
from dataclasses import dataclass, field
from typing import Any, Final

from consumer import strict_cbor
from consumer.errors import Malformed

# Labels (RFC 8428, table 4)
BVER, BN, BT, BU, BV, BS = -1, -2, -3, -4, -5, -6
N, U, V, VS, VB, S, T, UT, VD = 0, 1, 2, 3, 4, 5, 6, 7, 8

VERSION: Final = 10
MAX_RECORDS: Final = 65_536
MAX_FIELDS: Final = 64
MAX_TEXT: Final = 255
MAX_SEQ: Final = (1 << 63) - 1
SEQ: Final = "seq"
TIME_SOURCE: Final = "time_source"

_ABSOLUTE_S: Final = 1 << 28  # below this a time is relative to now (RFC 8428, 4.5.3)
_MAX_TIME_S: Final = 253_402_300_799
_NAME: Final = re.compile(r"urn:dev:mac:([0-9a-f]{16})_([A-Za-z0-9][A-Za-z0-9:./_-]*)")
_VALUES: Final = (V, VS, VB, VD)

Value = float | int | bool | str


@dataclass(slots=True)
class Measurement:
    """One reading of one device: its number, its Unix time in seconds, and what was measured, by SenML name."""

    dev_eui: str
    seq: int
    time: float
    values: dict[str, Value] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    time_source: str = "device"


def decode(payload: bytes) -> list[Measurement]:
    """Decode a pack. Raises Malformed for what is not SenML, or not readings that begin with their number."""
    pack = strict_cbor.loads(payload)
    if not isinstance(pack, list) or not 0 < len(pack) <= MAX_RECORDS:
        raise Malformed(f"a SenML pack is an array of 1 to {MAX_RECORDS} records")
    base = _Base()
    readings: list[Measurement] = []
    for record in pack:
        if not isinstance(record, dict):
            raise Malformed("a SenML record is a map")
        base.update(record)
        _add(readings, base, record)
    return readings


class _Base:
    """The base values that hold from one record on (RFC 8428, 4.1)."""

    def __init__(self) -> None:
        self.name = ""
        self.time: float = 0
        self.unit: str | None = None
        self.value: float = 0

    def update(self, record: dict[int | str, Any]) -> None:
        for label in record:
            if isinstance(label, str) and label.endswith("_"):
                raise Malformed(f"SenML field {label[:MAX_TEXT]!r} must be understood and is not (RFC 8428, 4.4)")
        if _number(record.get(BVER, VERSION)) > VERSION:
            raise Malformed(f"SenML version {record[BVER]!r}; {VERSION} is the newest known")
        if BN in record:
            self.name = _text(record[BN])
        if BT in record:
            self.time = _number(record[BT])
        if BU in record:
            self.unit = _text(record[BU])
        if BV in record:
            self.value = _number(record[BV])


def _add(readings: list[Measurement], base: _Base, record: dict[int | str, Any]) -> None:
    name = base.name + _text(record.get(N, ""))
    match = _NAME.fullmatch(name)
    if match is None:
        raise Malformed(f"SenML name {name[:80]!r} is not urn:dev:mac:, 16 hexadecimal digits, _ and a field")
    dev_eui, field_name = match.groups()
    time_s = base.time + _number(record.get(T, 0))
    if not _ABSOLUTE_S <= time_s <= _MAX_TIME_S:
        raise Malformed(f"SenML time {time_s} is not an absolute time in seconds")
    value = _value(base, record)
    if field_name == SEQ:
        if type(value) is not int or not 0 <= value <= MAX_SEQ:
            raise Malformed("the number of a reading is not a whole number of 63 bits")
        readings.append(Measurement(dev_eui, value, time_s))
        return
    if not readings or readings[-1].dev_eui != dev_eui or readings[-1].time != time_s:
        raise Malformed(f"{name!r} stands without the number of its reading before it")
    unit = _text(record[U]) if U in record else base.unit
    _put(readings[-1], field_name, value, unit)


def _put(reading: Measurement, name: str, value: Value, unit: str | None) -> None:
    if name == TIME_SOURCE:
        reading.time_source = str(value)
        return
    if name in reading.values or len(reading.values) >= MAX_FIELDS:
        raise Malformed(f"{name!r} is repeated within one reading, or the reading has more than {MAX_FIELDS} fields")
    reading.values[name] = value
    if unit is not None:
        reading.units[name] = unit


def _value(base: _Base, record: dict[int | str, Any]) -> Value:
    present = [label for label in _VALUES if label in record]
    if len(present) != 1:
        raise Malformed("a SenML record of a reading holds exactly one value")
    value = record[present[0]]
    if present[0] == V:
        return _number(base.value + _number(value)) if base.value else _number(value)
    if present[0] == VB and isinstance(value, bool):
        return value
    if present[0] == VS:
        return _text(value)
    if present[0] == VD and isinstance(value, bytes) and len(value) <= MAX_TEXT:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")  # as in SenML's JSON (RFC 8428, 5)
    raise Malformed("this kind of SenML value is not part of a reading")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Malformed("a SenML number is an integer or a finite float")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise Malformed(f"a SenML text is a text of at most {MAX_TEXT} characters")
    return value
