# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Session keys at rest: encrypted under a key derived from the register's key-encryption key."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import UnreadableSession
from provisioning.keys import split_keks

_NONCE_BYTES = 12
_PURPOSE = b"lykta gateway session keys"


class Keyring:
    """Seals the pair of keys of one session to the device and address they belong to."""

    def __init__(self, kek: bytes) -> None:
        """`kek` as the secret is written; while it is being exchanged it holds an older one too, which still opens."""
        self._aeads = [AESGCM(HKDF(hashes.SHA256(), 32, None, _PURPOSE).derive(each)) for each in split_keks(kek)]

    def seal(self, keys: bytes, dev_eui: bytes, dev_addr: int) -> bytes:
        """Return nonce and ciphertext."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aeads[0].encrypt(nonce, keys, _owner(dev_eui, dev_addr))

    def open(self, sealed: bytes, dev_eui: bytes, dev_addr: int) -> bytes:
        """Return the keys. Raises UnreadableSession when they were changed, moved, or sealed under another KEK."""
        for aead in self._aeads:
            try:
                return aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _owner(dev_eui, dev_addr))
            except InvalidTag:
                continue
        raise UnreadableSession(
            f"the session keys of {dev_eui.hex()} do not open: the register's KEK or the file was changed",
            dev_eui=dev_eui,
            dev_addr=dev_addr,
        )


def _owner(dev_eui: bytes, dev_addr: int) -> bytes:
    return dev_eui + dev_addr.to_bytes(4, "big")
