# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What one frame's payload says: readings, the ones that cannot be read, and whether a receipt is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from firmware.wire import cbor, kinds, readings
from firmware.wire.errors import Malformed
from firmware.wire.kinds.terms import terms
from gateway.quick_record import record
from gateway.records import quick_pack, quick_payload, senml

if TYPE_CHECKING:
    from collections.abc import KeysView, Mapping

    from firmware.wire.kinds import Kind

ABSOLUTE_S = 2**28
"""Times below are relative to now (RFC 8428 section 4.5.3), so no reading may carry one."""

TimeSource = Literal["device", "gateway"]


class Rank(IntEnum):
    """What a full outbox gives up first, if it was told to give up anything: the lowest, and the oldest of that."""

    OPEN = 0
    """All of its fields are open data."""
    INTERNAL = 1
    RESTRICTED = 2
    ALARM = 3


@dataclass(frozen=True, slots=True)
class Measured:
    """A value outside the vocabulary, under its SenML name and unit; bytes are opaque."""

    name: str
    value: float | bool | str | bytes
    unit: str | None = None


@record
class Reading:
    """One reading of one device. ``(dev_eui, seq)`` is its identity from the sensor to the city."""

    dev_eui: bytes
    seq: int
    kind: str
    time_s: float
    """Unix time: the device's own, or ``received_at`` less the age that the device gives."""
    time_source: TimeSource
    values: Mapping[str, float | bool]
    """By field name of the kind, in the units of the names."""
    received_at: float
    measured: tuple[Measured, ...] = ()
    """What a vendor's sensor measured that its kind has no field for."""
    rank: int = Rank.OPEN
    packed: tuple[int, bytes] | None = field(default=None, compare=False, repr=False)
    """How many SenML records it has, and these, where they were made at once with it."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An authentic reading that its kind does not allow. It will never read better, so it is kept as it is."""

    dev_eui: bytes
    seq: int
    raw: bytes
    why: str


@record
class Payload:
    """Everything in one frame on the readings or alarms port."""

    readings: tuple[Reading, ...]
    unreadable: tuple[Unreadable, ...]
    oldest: int | None
    """The oldest sequence number that the device still holds, when it asks for a receipt."""
    numbered: bool = True
    """The device itself numbers its readings and knows receipts; else numbers are missing between two of its own."""


def decode(dev_eui: bytes, kind: str, payload: bytes, received_at: float, *, alarm: bool = False) -> Payload:
    """Read a payload. Raises wire Malformed when it is no sequence of numbered readings, or the kind is not known."""
    if (timed := quick_pack.timed(kind, dev_eui, payload)) is not None:
        number, at_s, made, fields, oldest = timed
        if at_s >= ABSOLUTE_S:  # nearly all
            names, rank = _known_shape(kind, fields)
            found, rank = quick_pack.Values(kind, payload, names), Rank.ALARM if alarm else rank
            each = Reading(dev_eui, number, kind, at_s, "device", found, received_at, (), rank, made)
            return Payload((each,), (), oldest)
    if (packed := quick_pack.read(kind, payload)) is not None:
        return _of_packed(dev_eui, kind, payload, packed, received_at, alarm=alarm)
    bad: list[Unreadable] = []
    judged, oldest = quick_payload.read(kind, payload) or _plain(dev_eui, _kind(kind), payload, bad)
    good: list[Reading] = []
    for seq, sent_s, age_s, values in judged:
        time_s, source = _time(sent_s, age_s, received_at)
        rank = Rank.ALARM if alarm else _rank(kind, tuple(values))
        good.append(Reading(dev_eui, seq, kind, time_s, source, values, received_at, (), rank))
    return Payload(tuple(good), tuple(bad), oldest)


def _of_packed(
    dev_eui: bytes, kind: str, payload: bytes, packed: quick_pack.Packed, received_at: float, *, alarm: bool
) -> Payload:
    seq, seq_cbor, sent_s, time_cbor, age_s, fields, body, oldest = packed
    time_s: float
    source: TimeSource
    if sent_s is not None and sent_s >= ABSOLUTE_S:  # as _time says
        time_s, source, from_gateway = sent_s, "device", False
    else:
        time_s, source = _time(sent_s, age_s, received_at)
        from_gateway = source == "gateway"
        if from_gateway:
            time_cbor = senml.number(time_s)
    made = senml.packed(dev_eui, seq_cbor, time_cbor, body, fields.bit_count(), from_gateway=from_gateway)
    names, rank = _known_shape(kind, fields)
    values = quick_pack.Values(kind, payload, names)
    rank = Rank.ALARM if alarm else rank
    return Payload((Reading(dev_eui, seq, kind, time_s, source, values, received_at, (), rank, made),), (), oldest)


@lru_cache(maxsize=4096)
def _known_shape(kind: str, fields: int) -> tuple[KeysView[str], Rank]:
    names = quick_pack.names(kind, fields)
    return names, rank_of(kind, dict.fromkeys(names))


def _plain(
    dev_eui: bytes, kind: Kind, payload: bytes, bad: list[Unreadable]
) -> tuple[list[quick_payload.Judged], int | None]:
    """Judge the items of a payload; what cannot be read goes to *bad*. Raises Malformed."""
    items, oldest = readings.unpack_payload(payload)
    judged = []
    for item in items:
        try:
            judged.append(readings.decode_reading(kind, item))
        except Malformed as error:
            bad.append(Unreadable(dev_eui, _seq(item, error), cbor.dumps(item), str(error)))
    return judged, oldest


@lru_cache(maxsize=64)
def _kind(name: str) -> Kind:
    return kinds.load(name)


def rank_of(kind: str, values: Mapping[str, object]) -> Rank:
    """Return the rank of a reading with these fields. What is outside the vocabulary has no say."""
    return _rank(kind, tuple(values))


@lru_cache(maxsize=1024)
def _rank(kind: str, values: tuple[str, ...]) -> Rank:
    restricted, internal = _held_back(kind)
    if not restricted.isdisjoint(values):
        return Rank.RESTRICTED
    return Rank.OPEN if internal.isdisjoint(values) else Rank.INTERNAL


@lru_cache(maxsize=64)
def _held_back(kind: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the fields of a kind that are restricted, and those that are internal."""
    levels = {name: term.release for name, term in terms(kind).items()}
    return tuple(  # type: ignore[return-value]
        frozenset(name for name, level in levels.items() if level == held) for held in ("restricted", "internal")
    )


def _seq(item: object, error: Malformed) -> int:
    seq = item.get(readings.KEY_SEQ) if isinstance(item, dict) else None
    if type(seq) is not int or not 0 < seq <= readings.MAX_SEQ:
        raise error  # nothing to acknowledge it by
    return seq


def _time(sent_s: int | None, age_s: int | None, received_at: float) -> tuple[float, TimeSource]:
    if sent_s is not None and sent_s >= ABSOLUTE_S:
        return sent_s, "device"
    measured = received_at - (age_s or 0)
    return max(round(measured, 3), float(ABSOLUTE_S)), "gateway"
