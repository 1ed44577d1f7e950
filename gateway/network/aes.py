# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""AES-128 for the wire's injected cryptography. Encryptors are kept: making one costs ten times its use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

if TYPE_CHECKING:
    from collections.abc import Callable


def ecb(key: bytes) -> Callable[[bytes], bytes]:
    """Return AES-ECB encryption under *key*, for whole blocks. ECB has no state, so one encryptor serves for ever."""
    return Cipher(algorithms.AES128(key), modes.ECB()).encryptor().update  # noqa: S305 - LoRaWAN builds on raw blocks


def ecb_decrypt(key: bytes) -> Callable[[bytes], bytes]:
    """Return AES-ECB decryption under *key*: what a network does to a Join-Accept (TS001 section 6.2.6)."""
    return Cipher(algorithms.AES128(key), modes.ECB()).decryptor().update  # noqa: S305 - as above
