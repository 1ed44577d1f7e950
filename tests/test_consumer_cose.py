# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""COSE_Sign1 against the COSE working group's examples, with a second library on the same messages."""

from __future__ import annotations

import gc
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cwt import COSE, COSEKey, CWTError

from consumer import cose, strict_cbor
from consumer.errors import ConsumerError, Malformed, NotAuthentic, UnsupportedAlgorithm
from tests.signing_gateway import City, pack

VECTORS = json.loads((Path(__file__).parent / "vectors/cose/sign1.json").read_text())
CASES = {case["name"]: case for case in VECTORS["cases"]}


def public_key(name: str) -> Any:
    return COSEKey.from_jwk(VECTORS["keys"][name]).key


def signature_fits(sign1: cose.Sign1, case: dict[str, str]) -> bool:
    """Whether the signature fits what our parser says is signed, by cryptography alone."""
    message = sign1.to_be_signed(bytes.fromhex(case["external_aad"]))
    key = public_key(case["key"])
    try:
        if case["key"] == "ed25519":
            key.verify(sign1.signature, message)
        else:
            r, s = (int.from_bytes(half, "big") for half in (sign1.signature[:32], sign1.signature[32:]))
            key.verify(encode_dss_signature(r, s), message, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize("name", CASES)
def test_working_group_example(name: str) -> None:
    case = CASES[name]
    message = bytes.fromhex(case["message"])
    if case["verdict"] in ("untagged", "wrong tag"):
        with pytest.raises(Malformed, match="tag 18"):
            cose.parse(message)
        return
    sign1 = cose.parse(message)
    as_listed = sign1.to_be_signed(bytes.fromhex(case["external_aad"])) == bytes.fromhex(case["to_be_signed"])
    assert signature_fits(sign1, case) == (case["verdict"] == "valid")
    assert as_listed == (case["verdict"] == "valid")


@pytest.mark.parametrize("name", CASES)
def test_second_library_agrees(name: str) -> None:
    case = CASES[name]
    key = COSEKey.from_jwk({**VECTORS["keys"][case["key"]], "kid": "11"})
    decode = COSE.new().decode
    arguments = (bytes.fromhex(case["message"]), key)
    aad = bytes.fromhex(case["external_aad"])
    if case["verdict"] == "valid":
        assert decode(*arguments, external_aad=aad) == b"This is the content."
    elif case["verdict"] != "untagged":  # it takes a message without its tag; our profile does not
        with pytest.raises((CWTError, ValueError)):
            decode(*arguments, external_aad=aad)


def test_eddsa_is_accepted_by_option_only() -> None:
    sign1 = cose.parse(bytes.fromhex(CASES["eddsa-sig-01"]["message"]))
    key = public_key("ed25519")
    cose.check_signature(sign1, key, allowed=cose.ALLOWED | {cose.EDDSA})
    with pytest.raises(UnsupportedAlgorithm, match="-8"):
        cose.check_signature(sign1, key)


def test_es256_is_not_on_the_list() -> None:
    sign1 = cose.parse(bytes.fromhex(CASES["sign-pass-02"]["message"]))
    with pytest.raises(UnsupportedAlgorithm, match="-7"):
        cose.check_signature(sign1, public_key("p256"), external_aad=bytes.fromhex("11aa22bb33cc44dd55006699"))


def test_second_library_verifies_our_test_gateway() -> None:
    gateway = City().gateway()
    message = gateway.sign_next(3)
    key = COSEKey.new({1: 1, -1: 6, 3: -19, -2: gateway.key.public_key().public_bytes_raw()})
    assert COSE.new().decode(message, key) == pack([("70b3d57ed0001234", seq) for seq in (1, 2, 3)])


def test_esp256_signature_and_its_wrong_lengths() -> None:
    key = generate_private_key(SECP256R1())
    protected = cbor2.dumps({1: -9})
    signed = cbor2.dumps(["Signature1", protected, b"", b"x"])
    r, s = decode_dss_signature(key.sign(signed, ECDSA(SHA256())))
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    good = cose.parse(cbor2.dumps(cbor2.CBORTag(18, [protected, {}, b"x", signature])))
    cose.check_signature(good, key.public_key())
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(64), signature[32:] + signature[:32]):
        bad = cose.parse(cbor2.dumps(cbor2.CBORTag(18, [protected, {}, b"x", wrong])))
        with pytest.raises(NotAuthentic):
            cose.check_signature(bad, key.public_key())
    with pytest.raises(UnsupportedAlgorithm, match="does not fit"):
        cose.check_signature(good, City().key.public_key())


