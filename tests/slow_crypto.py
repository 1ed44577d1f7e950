# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A slow, independent reference for AES-128, CMAC and the LoRaWAN counter mode, written from the standards only.

AES from FIPS 197 (arithmetic in GF(2^8), no tables but the S-box that it computes), CMAC from NIST SP 800-38B with
big integers, the payload cipher from TS001-1.0.4 section 4.3.3 byte by byte. Shares nothing with firmware.wire.
"""


def _multiply(a: int, b: int) -> int:
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def _sub(byte: int) -> int:
    inverse = next((x for x in range(256) if _multiply(byte, x) == 1), 0)
    rotated = [(inverse << n | inverse >> 8 - n) & 0xFF for n in range(5)]
    return rotated[0] ^ rotated[1] ^ rotated[2] ^ rotated[3] ^ rotated[4] ^ 0x63


_SBOX = [_sub(byte) for byte in range(256)]


def _round_keys(key: bytes) -> list[list[int]]:
    words = [list(key[i : i + 4]) for i in range(0, 16, 4)]
    rcon = 1
    for i in range(4, 44):
        word = words[-1][:]
        if i % 4 == 0:
            word = [_SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= rcon
            rcon = _multiply(rcon, 2)
        words.append([a ^ b for a, b in zip(words[i - 4], word, strict=True)])
    return [[*words[i], *words[i + 1], *words[i + 2], *words[i + 3]] for i in range(0, 44, 4)]


def _mix(column: list[int]) -> list[int]:
    return [
        _multiply(column[i], 2) ^ _multiply(column[(i + 1) % 4], 3) ^ column[(i + 2) % 4] ^ column[(i + 3) % 4]
        for i in range(4)
    ]


def aes(key: bytes, block: bytes) -> bytes:
    """Encrypt one block."""
    keys = _round_keys(key)
    state = [a ^ b for a, b in zip(block, keys[0], strict=True)]
    for number in range(1, 11):
        state = [_SBOX[b] for b in state]
        state = [state[(i + 4 * (i % 4)) % 16] for i in range(16)]
        if number < 10:
            state = [byte for i in range(0, 16, 4) for byte in _mix(state[i : i + 4])]
        state = [a ^ b for a, b in zip(state, keys[number], strict=True)]
    return bytes(state)


def cmac(key: bytes, message: bytes) -> bytes:
    """Return the 16-byte CMAC."""

    def doubled(value: int) -> int:
        return value << 1 ^ (0x100000000000000000000000000000087 if value >> 127 else 0)

    k1 = doubled(int.from_bytes(aes(key, bytes(16)), "big"))
    k2 = doubled(k1)
    blocks = [message[i : i + 16] for i in range(0, len(message), 16)] or [b""]
    last = blocks.pop()
    if len(last) == 16:
        final = int.from_bytes(last, "big") ^ k1
    else:
        final = int.from_bytes((last + b"\x80").ljust(16, b"\x00"), "big") ^ k2
    chain = 0
    for block in [*(int.from_bytes(b, "big") for b in blocks), final]:
        chain = int.from_bytes(aes(key, (chain ^ block).to_bytes(16, "big")), "big")
    return chain.to_bytes(16, "big")


def payload_cipher(key: bytes, dev_addr: int, fcnt: int, downlink: bool, payload: bytes) -> bytes:
    """Encrypt or decrypt an FRMPayload."""
    out = []
    for position, byte in enumerate(payload):
        a = [1, 0, 0, 0, 0, int(downlink), *dev_addr.to_bytes(4, "little"), *fcnt.to_bytes(4, "little"), 0]
        a.append(position // 16 + 1)
        out.append(byte ^ aes(key, bytes(a))[position % 16])
    return bytes(out)


def data_mic(key: bytes, dev_addr: int, fcnt: int, downlink: bool, message: bytes) -> bytes:
    """Return the 4-byte MIC of a data frame."""
    b0 = [
        0x49,
        0,
        0,
        0,
        0,
        int(downlink),
        *dev_addr.to_bytes(4, "little"),
        *fcnt.to_bytes(4, "little"),
        0,
        len(message),
    ]
    return cmac(key, bytes(b0) + message)[:4]
