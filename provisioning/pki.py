# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The city's certificate authority and the certificates of its gateways (X.509 v3, RFC 5280; Ed25519, RFC 8410).

The CA signs gateways directly; there are no intermediate authorities. It does no I/O: see city.py and enroll.py.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

from provisioning.errors import PkiError
from provisioning.identities import urn

CA_LIFE: Final = timedelta(days=20 * 365)
GATEWAY_LIFE: Final = timedelta(days=3 * 365)
# A gateway without a battery clock may start a little in the past; a day covers drift and time zones
# set wrong, and gives an attacker nothing, as the key did not exist before.
BACKDATE: Final = timedelta(days=1)


def new_key() -> Ed25519PrivateKey:
    """A new private key for a CA or a gateway."""
    return Ed25519PrivateKey.generate()


def create_ca(key: Ed25519PrivateKey, city: str, *, now: datetime | None = None) -> x509.Certificate:
    """The self-signed root certificate of the city."""
    now = _now(now)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, city),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{city} device authority"),
        ]
    )
    builder = _builder(name, name, key.public_key(), now, now + CA_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    return builder.sign(key, algorithm=None)


def issue_gateway_certificate(
    ca_key: Ed25519PrivateKey,
    ca_certificate: x509.Certificate,
    public_key: Ed25519PublicKey,
    eui: bytes,
    name: str,
    *,
    now: datetime | None = None,
) -> x509.Certificate:
    """A certificate that binds a gateway's key to its URN (SAN URI `urn:dev:mac:<eui>`)."""
    if ca_certificate.public_key() != ca_key.public_key():
        raise PkiError(
            "The CA certificate does not belong to the CA key.", next_step="restore ca/ from a backup of this city"
        )
    now = _now(now)
    not_after = min(now + GATEWAY_LIFE, ca_certificate.not_valid_after_utc)
    if not_after <= now:
        raise PkiError("The city's CA certificate has expired.", value=ca_certificate.not_valid_after_utc.isoformat())
    organisation = ca_certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    subject = x509.Name([*organisation, x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    builder = _builder(subject, ca_certificate.subject, public_key, now, not_after)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.UniformResourceIdentifier(urn(eui))]), critical=False
    )
    identifier = ca_certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
    )
    return builder.sign(ca_key, algorithm=None)


def fingerprint(certificate: x509.Certificate) -> bytes:
    """SHA-256 over the DER of a certificate: what an envelope names it by (RFC 9360, x5t)."""
    return certificate.fingerprint(hashes.SHA256())


def private_key_pem(key: Ed25519PrivateKey) -> bytes:
    """A private key as unencrypted PKCS #8 PEM. It is to be written with mode 0600 only."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def load_private_key(pem: bytes, name: str = "private key") -> Ed25519PrivateKey:
    """Read an Ed25519 private key from PEM. The error never holds the key."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise PkiError(f"The {name} is not an unencrypted PEM private key.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise PkiError(f"The {name} is not an Ed25519 key.", value=type(key).__name__)
    return key


def load_certificate(pem: bytes, name: str = "certificate") -> x509.Certificate:
    """Read one certificate from PEM."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise PkiError(f"The {name} is not a PEM certificate.") from error


def _now(now: datetime | None) -> datetime:
    return (now or datetime.now(UTC)).replace(microsecond=0)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: Ed25519PublicKey, now: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
