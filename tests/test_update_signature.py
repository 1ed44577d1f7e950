# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""ECDSA over P-256 as boards verify it: published and edge-case vectors on both interpreters, and against OpenSSL."""

import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.node import p256
from provisioning.updates import release
from tests.test_node_app import run

VECTORS = Path(__file__).parent / "vectors" / "update" / "p256_verify.json"
CASES = json.loads(VECTORS.read_text())["cases"]
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.mark.parametrize("case", CASES, ids=[case["what"] for case in CASES])
def test_vectors(case: dict[str, object]) -> None:
    parts = [bytes.fromhex(str(case[name])) for name in ("public", "digest", "signature")]
    assert p256.verify(*parts) is case["valid"]


def test_the_vectors_hold_on_micropython_too(micropython: Path) -> None:
    run(micropython, "p256.py", str(VECTORS))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, ORDER - 1), st.binary(max_size=200), st.integers(0, 511))
def test_what_openssl_signs_verifies_and_one_bit_more_does_not(secret: int, message: bytes, bit: int) -> None:
    key = ec.derive_private_key(secret, ec.SECP256R1())
    r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    public, digest = release.public_bytes(key.public_key()), hashlib.sha256(message).digest()
    assert p256.verify(public, digest, signature)
    bad = bytearray(signature)
    bad[bit // 8] ^= 1 << bit % 8
    assert not p256.verify(public, digest, bytes(bad))
    wrong = bytearray(digest)
    wrong[bit // 16] ^= 1 << bit % 8
    assert not p256.verify(public, bytes(wrong), signature)


def test_it_works_in_pieces_so_that_others_have_their_turn() -> None:
    case = next(case for case in CASES if case["valid"])
    told = list(p256.steps(*(bytes.fromhex(case[name]) for name in ("public", "digest", "signature"))))
    assert told[-1] is True
    assert set(told[:-1]) == {None}
    assert len(told) == 65
