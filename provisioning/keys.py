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
PURPOSE_FINGERPRINTS: Final = "fingerprint_key"

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_CONTEXT: Final = b"lykta/register/1/"


def new_kek() -> bytes:
    """A new KEK as it is written to its file: 64 hexadecimal digits and a line end."""
    return secrets.token_bytes(KEK_BYTES).hex().encode() + b"\n"


def split_keks(secret: bytes) -> list[bytes]:
    """The KEKs of a secret, one a line, as they are written: the first seals, the others (older ones) still open."""
    return [secret] if len(secret) == KEK_BYTES else secret.split() or [secret]


def parse_kek(secret: bytes) -> bytes:
    """The 32 bytes of one KEK from its 64 hexadecimal digits, or as they are when there are 32 of them."""
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
    """Seals and opens secrets of devices. Holds keys derived from the KEK and never prints them.

    While the KEK is being exchanged there are two: the first one seals, all of them open.
    """

    def __init__(self, kek: bytes) -> None:
        masters = [parse_kek(each) for each in split_keks(kek)]
        self._ciphers = [AESGCM(_derive(master, b"seal")) for master in masters]
        self._fingerprint_keys = [_derive(master, b"fingerprint") for master in masters]

    def __repr__(self) -> str:
        return "KeyBox(…)"

    def __len__(self) -> int:
        return len(self._ciphers)

    def seal(self, purpose: str, dev_eui: bytes, secret: bytes) -> bytes:
        """Encrypt `secret` for this device and purpose."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._ciphers[0].encrypt(nonce, secret, _associated_data(purpose, dev_eui))

    def open(self, purpose: str, dev_eui: bytes, sealed: bytes) -> bytes:
        """Decrypt what `seal` made. Raises TamperedSecret when anything about it is not as it was."""
        return self._open(purpose, dev_eui, sealed)[1]

    def current(self, purpose: str, dev_eui: bytes, sealed: bytes) -> bool:
        """Return whether it is sealed under the first KEK. Raises TamperedSecret when it opens under none."""
        return self._open(purpose, dev_eui, sealed)[0] == 0

    def _open(self, purpose: str, dev_eui: bytes, sealed: bytes) -> tuple[int, bytes]:
        head = len(_VERSION) + _NONCE_BYTES
        if sealed[:1] == _VERSION and len(sealed) >= head + _TAG_BYTES:
            for index, cipher in enumerate(self._ciphers):
                try:
                    return index, cipher.decrypt(sealed[1:head], sealed[head:], _associated_data(purpose, dev_eui))
                except InvalidTag:
                    continue
        raise _tampered(purpose, dev_eui)

    def fingerprint_key(self, sealed: bytes | None, check: bytes) -> bytes:
        """The key of fingerprints: opened from the register, or that of the KEK which the register was made with.

        `check` is the register's sealed check text.
        """
        if sealed is not None:
            return self.open(PURPOSE_FINGERPRINTS, b"", sealed)
        return self._fingerprint_keys[self._open(PURPOSE_CHECK, b"", check)[0]]

    def fingerprint(self, secret: bytes, key: bytes | None = None) -> bytes:
        """A keyed, truncated hash that tells equal keys from different ones and nothing else."""
        used = self._fingerprint_keys[0] if key is None else key
        return hmac.new(used, secret, hashlib.sha256).digest()[:FINGERPRINT_BYTES]


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
