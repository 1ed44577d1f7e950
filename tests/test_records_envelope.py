# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Envelopes, verified by the independent library cwt, and by the consumer that a city installs."""

import hashlib

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cwt import COSE, COSEKey
from cwt.exceptions import VerifyError

from gateway import identity
from gateway.errors import IdentityError
from gateway.records import envelope, senml
from gateway.records.reading import Reading
from provisioning import pki
from tests.gateway_rig import GATEWAY_EUI

POSITION = envelope.Position(bytes(range(8)), 5, 5, hashlib.sha256(b"before").digest())
URN = f"urn:dev:mac:{GATEWAY_EUI.hex()}"
PAYLOAD = senml.encode(
    [Reading(bytes(7) + b"\x01", 3, "street_light", 1_790_000_000, "device", {"lamp_on": True}, 1_790_000_000.0)]
)


def enrolled() -> tuple[bytes, bytes, x509.Certificate]:
    """Key and certificate (PEM) of a gateway, and the certificate."""
    ca_key, key = pki.new_key(), pki.new_key()
    ca = pki.create_ca(ca_key, "Lyktby")
    certificate = pki.issue_gateway_certificate(ca_key, ca, key.public_key(), GATEWAY_EUI, "gw")
    return pki.private_key_pem(key), pki.certificate_pem(certificate), certificate


def public_pem(certificate: x509.Certificate) -> bytes:
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return certificate.public_key().public_bytes(*form)


def test_an_independent_library_verifies_the_signature_and_reads_the_payload() -> None:
    key_pem, certificate_pem, certificate = enrolled()
    signer = identity.load(GATEWAY_EUI.hex(), key_pem, certificate_pem).signer
    message = envelope.seal(PAYLOAD, POSITION, 1_790_000_005, signer)
    tag = cbor2.loads(message)
    assert tag.tag == 18
    protected, unprotected, payload, _signature = tag.value
    assert (payload, unprotected) == (PAYLOAD, {})
    header = cbor2.loads(protected)
    assert header == {
        1: -19,
        3: 112,
        15: {1: URN, 6: 1_790_000_005},
        34: [-16, certificate.fingerprint(hashes.SHA256())],
        -65537: [POSITION.stream_id, 5, 5, POSITION.previous],
    }
    assert cbor2.dumps(header, canonical=True) == protected, "not the deterministic encoding"
    key = COSEKey.from_pem(public_pem(certificate))
    assert COSE.new().decode(message, key) == PAYLOAD
    broken = cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, bytes(64)]))
    with pytest.raises(VerifyError):
        COSE.new().decode(broken, key)


def test_the_same_input_gives_the_same_bytes() -> None:
    key_pem, certificate_pem, _ = enrolled()
    signer = identity.load(GATEWAY_EUI.hex(), key_pem, certificate_pem).signer
    first, second = (envelope.seal(PAYLOAD, POSITION, 1_790_000_005, signer) for _ in range(2))
    assert first == second
    assert envelope.digest(first) == hashlib.sha256(first).digest()


def p256_identity(names: list[x509.GeneralName]) -> tuple[EllipticCurvePrivateKey, bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([])
    start = pki.create_ca(pki.new_key(), "x").not_valid_before_utc
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, start, start.replace(year=2040))
    certificate = builder.add_extension(x509.SubjectAlternativeName(names), critical=True).sign(key, hashes.SHA256())
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key, key.private_bytes(*form), certificate.public_bytes(serialization.Encoding.PEM)


def test_a_p256_key_signs_esp256_in_the_form_that_cose_wants() -> None:
    key, key_pem, certificate_pem = p256_identity([x509.UniformResourceIdentifier(URN)])
    signer = identity.load(GATEWAY_EUI.hex(), key_pem, certificate_pem).signer
    assert signer.algorithm == -9
    signature = signer.sign(b"data")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    key.public_key().verify(encode_dss_signature(r, s), b"data", ec.ECDSA(hashes.SHA256()))
    assert len(signature) == 64


def test_a_foreign_key_a_foreign_eui_and_no_name_at_all_are_refused() -> None:
    key_pem, certificate_pem, _ = enrolled()
    other_key_pem, _, _ = enrolled()
    with pytest.raises(IdentityError, match="do not belong together"):
        identity.load(GATEWAY_EUI.hex(), other_key_pem, certificate_pem)
    with pytest.raises(IdentityError, match="0000000000000001"):
        identity.load("0000000000000001", key_pem, certificate_pem)
    with pytest.raises(IdentityError, match="PEM"):
        identity.load(GATEWAY_EUI.hex(), b"not a key", certificate_pem)
    _, p256_pem, p256_certificate = p256_identity([x509.DNSName("gateway.example")])
    with pytest.raises(IdentityError, match="nobody"):
        identity.load(GATEWAY_EUI.hex(), p256_pem, p256_certificate)
