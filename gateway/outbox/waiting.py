# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How much waits in the outbox for each platform, and since when: counted by ids, not by rows, so it costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cbor2

if TYPE_CHECKING:
    from gateway.outbox.store import Outbox

_CWT_CLAIMS, _IAT = 15, 6


@dataclass(frozen=True, slots=True)
class Waiting:
    """What one platform has still to take."""

    envelopes: int
    since_s: float | None
    """When the oldest of it was sealed, Unix time; None when nothing waits."""


def waiting(outbox: Outbox, platform: str) -> Waiting:
    """Return what waits for a platform. In the thread that owns the outbox."""
    last = outbox.last()
    spans = [(after, min(upto, last)) for after, upto in outbox.lanes(platform).spans() if after < last]
    rows = next((found for after, upto in spans if (found := outbox.read(after, 1, upto))), [])
    envelopes = sum(upto - after for after, upto in spans)
    return Waiting(envelopes if rows else 0, sealed_at_s(rows[0].message) if rows else None)


def sealed_at_s(message: bytes) -> float | None:
    """Return the time of issue in an envelope's protected header; None where there is none."""
    try:
        protected = cbor2.loads(cbor2.loads(message).value[0])
        return float(protected[_CWT_CLAIMS][_IAT])
    except (ValueError, TypeError, LookupError, AttributeError, cbor2.CBORDecodeError):
        return None
