# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""AES as ``wire.crypto`` wants it: from the interpreter's cryptolib, or on ports without it from ``aes``."""

try:
    aes = __import__("cryptolib").aes
except ImportError:
    from firmware.node.aes import aes

_MODE_ECB = 1


def ecb(key: bytes):
    """Return the function that encrypts whole blocks under *key*."""
    return aes(key, _MODE_ECB).encrypt
