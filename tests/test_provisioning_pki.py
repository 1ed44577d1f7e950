# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The city's certificates, as OpenSSL and the consumer see them."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from consumer.certificates import TrustStore
from provisioning import pki
from provisioning.errors import PkiError

EUI = bytes.fromhex("aabbccddeeff0011")
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def issue(now: datetime = NOW) -> tuple[x509.Certificate, x509.Certificate]:
    ca_key, key = pki.new_key(), pki.new_key()
    authority = pki.create_ca(ca_key, "Lyktby", now=NOW)
    return authority, pki.issue_gateway_certificate(ca_key, authority, key.public_key(), EUI, "north", now=now)


def openssl(*arguments: str) -> str:
    program = shutil.which("openssl")
    if program is None:
        pytest.fail("openssl is not installed: it is the second opinion on our certificates")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_openssl_accepts_the_chain(tmp_path: Path) -> None:
    authority, certificate = issue(datetime.now(UTC))
    (tmp_path / "ca.pem").write_bytes(pki.certificate_pem(authority))
    (tmp_path / "gw.pem").write_bytes(pki.certificate_pem(certificate))
    at = str(int(NOW.timestamp()) + 3600)
    openssl("verify", "-x509_strict", "-attime", at, "-CAfile", str(tmp_path / "ca.pem"), str(tmp_path / "ca.pem"))
    moment = str(int(certificate.not_valid_before_utc.timestamp()) + 60)
    openssl("verify", "-x509_strict", "-attime", moment, "-CAfile", str(tmp_path / "ca.pem"), str(tmp_path / "gw.pem"))
    text = openssl("x509", "-in", str(tmp_path / "gw.pem"), "-noout", "-text")
    for part in (
        "Version: 3",
        "ED25519",
        "CA:FALSE",
        "Digital Signature",
        f"URI:urn:dev:mac:{EUI.hex()}",
        "O = Lyktby",
    ):
        assert part in text
    assert text.count("critical") == 2
    text = openssl("x509", "-in", str(tmp_path / "ca.pem"), "-noout", "-text")
    for part in ("CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign"):
        assert part in text


def test_validity_and_serial() -> None:
    authority, certificate = issue()
    assert certificate.not_valid_before_utc == NOW - pki.BACKDATE
    assert certificate.not_valid_after_utc == NOW + pki.GATEWAY_LIFE
    assert certificate.serial_number.bit_length() > 64
    assert certificate.serial_number != issue()[1].serial_number
    late = issue(authority.not_valid_after_utc - timedelta(days=1))[1]
    assert late.not_valid_after_utc == authority.not_valid_after_utc  # never longer than the authority
    with pytest.raises(PkiError, match="expired"):
        issue(authority.not_valid_after_utc + timedelta(days=1))


def test_the_consumer_accepts_what_the_city_issues() -> None:
    authority, certificate = issue()
    found = TrustStore([authority]).add(pki.certificate_pem(certificate))
    assert (found.gateway, found.sha256) == (f"urn:dev:mac:{EUI.hex()}", pki.fingerprint(certificate))
    found.check_valid_at(int(NOW.timestamp()))


def test_keys_and_certificates_must_fit() -> None:
    authority, _ = issue()
    with pytest.raises(PkiError, match="does not belong"):
        pki.issue_gateway_certificate(pki.new_key(), authority, pki.new_key().public_key(), EUI, "x")
    for pem in (b"", b"noise", pki.certificate_pem(authority)):
        with pytest.raises(PkiError):
            pki.load_private_key(pem)
    with pytest.raises(PkiError):
        pki.load_certificate(b"noise")
    key = pki.new_key()
    assert pki.load_private_key(pki.private_key_pem(key)).private_bytes_raw() == key.private_bytes_raw()
