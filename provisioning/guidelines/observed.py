# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a gateway saw of a device, in the words that rules understand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Observed:
    """One device as one gateway hears it."""

    gateway: str
    """Id or EUI of the gateway."""
    dev_eui: str
    """16 lower-case hexadecimal digits."""
    registered: bool = True
    """Whether the register knows it."""
    fields: frozenset[str] = frozenset()
    """Names of the fields that it sent."""
    airtime_s_per_h: float | None = None
    """Seconds on air in the last hour; None over links without a radio."""
    silent_s: float | None = None
    """Since it was last heard; None when this gateway never heard it."""
    rejected: int = 0
    """Frames of it that failed validation: length, codec, range or counter."""
