# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A gateway of the tests: it signs envelopes with cbor2 and cryptography alone, as the standards say or as asked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from provisioning import pki

EUI = bytes.fromhex("aabbccddeeff0011")
STREAM_ID = bytes(range(8))
DEVICE = "70b3d57ed0001234"
TIME_S = 1_790_000_000


@dataclass
class City:
    """An authority made for a test."""

    key: Ed25519PrivateKey = field(default_factory=pki.new_key)

    def __post_init__(self) -> None:
        self.certificate = pki.create_ca(self.key, "Lyktby")

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def gateway(self, eui: bytes = EUI) -> SigningGateway:
        key = pki.new_key()
        return SigningGateway(
            key, pki.issue_gateway_certificate(self.key, self.certificate, key.public_key(), eui, "gw"), eui
        )


@dataclass
class SigningGateway:
    """Signs envelope after envelope of one stream."""

    key: Ed25519PrivateKey
    certificate: x509.Certificate
    eui: bytes
    stream_id: bytes = STREAM_ID
    next_record: int = 1
    previous: bytes = b""
    next_seq: int = 1

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def iat_s(self) -> int:
        return int(self.certificate.not_valid_before_utc.timestamp()) + 3600

    def sign(self, readings: list[tuple[str, int]]) -> bytes:
        """The next envelope of the stream, with readings of (DevEUI, seq)."""
        first, last = self.next_record, self.next_record + len(readings) - 1
        message = self.envelope(pack(readings), [self.stream_id, first, last, self.previous])
        self.next_record, self.previous = last + 1, hashlib.sha256(message).digest()
        return message

    def sign_next(self, count: int = 1, device: str = DEVICE) -> bytes:
        """The next envelope, with `count` new readings of one device."""
        seqs = range(self.next_seq, self.next_seq + count)
        self.next_seq += count
        return self.sign([(device, seq) for seq in seqs])

    def headers(self, position: list[Any]) -> dict[Any, Any]:
        """The protected header as the profile wants it."""
        return {
            1: -19,
            3: 112,
            15: {1: f"urn:dev:mac:{self.eui.hex()}", 6: self.iat_s},
            34: [-16, self.certificate.fingerprint(hashes.SHA256())],
            -65537: position,
        }

    def envelope(
        self,
        payload: bytes,
        position: list[Any],
        changes: Mapping[Any, Any] | None = None,
        unprotected: Mapping[Any, Any] | None = None,
    ) -> bytes:
        """Sign a payload; `changes` replace protected headers, None takes one away."""
        headers = {**self.headers(position), **(changes or {})}
        return self.sign_raw(
            cbor2.dumps({label: value for label, value in headers.items() if value is not None}),
            payload,
            dict(unprotected or {}),
        )

    def sign_raw(self, protected: bytes, payload: bytes, unprotected: dict[Any, Any] | None = None) -> bytes:
        """Sign any bytes as protected header and payload."""
        to_be_signed = cbor2.dumps(["Signature1", protected, b"", payload])
        return cbor2.dumps(cbor2.CBORTag(18, [protected, unprotected or {}, payload, self.key.sign(to_be_signed)]))


def pack(readings: list[tuple[str, int]]) -> bytes:
    """A SenML pack of readings by (DevEUI, seq), each a second after the one before."""
    records: list[dict[int, Any]] = []
    for index, (device, seq) in enumerate(readings):
        records.append({-2: f"urn:dev:mac:{device}_", -3: TIME_S + index, 0: "seq", 2: seq})
        records.append({0: "lamp_on", 4: True})
        records.append({0: "power", 1: "W", 2: 41.5})
    return cbor2.dumps(records)
