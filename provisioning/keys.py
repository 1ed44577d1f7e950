# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Device keys at rest: AES-256-GCM under the city's key-encryption key (KEK), bound to device and purpose.

Sealed secret: version byte 1, 12-byte random nonce (NIST SP 800-38D, 8.2.2), ciphertext, 16-byte tag.
The associated data is the purpose and the DevEUI, so that a row copied to another device does not open.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from provisioning.errors import SecretError, TamperedSecret

KEK_BYTES: Final = 32
APP_KEY_BYTES: Final = 16
FINGERPRINT_BYTES: Final = 16
PURPOSE_APP_KEY: Final = "app_key"
PURPOSE_CHECK: Final = "kek_check"

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_CONTEXT: Final = b"lykta/register/1/"


def new_kek() -> bytes:
    """A new KEK as it is written to its file: 64 hexadecimal digits and a line end."""
    return secrets.token_bytes(KEK_BYTES).hex().encode() + b"\n"


def parse_kek(secret: bytes) -> bytes:
    """The 32 bytes of a KEK from its 64 hexadecimal digits, or as they are when there are 32 of them."""
    text = secret.strip()
    try:
        key = bytes.fromhex(text.decode("ascii")) if len(text) == 2 * KEK_BYTES else secret
    except ValueError:
        key = b""
    if len(key) != KEK_BYTES:
        raise SecretError(
            f"The key-encryption key is not {2 * KEK_BYTES} hexadecimal digits.",
            value=f"{len(text)} bytes",
            next_step="restore the kek file of this city; a new one cannot open the old register",
        )
    return key


def new_app_key() -> bytes:
    """A new AppKey from the operating system's random source, never from an identity (ETSI EN 303 645, 5.1-2)."""
    return secrets.token_bytes(APP_KEY_BYTES)


class KeyBox:
    """Seals and opens secrets of devices. Holds keys derived from the KEK and never prints them."""

    def __init__(self, kek: bytes) -> None:
        master = parse_kek(kek)
        self._cipher = AESGCM(_derive(master, b"seal"))
        self._fingerprint_key = _derive(master, b"fingerprint")

    def __repr__(self) -> str:
        return "KeyBox(…)"

    def seal(self, purpose: str, dev_eui: bytes, secret: bytes) -> bytes:
        """Encrypt `secret` for this device and purpose."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, secret, _associated_data(purpose, dev_eui))

    def open(self, purpose: str, dev_eui: bytes, sealed: bytes) -> bytes:
        """Decrypt what `seal` made. Raises TamperedSecret when anything about it is not as it was."""
        head = len(_VERSION) + _NONCE_BYTES
        if sealed[:1] != _VERSION or len(sealed) < head + _TAG_BYTES:
            raise _tampered(purpose, dev_eui)
        try:
            return self._cipher.decrypt(sealed[1:head], sealed[head:], _associated_data(purpose, dev_eui))
        except InvalidTag as error:
            raise _tampered(purpose, dev_eui) from error

    def fingerprint(self, secret: bytes) -> bytes:
        """A keyed, truncated hash that tells equal keys from different ones and nothing else."""
        return hmac.new(self._fingerprint_key, secret, hashlib.sha256).digest()[:FINGERPRINT_BYTES]


def _derive(master: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_CONTEXT + purpose).derive(master)


def _associated_data(purpose: str, dev_eui: bytes) -> bytes:
    return _CONTEXT + purpose.encode() + b"/" + dev_eui


def _tampered(purpose: str, dev_eui: bytes) -> TamperedSecret:
    return TamperedSecret(
        "A secret in the register does not open: it was changed, or belongs to another device.",
        value=f"{purpose} of {dev_eui.hex() or 'the register'}",
        reason="A key that was exchanged in the register would let somebody else join as this device.",
        next_step="restore the register from a backup and find out who wrote to it",
    )