@pytest.mark.parametrize(
    ("protected", "unprotected", "refused"),
    [
        ({2: [99], 99: 1}, {}, "not understood"),
        ({2: []}, {}, "not a list"),
        ({2: 1}, {}, "not a list"),
        ({2: [3]}, {}, "not in the protected"),
        ({2: [True], 1: -19}, {}, "not understood"),
        ({1: -19}, {2: [1]}, "must be protected"),
    ],
)
def test_critical_headers(protected: dict[int, Any], unprotected: dict[int, Any], refused: str) -> None:
    message = cbor2.dumps(cbor2.CBORTag(18, [cbor2.dumps(protected), unprotected, b"", b""]))
    with pytest.raises(Malformed, match=refused):
        cose.check_critical(cose.parse(message), frozenset({1, 3}))


def test_label_in_both_headers_is_refused() -> None:
    message = cbor2.dumps(cbor2.CBORTag(18, [cbor2.dumps({4: b"a"}), {4: b"b"}, b"", b""]))
    with pytest.raises(Malformed, match="both headers"):
        cose.parse(message)


@pytest.mark.parametrize(
    ("hexadecimal", "refused"),
    [
        ("a201010102", "repeated"),
        ("a2616100616101", "repeated"),
        ("1800", "shortest"),
        ("19000a", "shortest"),
        ("9f01ff", "indefinite"),
        ("5f4101ff", "indefinite"),
        ("1c", "reserved"),
        ("0101", "after the end"),
        ("c000", "no tag"),
        ("d81c00", "no tag"),
        ("f7", "simple value"),
        ("f820", "simple value"),
        ("a1f900000000", "neither an integer nor a text"),
        ("a1410000", "neither an integer nor a text"),
        ("62c328", "not UTF-8"),
        ("a162c32800", "not UTF-8"),
        ("62eda0", "not UTF-8"),
        ("9b7fffffffffffffff", "cut off"),
        ("bb7fffffffffffffff", "cut off"),
        ("5b7fffffffffffffff00", "cut off"),
        ("", "cut off"),
        ("82" * 9 + "00" * 10, "levels"),
    ],
)
def test_ambiguous_cbor_is_refused(hexadecimal: str, refused: str) -> None:
    with pytest.raises(Malformed, match=refused):
        strict_cbor.loads(bytes.fromhex(hexadecimal))


def test_what_is_refused_leaves_nothing_in_memory() -> None:
    """Anybody who reaches the broker may send it, as often as he likes."""
    refused = [bytes.fromhex(each) for each in ("62c328", "a162c32800", "8261ff", "a20101", "c000")]

    def objects() -> int:
        for data in refused * 100:
            with suppress(Malformed):
                strict_cbor.loads(data)
        gc.collect()
        return len(gc.get_objects())

    before = objects()
    assert objects() - before < 100


def test_long_input_is_refused_before_it_is_read() -> None:
    with pytest.raises(ConsumerError, match="at most"):
        strict_cbor.loads(bytes(strict_cbor.MAX_BYTES + 1))
    with pytest.raises(ConsumerError, match="items"):
        strict_cbor.loads(b"\x9a\x00\x02\x00\x00" + bytes(0x20000))
