# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A stored envelope back to its readings. It was signed here, and the outbox checked its digest: no signature check."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from consumer import envelope, senml
from consumer.errors import ConsumerError
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Mapping


_REMEMBERED = 256
"""Envelopes; of 16 readings each that is some megabytes."""


class Unopened(GatewayError, ValueError):
    """The message is no envelope of ours."""


@dataclass(frozen=True, slots=True)
class Item:
    """One reading with its place in the gateway's stream, which identifies it for ever."""

    stream: str
    """16 hex digits."""
    record: int
    dev_eui: str
    """16 hex digits."""
    seq: int
    time_s: float
    """Unix time."""
    time_source: str
    values: Mapping[str, float | bool | str]
    """By SenML name, in the SenML unit."""
    units: Mapping[str, str]


@lru_cache(maxsize=_REMEMBERED)
def open_envelope(message: bytes) -> tuple[Item, ...]:
    """Return the readings of an envelope; none for a notice. Raises Unopened.

    What one output opened the next one does not open again, as long as they keep pace.
    """
    try:
        found = envelope.parse(message)
        if found.notice:
            return ()
        readings = senml.decode(found.sign1.payload)
    except ConsumerError as error:
        raise Unopened(f"a stored envelope does not open: {error}") from error
    stream = found.stream_id.hex()
    return tuple(
        Item(stream, found.first + index, each.dev_eui, each.seq, each.time, each.time_source, each.values, each.units)
        for index, each in enumerate(readings)
    )
