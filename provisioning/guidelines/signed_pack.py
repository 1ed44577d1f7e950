# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A rule pack with the signature of the city: COSE_Sign1 (RFC 9052) over its TOML text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consumer import cose
from consumer.errors import ConsumerError
from provisioning.guidelines import pack as packs
from provisioning.guidelines.errors import PackError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from provisioning.guidelines.pack import Pack
    from provisioning.model.organisations import RoleHolder
    from provisioning.model.stock import Stock

CONTENT_TYPE: Final = "application/vnd.lykta.rulepack+toml"
SIGNING_ROLES: Final = frozenset({"slk", "ks"})
_KID: Final = 4  # RFC 9052, 3.1
_ISS, _IAT = 1, 6  # RFC 8392, 4
_TAG: Final = 18
_CONTEXT: Final = b"lykta/rulepack/1"
"""External data of the signature: one that was made for something else never counts here."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What the signature of a pack is worth. `problem` is the name of a message of GOV-1, None where it counts."""

    problem: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LoadedPack:
    """A pack, and the message it came in; a pack without one is not signed."""

    pack: Pack
    message: bytes | None = None
    text: str | None = None
    """Of an unsigned one; None for the proposal."""


def sign(text: str, key: Ed25519PrivateKey, signer: str, at: datetime) -> bytes:
    """The signed message of a pack's text. `signer` is the id of the role holder. Raises PackError for a bad pack."""
    packs.parse(text, "the pack")
    protected = cbor2.dumps(
        {
            cose.ALG: cose.ED25519,
            cose.CONTENT_TYPE: CONTENT_TYPE,
            _KID: signer.encode(),
            cose.CWT_CLAIMS: {_ISS: signer, _IAT: int(at.timestamp())},
        },
        canonical=True,
    )
    payload = text.encode()
    signature = key.sign(cbor2.dumps(["Signature1", protected, _CONTEXT, payload]))
    return cbor2.dumps(cbor2.CBORTag(_TAG, [protected, {}, payload, signature]))


def load(message: bytes, source: str) -> LoadedPack:
    """Read a signed pack; whether its signature counts is asked by `trust`. Raises PackError."""
    try:
        sign1 = cose.parse(message)
        cose.check_critical(sign1, frozenset({cose.CONTENT_TYPE, _KID}))
        text = sign1.payload.decode()
    except (ConsumerError, UnicodeDecodeError) as error:
        raise PackError(
            f"This is not a signed rule pack: {error}.", value=source, next_step="lykta rules sign PACK.toml makes one"
        ) from error
    if sign1.protected.get(cose.CONTENT_TYPE) != CONTENT_TYPE:
        raise PackError("This signed message is not a rule pack.", value=source)
    return LoadedPack(packs.parse(text, source), message)


def trust(loaded: LoadedPack, stock: Stock) -> Trust:
    """What the signature of a pack is worth in this city."""
    if loaded.message is None:
        return Trust("unsigned")
    sign1 = cose.parse(loaded.message)
    kid, claims = sign1.protected.get(_KID), sign1.protected.get(cose.CWT_CLAIMS)
    signer = kid.decode(errors="replace") if isinstance(kid, bytes) else ""
    issued = claims.get(_IAT) if isinstance(claims, dict) else None
    holder = next((each for each in stock.role_holders() if each.id == signer), None)
    if holder is None or type(issued) is not int:
        return Trust("unknown_signer", signer or "–")
    return _by(holder, sign1, issued)


def _by(holder: RoleHolder, sign1: cose.Sign1, issued: int) -> Trust:
    try:
        at = datetime.fromtimestamp(issued, UTC)
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(holder.public_key))
        cose.check_signature(sign1, key, external_aad=_CONTEXT)
    except (ConsumerError, ValueError, OverflowError, OSError) as error:
        return Trust("bad_signature", str(error))
    if holder.role not in SIGNING_ROLES or not holder.may_sign(at):
        return Trust("unknown_signer", f"{holder.id} ({holder.role})")
    return Trust()
