# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Cayenne Low Power Payload: channel, type, value, and again, big-endian.

The types of myDevices' description (IPSO object 3200 + type), and those that the open-source libraries added since:
100, 116 to 133, 142. A field's name is the quantity and the channel: ``temperature_3``.
"""

from __future__ import annotations

from typing import NamedTuple

from firmware.wire.errors import Malformed
from gateway.records.decoders import Decoded
from gateway.records.reading import Measured


class _Part(NamedTuple):
    """One number: quantity, bytes, unit for one step, SenML unit; ``bool`` in place of a step is a truth value."""

    name: str
    size: int
    step: float | type[bool]
    unit: str | None
    signed: bool = False


_G = 9.80665  # m/s2
_TYPES: dict[int, tuple[_Part, ...]] = {
    0: (_Part("digital_input", 1, 1, None),),
    1: (_Part("digital_output", 1, 1, None),),
    2: (_Part("analog_input", 2, 0.01, None, signed=True),),
    3: (_Part("analog_output", 2, 0.01, None, signed=True),),
    100: (_Part("generic", 4, 1, None),),
    101: (_Part("illuminance", 2, 1, "lx"),),
    102: (_Part("presence", 1, bool, None),),
    103: (_Part("temperature", 2, 0.1, "Cel", signed=True),),
    104: (_Part("humidity", 1, 0.5, "%RH"),),
    113: tuple(_Part(f"acceleration_{axis}", 2, 0.001 * _G, "m/s2", signed=True) for axis in "xyz"),
    115: (_Part("pressure", 2, 10, "Pa"),),
    116: (_Part("voltage", 2, 0.01, "V"),),
    117: (_Part("current", 2, 0.001, "A"),),
    118: (_Part("frequency", 4, 1, "Hz"),),
    120: (_Part("percentage", 1, 0.01, "/"),),
    121: (_Part("altitude", 2, 1, "m", signed=True),),
    125: (_Part("concentration", 2, 1, "ppm"),),
    128: (_Part("power", 2, 1, "W"),),
    130: (_Part("distance", 4, 0.001, "m"),),
    131: (_Part("energy", 4, 1, "Wh"),),
    132: (_Part("direction", 2, 1, "deg"),),
    133: (_Part("unixtime", 4, 1, "s"),),
    134: tuple(_Part(f"rotation_deg_per_s_{axis}", 2, 0.01, None, signed=True) for axis in "xyz"),
    135: tuple(_Part(f"colour_{part}", 1, 1, None) for part in ("red", "green", "blue")),
    136: (
        _Part("latitude", 3, 0.0001, "lat", signed=True),
        _Part("longitude", 3, 0.0001, "lon", signed=True),
        _Part("gps_altitude", 3, 0.01, "m", signed=True),
    ),
    142: (_Part("switch", 1, bool, None),),
}
_DECIMALS = 6


def decode(fport: int, payload: bytes) -> Decoded:
    """Read a whole payload; the FPort says nothing here. Raises wire Malformed for an unknown type, or half a value."""
    del fport
    found = []
    at = 0
    while at < len(payload):
        if at + 2 > len(payload):
            raise Malformed("Cayenne LPP: a channel without its type")
        channel, kind = payload[at], payload[at + 1]
        at += 2
        if kind not in _TYPES:
            raise Malformed(f"Cayenne LPP: type {kind} of channel {channel} is not known, so its length is not either")
        for part in _TYPES[kind]:
            data = payload[at : at + part.size]
            if len(data) < part.size:
                raise Malformed(f"Cayenne LPP: {part.name} of channel {channel} has {len(data)} of {part.size} bytes")
            found.append(Measured(f"{part.name}_{channel}", _value(part, data), part.unit))
            at += part.size
    return Decoded(measured=tuple(found))


def _value(part: _Part, data: bytes) -> float | bool:
    raw = int.from_bytes(data, "big", signed=part.signed)
    if isinstance(part.step, type):
        return raw != 0
    return round(raw * part.step, _DECIMALS)
