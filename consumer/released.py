# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Single readings that a gateway released for somebody: cut down to what they may see, and signed as they are.

A message is a COSE_Sign1 with the gateway's key, of a type of its own, so that it can stand for no envelope. Its
payload is SenML in JSON (RFC 8428). It says where the whole record stands: whoever has that can compare. It is no link
of a chain: that a reading is there is proven, that none is missing is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from consumer import cose, gateway_message
from consumer.certificates import TrustStore
from consumer.commands import IAT, ISS
from consumer.errors import Malformed

TYPE: Final = "application/lykta-released+json"
SENML_JSON: Final = 110
"""CoAP content format of application/senml+json."""
RECORD: Final = -65539
"""Private-use label: [stream id, record number]."""
MAX_BYTES: Final = 16_384
_UNDERSTOOD: Final = frozenset({cose.ALG, cose.CONTENT_TYPE, cose.CWT_CLAIMS, cose.X5T, cose.TYP, RECORD})
_KIND: Final = gateway_message.Kind("released reading", TYPE, MAX_BYTES, _UNDERSTOOD, SENML_JSON)


@dataclass(frozen=True, slots=True)
class ReleasedReading:
    """What was released of one reading."""

    gateway: str
    iat_s: int
    """When it was signed, Unix time."""
    stream_id: bytes
    record: int
    """Its place in the gateway's stream: with the stream, its identity."""
    device: str
    """SenML base name."""
    time_s: float
    """Unix time, as exactly as it was released."""
    values: Mapping[str, float | bool | str]
    units: Mapping[str, str]


def headers(stream_id: bytes, record: int) -> dict[int, object]:
    """What a gateway writes into the protected header, beside algorithm, certificate, issuer and time."""
    return {cose.CONTENT_TYPE: SENML_JSON, cose.TYP: TYPE, RECORD: [stream_id, record]}


def payload(
    device: str, time_s: float, values: Mapping[str, float | bool | str], units: Mapping[str, str | None]
) -> bytes:
    """Return the SenML pack of one reading."""
    pack: list[dict[str, Any]] = []
    for name, value in values.items():
        record: dict[str, Any] = {"n": name} if pack else {"bn": device, "bt": time_s, "n": name}
        if unit := units.get(name):
            record["u"] = unit
        record["vb" if isinstance(value, bool) else "vs" if isinstance(value, str) else "v"] = value
        pack.append(record)
    return json.dumps(pack, ensure_ascii=False, separators=(",", ":")).encode()


def read(message: bytes, trust: TrustStore) -> ReleasedReading:
    """Check one message against the certificates of gateways. Raises a ConsumerError for whatever is wrong with it."""
    return gateway_message.read(message, trust, _KIND, _read)


def _read(sign1: cose.Sign1) -> ReleasedReading:
    claims, place = sign1.protected.get(cose.CWT_CLAIMS), sign1.protected.get(RECORD)
    if not isinstance(claims, dict) or not isinstance(claims.get(ISS), str) or type(claims.get(IAT)) is not int:
        raise Malformed("a released reading says who signed it (iss) and when (iat)")
    if not isinstance(place, list) or len(place) != 2 or not isinstance(place[0], bytes) or type(place[1]) is not int:
        raise Malformed("a released reading names its stream and record")
    try:
        pack = json.loads(sign1.payload)
        first = pack[0]
        device, time_s = first["bn"], first["bt"]
        values = {each["n"]: next(each[label] for label in ("v", "vb", "vs") if label in each) for each in pack}
        units = {each["n"]: str(each["u"]) for each in pack if "u" in each}
    except (ValueError, TypeError, LookupError, StopIteration) as error:
        raise Malformed(f"the payload is no SenML pack of one reading: {error!r}") from error
    named = isinstance(device, str) and isinstance(time_s, int | float) and not isinstance(time_s, bool)
    if not named or not all(
        isinstance(name, str) and isinstance(value, int | float | str) for name, value in values.items()
    ):
        raise Malformed("the payload is no SenML pack of one reading: a name, a time or a value is of another type")
    return ReleasedReading(claims[ISS], claims[IAT], place[0], place[1], device, float(time_s), values, units)
