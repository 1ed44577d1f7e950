# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a gateway answers to a signed command, signed with the key that it signs readings with.

A COSE_Sign1 (RFC 9052) of type `application/lykta-result+cbor` (header 16, RFC 9596); the claims (RFC 9597) say which
gateway answers (iss), whom (aud), when (iat), and which command (cti); x5t names the gateway's certificate. The
payload is a map: 1 the DevEUI, missing where the answer is about the command as a whole, 2 the state, 3 why in words,
4 what the device said, by name, 5 the devices that were left out, with the reason for each, 6 (of a command as a whole)
the SHA-256 of the message that is answered: whoever waits for an answer to another one ignores it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from consumer import cose, gateway_message, strict_cbor
from consumer.certificates import TrustStore
from consumer.commands import AUD, CTI, IAT, ID_BYTES, ISS
from consumer.errors import Malformed

TYPE: Final = "application/lykta-result+cbor"
DEVICE, STATE, WHY, ANSWER, LEFT_OUT, MESSAGE = 1, 2, 3, 4, 5, 6
FINAL: Final = frozenset({"refused", "allowed", "done", "failed", "expired", "unanswered"})
"""States after which nothing more comes; `queued` is the other one."""
STATES: Final = FINAL | {"queued"}
MAX_BYTES: Final = 131_072
_UNDERSTOOD: Final = frozenset({cose.ALG, cose.CWT_CLAIMS, cose.X5T, cose.TYP})
_KIND: Final = gateway_message.Kind("result", TYPE, MAX_BYTES, _UNDERSTOOD)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a command, for one device or, with `device` None, as a whole."""

    gateway: str
    commander: str
    command_id: bytes
    iat_s: int
    device: bytes | None
    state: str
    why: str = ""
    answer: Mapping[str, Any] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Of a whole command: DevEUIs in hexadecimal digits, and why."""
    message: bytes = b""
    """Of a whole command: SHA-256 of the message that is answered."""

    @property
    def final(self) -> bool:
        """Whether nothing more comes about this."""
        return self.state in FINAL


def headers(gateway: str, commander: str, command_id: bytes, iat_s: int) -> dict[int, Any]:
    """What a gateway writes into the protected header, beside algorithm and certificate."""
    return {cose.CWT_CLAIMS: {ISS: gateway, AUD: commander, IAT: iat_s, CTI: command_id}, cose.TYP: TYPE}


def read(message: bytes, trust: TrustStore) -> Result:
    """Check one message against the certificates of gateways. Raises a ConsumerError for whatever is wrong with it."""
    return gateway_message.read(message, trust, _KIND, _read)


def _read(sign1: cose.Sign1) -> Result:
    claims = sign1.protected.get(cose.CWT_CLAIMS)
    if not isinstance(claims, dict):
        raise Malformed("the CWT claims are missing (RFC 9597)")
    gateway, commander, iat_s, command_id = (claims.get(label) for label in (ISS, AUD, IAT, CTI))
    if not isinstance(gateway, str) or not isinstance(commander, str) or type(iat_s) is not int or iat_s < 0:
        raise Malformed("a result says who answers (iss), whom (aud) and when (iat)")
    if not isinstance(command_id, bytes) or len(command_id) != ID_BYTES:
        raise Malformed(f"a result names its command (cti) with {ID_BYTES} bytes")
    content = strict_cbor.loads(sign1.payload)
    if not isinstance(content, dict) or not set(content) <= {DEVICE, STATE, WHY, ANSWER, LEFT_OUT, MESSAGE}:
        raise Malformed("the payload of a result is a map of the labels 1 to 6")
    device, state, why = content.get(DEVICE), content.get(STATE), content.get(WHY, "")
    answer, left_out, digest = content.get(ANSWER, {}), content.get(LEFT_OUT, {}), content.get(MESSAGE, b"")
    if device is not None and (not isinstance(device, bytes) or len(device) != 8):
        raise Malformed("the device of a result is no DevEUI of 8 bytes")
    if state not in STATES or not isinstance(why, str):
        raise Malformed(f"state {str(state)[:40]!r} of a result is none of {', '.join(sorted(STATES))}")
    if not isinstance(answer, dict) or not isinstance(left_out, dict):
        raise Malformed("labels 4 and 5 of a result are maps")
    if not isinstance(digest, bytes) or len(digest) != (32 if device is None else 0):
        raise Malformed("label 6 of a result is the SHA-256 of a command, where it is about the command as a whole")
    return Result(gateway, commander, command_id, iat_s, device, state, why, answer, left_out, digest)
