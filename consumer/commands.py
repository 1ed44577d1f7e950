# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Signed commands: whoever the city's register lists tells a gateway what some devices are to do, and until when.

A command is a COSE_Sign1 (RFC 9052) of type `application/lykta-command+cbor` (header 16, RFC 9596), signed with
Ed25519. Its claims (RFC 9597) say who orders (iss), which gateway (aud), until when it may reach a device (exp), when
it was given (iat) and its id (cti, 16 random bytes). The payload is a map: 1 the DevEUIs, 2 the verb, 3 its arguments,
and 4 true where it is only to be tried. One id has one effect, however often the message comes.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Final

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from consumer import cose, strict_cbor
from consumer.errors import Malformed

TYPE: Final = "application/lykta-command+cbor"
MAX_BYTES: Final = 65_536
MAX_DEVICES: Final = 1000
MAX_LIFE_S: Final = 7 * 24 * 3600
ID_BYTES: Final = 16
ISS, AUD, EXP, IAT, CTI = 1, 3, 4, 6, 7
_DEVICES, _VERB, _ARGUMENTS, _DRY_RUN = 1, 2, 3, 4
_MAX_NAME: Final = 64
_MAX_S: Final = 253_402_300_799  # the last second of the year 9999
_UNDERSTOOD: Final = frozenset({cose.ALG, cose.CWT_CLAIMS, cose.TYP})


@dataclass(frozen=True, slots=True)
class Command:
    """An order for some devices behind one gateway. Times are Unix seconds."""

    commander: str
    gateway: str
    """URN, `urn:dev:mac:` and the EUI."""
    devices: tuple[bytes, ...]
    """DevEUIs, 8 bytes each, in display order."""
    verb: str
    """`dim`, `settings.set` …: what the vocabulary of the devices' kind calls it."""
    arguments: dict[str, Any] | list[str]
    iat_s: int
    exp_s: int
    command_id: bytes
    dry_run: bool = False


def new_id() -> bytes:
    """An id for a new command."""
    return secrets.token_bytes(ID_BYTES)


def sign(command: Command, key: Ed25519PrivateKey) -> bytes:
    """The message, tag included."""
    claims = {
        ISS: command.commander,
        AUD: command.gateway,
        EXP: command.exp_s,
        IAT: command.iat_s,
        CTI: command.command_id,
    }
    protected = cbor2.dumps({cose.ALG: cose.ED25519, cose.CWT_CLAIMS: claims, cose.TYP: TYPE}, canonical=True)
    content: dict[int, Any] = {_DEVICES: list(command.devices), _VERB: command.verb, _ARGUMENTS: command.arguments}
    if command.dry_run:
        content[_DRY_RUN] = True
    payload = cbor2.dumps(content, canonical=True)
    signature = key.sign(cbor2.dumps(["Signature1", protected, b"", payload]))
    return cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature]))


class Received:
    """A message that says it is a command. `command` is what it says, true or not; `check` tells."""

    def __init__(self, message: bytes) -> None:
        """Raises Malformed."""
        if len(message) > MAX_BYTES:
            raise Malformed(f"a command of {len(message)} bytes; at most {MAX_BYTES} are read")
        self._sign1 = cose.parse(message)
        cose.check_critical(self._sign1, _UNDERSTOOD)
        if self._sign1.protected.get(cose.TYP) != TYPE:
            raise Malformed(f"type {str(self._sign1.protected.get(cose.TYP))[:60]!r}; {TYPE} is expected")
        self.command = _read(self._sign1)

    def check(self, public_key: bytes) -> None:
        """Check the signature with the commander's key, 32 bytes. Raises NotAuthentic, UnsupportedAlgorithm."""
        key = Ed25519PublicKey.from_public_bytes(public_key)
        cose.check_signature(self._sign1, key, allowed=frozenset({cose.ED25519}))


def _read(sign1: cose.Sign1) -> Command:
    claims = sign1.protected.get(cose.CWT_CLAIMS)
    if not isinstance(claims, dict):
        raise Malformed("the CWT claims are missing (RFC 9597)")
    commander, gateway = (_text(claims.get(label), what) for label, what in ((ISS, "iss"), (AUD, "aud")))
    exp_s, iat_s = (_seconds(claims.get(label), what) for label, what in ((EXP, "exp"), (IAT, "iat")))
    command_id = claims.get(CTI)
    if not isinstance(command_id, bytes) or len(command_id) != ID_BYTES:
        raise Malformed(f"the id of a command (cti) is {ID_BYTES} bytes")
    content = strict_cbor.loads(sign1.payload)
    if not isinstance(content, dict) or not {_DEVICES, _VERB, _ARGUMENTS} <= set(content) <= {1, 2, 3, 4}:
        raise Malformed("the payload of a command is a map of the labels 1, 2 and 3, and perhaps 4")
    arguments = content[_ARGUMENTS]
    names = arguments if isinstance(arguments, list) else list(arguments) if isinstance(arguments, dict) else [None]
    if not all(isinstance(name, str) for name in names):
        raise Malformed("the arguments of a command are a map or a list of names")
    if content.get(_DRY_RUN, True) is not True:
        raise Malformed("label 4 of a command is true or not there")
    devices = _devices(content[_DEVICES])
    verb = _text(content[_VERB], "verb")
    return Command(commander, gateway, devices, verb, arguments, iat_s, exp_s, command_id, _DRY_RUN in content)


def _devices(value: object) -> tuple[bytes, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_DEVICES:
        raise Malformed(f"a command names 1 to {MAX_DEVICES} devices")
    if not all(isinstance(each, bytes) and len(each) == 8 for each in value) or len(set(value)) < len(value):
        raise Malformed("the devices of a command are DevEUIs of 8 bytes, each once")
    return tuple(value)


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_NAME or not value.isprintable():
        raise Malformed(f"{what} of a command is not a text of 1 to {_MAX_NAME} characters")
    return value


def _seconds(value: object, what: str) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_S:
        raise Malformed(f"{what} of a command is not a Unix time in whole seconds")
    return value
