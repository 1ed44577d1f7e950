# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LoRaWAN 1.0.x cryptography over an injected AES-128-ECB.

TS001 = LoRaWAN L2 Specification 1.0.4. Throughout, ``encrypt`` is a function that AES-encrypts n x 16 bytes in ECB
mode under one key, and ``ecb`` a function that makes it from a 16-byte key: ``ecb(key)(block)``.
"""

import struct

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from collections.abc import Callable

    Encrypt = Callable[[bytes], bytes]
    Ecb = Callable[[bytes], Encrypt]

UPLINK = 0
DOWNLINK = 1

_BLOCK = 16


def _double(block: bytes) -> bytes:
    """Multiply by x in GF(2^128), the subkey step of RFC 4493 section 2.3."""
    high, low = struct.unpack(">QQ", block)
    carry = high >> 63
    high = (high << 1 | low >> 63) & 0xFFFFFFFFFFFFFFFF
    low = (low << 1) & 0xFFFFFFFFFFFFFFFF
    return struct.pack(">QQ", high, low ^ (0x87 if carry else 0))


def _xor(a: bytes, b: bytes) -> bytes:
    # As two numbers: a list of a full frame's bytes is a piece of 2 KB, which a board's heap may not have any more.
    size = len(a)
    return (int.from_bytes(a, "little") ^ int.from_bytes(b[:size], "little")).to_bytes(size, "little")


def cmac(encrypt: "Encrypt", data: bytes) -> bytes:
    """Return the 16-byte AES-CMAC of *data* (RFC 4493 section 2.4)."""
    subkey = _double(encrypt(bytes(_BLOCK)))
    last = max(0, (len(data) - 1) // _BLOCK) * _BLOCK
    tail = data[last:]
    if len(tail) < _BLOCK:
        subkey = _double(subkey)
        tail = tail + b"\x80" + bytes(_BLOCK - 1 - len(tail))
    state = bytes(_BLOCK)
    for pos in range(0, last, _BLOCK):
        state = encrypt(_xor(state, data[pos : pos + _BLOCK]))
    return encrypt(_xor(_xor(tail, subkey), state))


def same(a: bytes, b: bytes) -> bool:
    """Compare two codes without telling by its time where they differ."""
    if len(a) != len(b):
        return False
    difference = 0
    for x, y in zip(a, b):
        difference |= x ^ y
    return difference == 0


def data_mic(encrypt: "Encrypt", dev_addr: int, fcnt: int, direction: int, message: bytes) -> bytes:
    """Return the 4-byte MIC of a data frame (TS001 section 4.4): *message* is MHDR | FHDR | FPort | FRMPayload."""
    b0 = struct.pack("<BIBIIBB", 0x49, 0, direction, dev_addr, fcnt, 0, len(message))
    return cmac(encrypt, b0 + message)[:4]


def crypt_payload(encrypt: "Encrypt", dev_addr: int, fcnt: int, direction: int, payload: bytes) -> bytes:
    """Encrypt or decrypt FRMPayload, which is the same step (TS001 section 4.3.3)."""
    blocks = bytearray()
    for i in range(1, (len(payload) + _BLOCK - 1) // _BLOCK + 1):
        blocks.extend(struct.pack("<BIBIIBB", 0x01, 0, direction, dev_addr, fcnt, 0, i))
    return _xor(payload, encrypt(bytes(blocks))) if payload else b""


def derive_session_keys(encrypt: "Encrypt", join_nonce: int, net_id: int, dev_nonce: int) -> "tuple[bytes, bytes]":
    """Return ``(nwk_skey, app_skey)``, 16 bytes each, from the AppKey behind *encrypt* (TS001 section 6.2.6)."""
    tail = struct.pack("<I", join_nonce)[:3] + struct.pack("<I", net_id)[:3] + struct.pack("<H", dev_nonce) + bytes(7)
    return encrypt(b"\x01" + tail), encrypt(b"\x02" + tail)
