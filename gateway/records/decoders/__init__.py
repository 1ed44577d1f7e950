# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Payloads of vendors' sensors to readings: one file per format, found by its name. Pure.

A decoder module defines ``decode(fport, payload) -> Decoded`` and raises wire Malformed for what it cannot read.
"""

from __future__ import annotations

import math
import pkgutil
import re
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from firmware.wire.errors import Malformed
from firmware.wire.kinds.terms import terms
from gateway.errors import UnknownPlugin
from gateway.records.reading import ABSOLUTE_S, Measured, Payload, Reading, Unreadable, rank_of

if TYPE_CHECKING:
    from collections.abc import Mapping

FCNT_BITS = 28
"""Of a reading's number; the JoinNonce's 24 are above, and the sum is exact in a double, so in any JSON."""
MAX_FIELDS = 60
MAX_TEXT = 255
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9:./_-]{0,63}")
_RESERVED = frozenset({"seq", "time_source"})


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one payload says: *values* are fields of the device's kind, in its units; *measured* anything else."""

    values: Mapping[str, float | bool] = field(default_factory=dict)
    measured: tuple[Measured, ...] = ()


class Decoder(Protocol):
    """What each module of this folder is."""

    def decode(self, fport: int, payload: bytes) -> Decoded:
        """Read one payload. Raises wire Malformed."""


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """Return the names of all decoders, sorted."""
    return tuple(sorted(each.name for each in pkgutil.iter_modules(__path__) if not each.name.startswith("_")))


@lru_cache(maxsize=64)
def load(name: str) -> Decoder:
    """Import a decoder. Raises UnknownPlugin."""
    if name not in names():
        raise UnknownPlugin(f"there is no decoder {name!r}; there are: {', '.join(names())}")
    return cast("Decoder", import_module(f"{__name__}.{name}"))


def seq_of(join_nonce: int, fcnt: int) -> int:
    """Return a reading's number where the device gives none: it grows with every frame and every join.

    The same frame has the same number whenever it comes, so that no crash and no repetition makes two readings of it.
    Raises Malformed when one session has more frames than fit (8.5 years at one each second).
    """
    if fcnt >= 1 << FCNT_BITS:
        raise Malformed(f"frame {fcnt} of one session has no number any more; the device must join again")
    return (join_nonce << FCNT_BITS | fcnt) + 1


def read(name: str, dev_eui: bytes, kind: str, seq: int, frame: tuple[int, bytes], received_at: float) -> Payload:
    """Read what one frame, FPort and payload, brought. What the decoder cannot read is kept as it is.

    Raises UnknownPlugin.
    """
    decoder = load(name)
    fport, payload = frame
    try:
        decoded = decoder.decode(fport, payload)
        _check(kind, decoded)
    except Malformed as error:
        lost = Unreadable(dev_eui, seq, bytes([fport]) + payload, f"decoder {name}: {error}")
        return Payload((), (lost,), seq, numbered=False)
    time_s = max(round(received_at, 3), float(ABSOLUTE_S))
    rank = rank_of(kind, decoded.values)
    reading = Reading(dev_eui, seq, kind, time_s, "gateway", decoded.values, received_at, decoded.measured, rank)
    # Nothing below is still to come: a session's frames come in order, and a new session ends the old one.
    return Payload((reading,), (), seq, numbered=False)


def _check(kind: str, decoded: Decoded) -> None:
    """Refuse what no verifier would take, since the whole envelope would be lost with it. Raises Malformed."""
    fields = terms(kind)
    unknown = sorted(decoded.values.keys() - fields.keys())
    if unknown:
        raise Malformed(f"{unknown[0]!r} is no field of {kind}; name it in measured instead")
    found = [fields[name].senml_name for name in decoded.values] + [each.name for each in decoded.measured]
    if not found:
        raise Malformed("nothing was measured")
    if len(found) > MAX_FIELDS:
        raise Malformed(f"{len(found)} values in one reading; at most {MAX_FIELDS}")
    for name in found:
        if not _NAME.fullmatch(name) or name in _RESERVED or found.count(name) > 1:
            raise Malformed(f"{name!r} is used twice, or no name for SenML")
    for value in [*decoded.values.values(), *(each.value for each in decoded.measured)]:
        if isinstance(value, float) and not math.isfinite(value):
            raise Malformed(f"{value} is no measured value")
        if isinstance(value, str | bytes) and len(value) > MAX_TEXT:
            raise Malformed(f"a value of {len(value)} characters; at most {MAX_TEXT}")
