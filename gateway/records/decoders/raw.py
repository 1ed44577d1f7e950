# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Any sensor: the payload as it came, for a platform that has the vendor's own decoder. SenML data value (``vd``)."""

from __future__ import annotations

from gateway.records.decoders import Decoded
from gateway.records.reading import Measured


def decode(fport: int, payload: bytes) -> Decoded:
    """Return FPort and payload."""
    return Decoded(measured=(Measured("fport", fport), Measured("payload", payload)))
