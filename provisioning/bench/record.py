# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The signed record of a board that left the bench: a COSE_Sign1 (RFC 9052) in the log of the register.

Protected header: algorithm Ed25519 (-19), content type `application/json`, x5t (RFC 9360) of the bench's certificate,
which the city's authority has signed and which can sign nothing else: its name is no device's and no gateway's.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import cbor2
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

from consumer import cose
from consumer.errors import ConsumerError
from provisioning import pki
from provisioning.city import City
from provisioning.errors import PkiError, UnknownDevice
from provisioning.private_files import PUBLIC_MODE, write_new
from provisioning.register import log
from provisioning.register.spelling import canonical
from provisioning.registry import Registry
from provisioning.secret_refs import load_secret

ACTION: Final = "device.enroll"
FOLDER: Final = "bench"
_KEY: Final = "bench.key.pem"
_CERTIFICATE: Final = "bench.cert.pem"
_CONTEXT: Final = b"lykta/bench-record/1"
_URI: Final = "urn:lykta:bench"
_LIFE: Final = timedelta(days=825)
_X5T: Final = 34
_SHA256: Final = -16
_JSON: Final = 50
_SIGN1_TAG: Final = 18


class Signer:
    """The bench's key and certificate, made when there is none."""

    def __init__(self, key: Ed25519PrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self.certificate = certificate

    @classmethod
    def of(cls, city: City) -> Signer:
        """Open, or make, the signer of a city's bench. Raises PkiError."""
        folder = city.home / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        if not (folder / _CERTIFICATE).exists():
            key = pki.new_key() if not (folder / _KEY).exists() else _load(folder)
            if not (folder / _KEY).exists():
                write_new(folder / _KEY, pki.private_key_pem(key))
            write_new(folder / _CERTIFICATE, pki.certificate_pem(_issue(city, key)), PUBLIC_MODE)
        certificate = pki.load_certificate((folder / _CERTIFICATE).read_bytes(), "bench's certificate")
        if certificate.not_valid_after_utc <= datetime.now(UTC):
            raise PkiError(
                "The bench's certificate has expired.",
                value=certificate.not_valid_after_utc.date(),
                next_step=f"move {folder / _CERTIFICATE} away; the next enrollment makes a new one",
            )
        return cls(_load(folder), certificate)

    def sign(self, facts: dict[str, Any]) -> bytes:
        """The facts of one board as a COSE_Sign1 message."""
        header = {cose.ALG: cose.ED25519, cose.CONTENT_TYPE: _JSON, _X5T: [_SHA256, pki.fingerprint(self.certificate)]}
        protected = cbor2.dumps(header, canonical=True)
        payload = canonical(facts).encode()
        signature = self._key.sign(cbor2.dumps(["Signature1", protected, _CONTEXT, payload]))
        return cbor2.dumps(cbor2.CBORTag(_SIGN1_TAG, [protected, {}, payload, signature]))


def store(registry: Registry, dev_eui: str, envelope: bytes, certificate: x509.Certificate) -> None:
    """Put a record into the register's log, with the certificate that it can be checked by."""
    body = {
        "record": base64.b64encode(envelope).decode(),
        "certificate": pki.certificate_pem(certificate).decode(),
    }
    with registry.change() as change:
        change.log(ACTION, dev_eui, body)


def stored(registry: Registry, ca: x509.Certificate, dev_eui: str) -> list[dict[str, Any]]:
    """The records of a device, oldest first, each checked against the city's authority.

    Raises UnknownDevice when there is none, PkiError for one that is not authentic.
    """
    with registry.reading() as connection:
        entries = [each for each in log.entries(connection, subject=dev_eui) if each.action == ACTION]
    if not entries:
        raise UnknownDevice(
            "No bench record of this device is in the register.",
            value=dev_eui,
            reason="Its board was never enrolled, or by lykta board make.",
            next_step="lykta enroll PORT --device DEV_EUI",
        )
    return [checked(base64.b64decode(each.body["record"]), each.body["certificate"].encode(), ca) for each in entries]


def checked(envelope: bytes, certificate_pem: bytes, ca: x509.Certificate) -> dict[str, Any]:
    """The facts of a record whose signature and certificate are right. Raises PkiError."""
    certificate = pki.load_certificate(certificate_pem, "bench's certificate")
    try:
        certificate.verify_directly_issued_by(ca)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if names.get_values_for_type(x509.UniformResourceIdentifier) != [_URI]:
            raise _not_authentic("its certificate is not a bench's")
        message = cose.parse(envelope)
        key = certificate.public_key()
        if not isinstance(key, Ed25519PublicKey):
            raise _not_authentic("its key is not of Ed25519")
        cose.check_signature(message, key, allowed=frozenset({cose.ED25519}), external_aad=_CONTEXT)
        facts: dict[str, Any] = json.loads(message.payload)
    except (ConsumerError, InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound) as error:
        if isinstance(error, PkiError):
            raise
        raise _not_authentic(str(error) or type(error).__name__) from error
    return facts


def _load(folder: Path) -> Ed25519PrivateKey:
    return pki.load_private_key(load_secret(f"file:{folder / _KEY}", folder), "bench's key")


def _issue(city: City, key: Ed25519PrivateKey) -> x509.Certificate:
    ca = city.ca_certificate()
    now = datetime.now(UTC).replace(microsecond=0)
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{city.config.city.name} bench"[:64])])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(min(now + _LIFE, ca.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(_URI)]), critical=False)
        .sign(city.ca_key(), algorithm=None)
    )


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate, for people."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _not_authentic(why: str) -> PkiError:
    return PkiError("A bench record is not authentic.", value=why, reason="Somebody changed it, or made it up.")
