# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which certificates a verifier takes: those the city issued for a gateway, and no others."""

from __future__ import annotations

import base64
import random
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from consumer.certificates import TrustStore, load_authorities
from consumer.errors import ConsumerError, LimitReached, Malformed, UntrustedCertificate
from tests.signing_gateway import EUI, City

CITY = City()
URN = f"urn:dev:mac:{EUI.hex()}"
NOW = datetime.now(UTC)


def certificate(
    *,
    key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey | None = None,
    names: list[str] | None = None,
    is_ca: bool = False,
    signs: bool = True,
    critical: bool = False,
    bare: bool = False,
) -> bytes:
    key = key or Ed25519PrivateKey.generate()
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gw")]))
        .issuer_name(CITY.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
    )
    usage = [signs, *[False] * 8]
    if not bare:
        builder = builder.add_extension(x509.BasicConstraints(is_ca, None), True)
        builder = builder.add_extension(x509.KeyUsage(*usage), True)
    uris = [x509.UniformResourceIdentifier(name) for name in ([URN] if names is None else names)]
    if uris:
        builder = builder.add_extension(x509.SubjectAlternativeName(uris), False)
    if critical:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
        builder = builder.add_extension(unknown, True)
    return builder.sign(CITY.key, None).public_bytes(serialization.Encoding.PEM)


def test_issued_certificates_are_taken() -> None:
    store = TrustStore([CITY.certificate])
    assert store.add(CITY.gateway().pem).gateway == URN
    assert store.add(certificate()).gateway == URN
    assert store.add(certificate(key=ec.generate_private_key(ec.SECP256R1()))).gateway == URN
    assert store.add(certificate(names=[URN, "https://gw.example"])).gateway == URN
    assert len(store) == 4


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"names": []}, "names no gateway"),
        ({"names": ["urn:dev:mac:aa"]}, "exactly one"),
        ({"names": [URN, "urn:dev:mac:0000000000000001"]}, "exactly one"),
        ({"is_ca": True}, "may not sign messages"),
        ({"signs": False}, "may not sign messages"),
        ({"bare": True}, "not the certificate of a gateway"),
        ({"critical": True}, "not understood"),
        ({"key": ec.generate_private_key(ec.SECP384R1())}, "neither Ed25519 nor P-256"),
    ],
)
def test_unfit_certificates_are_refused(options: dict[str, object], match: str) -> None:
    store = TrustStore([CITY.certificate])
    with pytest.raises(UntrustedCertificate, match=match):
        store.add(certificate(**options))  # type: ignore[arg-type]  # a table of keyword arguments
    assert len(store) == 0


def test_another_city_is_not_trusted() -> None:
    other = City()  # the same names, another key
    with pytest.raises(UntrustedCertificate, match="not issued"):
        TrustStore([CITY.certificate]).add(other.gateway().pem)
    both = TrustStore([other.certificate, CITY.certificate])
    assert both.add(CITY.gateway().pem).gateway == URN


def test_a_gateway_is_no_authority() -> None:
    for unfit in (CITY.gateway().certificate, x509.load_pem_x509_certificate(certificate(bare=True))):
        with pytest.raises(UntrustedCertificate, match="authority"):
            TrustStore([unfit])
    with pytest.raises(UntrustedCertificate, match="no certificate authority"):
        TrustStore([])


def test_validity_is_that_of_the_signing_time() -> None:
    found = TrustStore([CITY.certificate]).add(certificate())
    found.check_valid_at(int(NOW.timestamp()))
    for moment in (found.not_before - timedelta(seconds=1), found.not_after + timedelta(seconds=1)):
        with pytest.raises(UntrustedCertificate, match="valid from"):
            found.check_valid_at(int(moment.timestamp()))


def test_limits() -> None:
    store = TrustStore([CITY.certificate], max_gateways=1)
    pem = certificate()
    store.add(pem)
    store.add(pem)  # again the same: no further gateway
    with pytest.raises(LimitReached):
        store.add(certificate())
    with pytest.raises(Malformed, match="at most"):
        store.add(pem + b"\n" * 20_000)
    with pytest.raises(Malformed):
        load_authorities(b"no certificate")


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_mutated_certificates_never_raise_anything_else(rng: random.Random) -> None:
    store = TrustStore([CITY.certificate])
    der = x509.load_pem_x509_certificate(certificate()).public_bytes(serialization.Encoding.DER)
    refused = 0
    for _ in range(1000):
        mutated = bytearray(der)
        for _ in range(rng.randint(1, 3)):
            mutated[rng.randrange(len(mutated))] ^= 1 << rng.randrange(8)
        try:
            store.add(_pem(bytes(mutated)))
        except ConsumerError:
            refused += 1
    assert refused >= 990  # a flip that is undone by the next, or re-encodes the signature, may pass


def _pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
