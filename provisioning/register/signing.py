# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Signed papers: COSE_Sign1 (RFC 9052) with the key of whoever decided; the payload is the paper as JSON.

Protected header: algorithm Ed25519 (-19), content type `application/json`, key id = id of the role holder. The external
data of the signature names what is signed, so that a signature made for something else never counts here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, Literal

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from consumer import cose
from consumer.errors import ConsumerError
from provisioning.errors import PaperError
from provisioning.model.organisations import RoleHolder
from provisioning.model.papers import PAPER_TYPES, Paper, Signature
from provisioning.register.spelling import canonical

_KEY_ID: Final = 4
_JSON: Final = 50  # application/json in the registry of CoAP content formats
_CONTEXT: Final = b"lykta/paper/1"
_SIGN1_TAG: Final = 18
MAX_ENVELOPE_BYTES: Final = 4_000_000


def sign(paper: Paper, signer_id: str, key: Ed25519PrivateKey) -> bytes:
    """Return the paper as a COSE_Sign1 message."""
    header = {cose.ALG: cose.ED25519, cose.CONTENT_TYPE: _JSON, _KEY_ID: signer_id.encode()}
    protected = cbor2.dumps(header, canonical=True)
    payload = canonical(paper.model_dump(mode="json", exclude_none=True)).encode()
    signature = key.sign(cbor2.dumps(["Signature1", protected, _CONTEXT, payload]))
    return cbor2.dumps(cbor2.CBORTag(_SIGN1_TAG, [protected, {}, payload, signature]))


def opened(envelope: bytes, holders: Mapping[str, RoleHolder]) -> tuple[Paper, Signature]:
    """The paper in a message and what its signature is worth. Raises PaperError for what is no paper at all."""
    try:
        if len(envelope) > MAX_ENVELOPE_BYTES:
            raise _no_paper(f"it is longer than {MAX_ENVELOPE_BYTES} bytes")
        message = cose.parse(envelope)
        cose.check_critical(message, frozenset({cose.CONTENT_TYPE, _KEY_ID}))
    except ConsumerError as error:
        raise _no_paper(str(error)) from error
    paper = paper_of(message.payload)
    key_id = message.protected.get(_KEY_ID)
    signer = key_id.decode(errors="replace") if isinstance(key_id, bytes) else None
    return paper, _signature(message, paper, holders.get(signer or ""), signer)


def paper_of(payload: bytes) -> Paper:
    """The paper of a JSON payload. Raises PaperError."""
    try:
        value = json.loads(payload)
        model = PAPER_TYPES.get(str(value.get("type"))) if isinstance(value, dict) else None
        if model is None:
            raise _no_paper("its payload names no type of paper")
        return model.model_validate_json(payload)
    except (ValidationError, ValueError, RecursionError) as error:
        if isinstance(error, PaperError):
            raise
        raise _no_paper(str(error).splitlines()[0]) from error


def _signature(message: cose.Sign1, paper: Paper, holder: RoleHolder | None, signer: str | None) -> Signature:
    if holder is None:
        return Signature(status="unknown_key")
    status: Literal["valid", "invalid", "key_not_valid"] = "valid"
    try:
        public_key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(holder.public_key))
        cose.check_signature(message, public_key, allowed=frozenset({cose.ED25519}), external_aad=_CONTEXT)
    except ConsumerError:
        return Signature(status="invalid", signer=holder.id)
    if not holder.may_sign(paper.issued):
        status = "key_not_valid"
    return Signature(
        status=status,
        signer=holder.id,
        name=holder.name,
        role=holder.role,
        org=holder.org,
        delegation_ref=holder.delegation_ref,
    )


def _no_paper(why: str) -> PaperError:
    return PaperError(
        "This is not a signed approval, waiver or dialogue.",
        reason=why,
        next_step="lykta waiver sign FILE.toml --help shows how one is made",
    )
