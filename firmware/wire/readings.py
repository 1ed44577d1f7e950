# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Application payloads: readings up, receipts down.

A reading is a CBOR map with small-integer keys: 0 its sequence number, 1 its time in Unix seconds or 2 its age in
seconds when the clock is not set (or neither, when nobody knows any more), from 3 on the fields of its kind as scaled
integers. A payload on the readings port is a CBOR sequence of such maps, ended by one bare integer when the device
asks for a receipt: the oldest sequence number that it still holds. A byte string among them is a batch of readings
(``wire.batch``): what was kept while nobody answered.
"""

from firmware.wire import cbor, kinds
from firmware.wire.errors import Malformed

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from firmware.wire.kinds import Field, Kind

FPORT_READINGS = 1
FPORT_ALARMS = 2
FPORT_COMMANDS = 3
FPORT_RECEIPTS = 4
FPORT_SETTINGS = 5
FPORT_UPDATE = 10
FPORT_FRAGMENTS = 201  # pieces of an update in fragments, LoRaWAN TS004

KEY_SEQ = 0
KEY_TIME = 1
KEY_AGE = 2
FIRST_FIELD_KEY = 3

MAX_SEQ = 0xFFFFFFFF
MAX_BITMAP_BYTES = 32

_BOOL = 0  # the scale that stands for a truth value


def encode_reading(
    kind: "Kind", seq: int, values: "dict[str, float]", time_s: "int | None" = None, age_s: "int | None" = None
) -> bytes:
    """Return one reading as bytes. *values* are physical units by field name; fields that are missing are left out.

    *kind* is a module of ``firmware.wire.kinds``. A value beyond the field's range raises ValueError.
    """
    item: "dict[int, object]" = {KEY_SEQ: seq}
    if time_s is not None:
        item[KEY_TIME] = time_s
    elif age_s is not None:
        item[KEY_AGE] = age_s
    for name, key, scale, low, high in kind.FIELDS:
        if name in values:
            item[key] = _scaled(name, values[name], scale, low, high)
    return cbor.dumps(item)


def _scaled(name: str, value: float, scale: int, low: int, high: int) -> "int | bool":
    if scale == _BOOL:
        return bool(value)
    number = int(value * scale + (0.5 if value >= 0 else -0.5))  # round half away from zero on every port
    if not low <= number <= high:
        raise ValueError("%s = %r is outside %r to %r" % (name, value, low / scale, high / scale))
    return number


def decode_reading(kind: "Kind", item: object) -> "tuple[int, int | None, int | None, dict[str, float | bool]]":
    """Return ``(seq, time_s, age_s, values)`` of one map. Raises Malformed for what the kind does not know."""
    if not isinstance(item, dict):
        raise Malformed("reading: a map is expected, not %s" % type(item).__name__)
    seq = _uint(item, KEY_SEQ, "sequence number")
    if not seq:
        raise Malformed("reading: no sequence number")
    time_s = _uint(item, KEY_TIME, "time")
    age_s = _uint(item, KEY_AGE, "age")
    if time_s is not None and age_s is not None:
        raise Malformed("reading %d: both a time and an age" % seq)
    fields = {field[1]: field for field in kinds.all_fields(kind)}
    values: "dict[str, float | bool]" = {}
    for key in item:
        if key in (KEY_SEQ, KEY_TIME, KEY_AGE):
            continue
        if key not in fields:
            raise Malformed("reading %d: %s has no field %r" % (seq, kind.KIND, key))
        values[fields[key][0]] = _physical(seq, fields[key], item[key])
    return seq, time_s, age_s, values


def _physical(seq: int, field: "Field", raw: object) -> "float | bool":
    name, _, scale, low, high = field
    if scale == _BOOL:
        if not isinstance(raw, bool):
            raise Malformed("reading %d: %s is %r, not true or false" % (seq, name, raw))
        return raw
    if isinstance(raw, bool) or not isinstance(raw, int) or not low <= raw <= high:
        raise Malformed("reading %d: %s is %r, outside %d to %d" % (seq, name, raw, low, high))
    return raw if scale == 1 else raw / scale


def _uint(item: "dict[object, object]", key: int, name: str) -> "int | None":
    value = item.get(key)
    if value is None and key not in item:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SEQ:
        raise Malformed("reading: %s %r is not an integer of 32 bits" % (name, value))
    return value


def pack(readings: "list[bytes]", oldest: "int | None" = None) -> bytes:
    """Return a payload of encoded readings; with *oldest* it asks for a receipt."""
    payload = b"".join(readings)
    return payload if oldest is None else payload + cbor.dumps(oldest)


def unpack_payload(payload: bytes) -> "tuple[list[object], int | None]":
    """Return the maps of a payload, and the oldest sequence number held if a receipt is asked for. Raises Malformed."""
    items = cbor.loads_sequence(payload, max_depth=2, max_items=256)
    if not items:
        raise Malformed("readings: empty payload")
    oldest = None
    if not isinstance(items[-1], (dict, bytes)):
        last = items.pop()
        if isinstance(last, bool) or not isinstance(last, int) or not 0 <= last <= MAX_SEQ:
            raise Malformed("readings: %r at the end is not a sequence number" % (last,))
        oldest = last
    if not any([isinstance(item, bytes) for item in items]):
        return items, oldest
    batch = __import__("firmware.wire.batch", None, None, ["batched_maps"])  # no board reads batches

    found: "list[object]" = []
    for item in items:
        found += batch.batched_maps(item) if isinstance(item, bytes) else [item]
    return found, oldest


def encode_receipt(contiguous: int, held_above: "list[int]", max_bytes: int = MAX_BITMAP_BYTES) -> bytes:
    """Return a receipt: everything up to *contiguous* is on disk, and of what is above it the *held_above*.

    Bit i, lowest first, of the bitmap stands for ``contiguous + 1 + i``. What does not fit in *max_bytes* is left out;
    the device sends it again.
    """
    bitmap = bytearray()
    for seq in held_above:
        bit = seq - contiguous - 1
        if bit >= 0 and bit // 8 < max_bytes:
            while len(bitmap) <= bit // 8:
                bitmap.append(0)
            bitmap[bit // 8] |= 1 << bit % 8
    item: "dict[int, object]" = {0: contiguous}
    if bitmap:
        item[1] = bytes(bitmap)
    return cbor.dumps(item)


def decode_receipt(payload: bytes) -> "tuple[int, list[int]]":
    """Return ``(contiguous, sequence numbers held above it)``. Raises Malformed."""
    item = cbor.loads(payload, max_depth=2, max_items=5)
    if not isinstance(item, dict):
        raise Malformed("receipt: a map is expected, not %s" % type(item).__name__)
    contiguous = _uint(item, 0, "receipt")
    bitmap = item.get(1, b"")
    if contiguous is None or not isinstance(bitmap, bytes) or len(bitmap) > MAX_BITMAP_BYTES:
        raise Malformed("receipt: %r" % (item,))
    held = []
    for i in range(8 * len(bitmap)):
        if bitmap[i // 8] >> i % 8 & 1:
            held.append(contiguous + 1 + i)
    return contiguous, held
