# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Signed receipts: what a platform signs a gateway reads, and nothing else passes for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import cbor2
import cwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from consumer.errors import ConsumerError, Malformed, NotAuthentic, UntrustedCertificate
from consumer.receipts import MAX_RANGES, PrivateKey, Receipt, ReceiptReader, ReceiptSigner
from provisioning import pki
from provisioning.errors import ConfigError
from provisioning.receiving import receipt_signer
from tests.ledger_rig import claims
from tests.signing_gateway import City

GATEWAY = "urn:dev:mac:aabbccddeeff0011"
NOW = datetime.now(UTC).replace(microsecond=0)
RECEIPT = Receipt("office", GATEWAY, bytes(8), ((1, 40), (45, 60)), bytes(32), int(NOW.timestamp()))


def certificate(key: PrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "office")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(1).not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=1))
    )
    return builder.sign(key, None if not isinstance(key, ec.EllipticCurvePrivateKey) else hashes.SHA256())


KEYS: dict[str, PrivateKey] = {"Ed25519": pki.new_key(), "P-256": ec.generate_private_key(ec.SECP256R1())}
CERTIFICATES = {name: certificate(key) for name, key in KEYS.items()}
READER = ReceiptReader(GATEWAY, list(CERTIFICATES.values()))


def sign(receipt: Receipt = RECEIPT, kind: str = "Ed25519") -> bytes:
    return ReceiptSigner("office", KEYS[kind], CERTIFICATES[kind]).sign(receipt)


@pytest.mark.parametrize("kind", KEYS)
def test_what_a_platform_signs_a_gateway_reads(kind: str) -> None:
    assert READER.read(sign(kind=kind)) == RECEIPT


@pytest.mark.parametrize("kind", KEYS)
def test_another_library_checks_the_signature(kind: str) -> None:
    message = sign(kind=kind)
    protected, payload = claims(message)
    assert protected[15] == {1: "office", 3: GATEWAY, 6: RECEIPT.iat_s}
    assert payload == {1: bytes(8), 2: [[1, 40], [45, 60]], 3: bytes(32)}
    # cwt does not know -19 and -9 under every version: give it the key with the algorithm that the message names
    public = KEYS[kind].public_key()
    key = cwt.COSEKey.new({1: 1, -1: 6, 3: -19, -2: public.public_bytes_raw()}) if kind == "Ed25519" else None
    if key is not None:
        assert cbor2.loads(cwt.COSE.new().decode(message, key)) == payload


spans = st.lists(st.tuples(st.integers(1, 2**40), st.integers(0, 2**20)), max_size=MAX_RANGES)


@given(spans, st.binary(min_size=8, max_size=8))
def test_any_ranges_come_back(found: list[tuple[int, int]], stream_id: bytes) -> None:
    held: list[tuple[int, int]] = []
    for first, length in sorted(found):
        if not held or first > held[-1][1]:
            held.append((first, first + length))
    receipt = Receipt("office", GATEWAY, stream_id, tuple(held), b"", RECEIPT.iat_s)
    assert READER.read(sign(receipt)) == receipt


@given(st.data())
def test_no_changed_byte_passes(data: st.DataObject) -> None:
    message = bytearray(sign())
    place = data.draw(st.integers(0, len(message) - 1))
    message[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ConsumerError):
        READER.read(bytes(message))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(ConsumerError):
        READER.read(data)


def test_a_stranger_another_gateway_and_another_time_are_refused() -> None:
    stranger = pki.new_key()
    with pytest.raises(UntrustedCertificate, match="nobody pinned"):
        READER.read(ReceiptSigner("office", stranger, certificate(stranger)).sign(RECEIPT))
    with pytest.raises(UntrustedCertificate, match="is for urn:dev:mac:0000000000000001"):
        READER.read(sign(Receipt("office", "urn:dev:mac:0000000000000001", bytes(8), (), b"", RECEIPT.iat_s)))
    with pytest.raises(UntrustedCertificate, match="not valid when it signed"):
        READER.read(sign(Receipt("office", GATEWAY, bytes(8), (), b"", RECEIPT.iat_s + 3 * 86400)))


def test_a_signed_envelope_is_no_receipt() -> None:
    gateway = City().gateway()
    reader = ReceiptReader(GATEWAY, [gateway.certificate])
    with pytest.raises(Malformed, match="type"):
        reader.read(gateway.sign_next())


@pytest.mark.parametrize("held", [[[2, 1]], [[0, 3]], [[1, 5], [5, 6]], [[1, True]], [[1]], "x", [[1, 2]] * 65])
def test_ranges_that_make_no_sense_are_refused(held: object) -> None:
    signer = ReceiptSigner("office", KEYS["Ed25519"], CERTIFICATES["Ed25519"])
    protected = cbor2.loads(signer.sign(RECEIPT)).value[0]
    payload = cbor2.dumps({1: bytes(8), 2: held, 3: b""}, canonical=True)
    signature = KEYS["Ed25519"].sign(cbor2.dumps(["Signature1", protected, b"", payload]))  # type: ignore[call-arg]
    with pytest.raises(Malformed):
        READER.read(cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature])))


def test_a_signature_of_another_length_is_not_authentic() -> None:
    protected, unprotected, payload, signature = cbor2.loads(sign(kind="P-256")).value
    with pytest.raises(NotAuthentic, match="64 bytes"):
        READER.read(cbor2.dumps(cbor2.CBORTag(18, [protected, unprotected, payload, signature[:-1]])))


def test_the_key_of_a_platform_is_made_once_and_kept_private(tmp_path: Path) -> None:
    signer, path = receipt_signer("office", tmp_path / "keys")
    again, _ = receipt_signer("office", tmp_path / "keys")
    assert path.with_name("office.key.pem").stat().st_mode & 0o777 == 0o600
    pinned = [pki.load_certificate(path.read_bytes())]
    for each in (signer, again):
        assert ReceiptReader(GATEWAY, pinned).read(each.sign(RECEIPT)) == RECEIPT
    with pytest.raises(ConfigError, match="no name"):
        receipt_signer("../office", tmp_path)
    (tmp_path / "keys" / "office.key.pem").unlink()
    with pytest.raises(ConfigError, match="another key"):
        receipt_signer("office", tmp_path / "keys")
