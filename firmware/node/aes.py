# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""AES-128 encryption in plain Python, for ports whose MicroPython has no cryptolib. Slow, and all that LoRaWAN needs.

FIPS 197 = Advanced Encryption Standard. The state is kept column by column, as its bytes come in. Tables depend on the
key's bytes in time; on a board nobody else runs on the same cache.
"""

_ROUNDS = 10


def _double(x: int) -> int:
    """Multiply by x in GF(2^8), FIPS 197 section 4.2.1."""
    return (x << 1 ^ 0x11B) if x & 0x80 else x << 1


def _sbox() -> bytes:
    """Return the substitution table of FIPS 197 section 5.1.1: the inverse in GF(2^8), then an affine step."""
    powers = bytearray(255)  # of the generator 3
    logs = bytearray(256)
    x = 1
    for i in range(255):
        powers[i] = x
        logs[x] = i
        x ^= _double(x)
    table = bytearray(256)
    for i in range(256):
        inverse = powers[(255 - logs[i]) % 255] if i else 0
        s = 0  # the sum of five rotations
        for turn in range(5):
            s ^= (inverse << turn | inverse >> (8 - turn)) & 0xFF
        table[i] = s ^ 0x63
    return bytes(table)


_SBOX = _sbox()


class aes:  # noqa: N801  named and called as cryptolib's
    """*mode* is 1, ECB; there is no other here."""

    def __init__(self, key: bytes, mode: int) -> None:
        if len(key) != 16 or mode != 1:
            raise ValueError("AES-128 in ECB mode only")
        words = bytearray(key)
        constant = 1
        for i in range(16, 16 * (_ROUNDS + 1), 4):  # FIPS 197 section 5.2
            word = words[i - 4 : i]
            if i % 16 == 0:
                word = bytearray([_SBOX[word[1]] ^ constant, _SBOX[word[2]], _SBOX[word[3]], _SBOX[word[0]]])
                constant = _double(constant)
            for k in range(4):
                words.append(word[k] ^ words[i - 16 + k])
        self._round_keys = bytes(words)

    def encrypt(self, data: bytes) -> bytes:
        """Return *data*, whole blocks of 16 bytes, encrypted one by one."""
        if len(data) % 16:
            raise ValueError("AES: %d bytes are not whole blocks of 16" % len(data))
        out = bytearray()
        for start in range(0, len(data), 16):
            out.extend(self._block(data[start : start + 16]))
        return bytes(out)

    def _block(self, block: bytes) -> bytearray:
        keys = self._round_keys
        state = bytearray(16)
        for i in range(16):
            state[i] = block[i] ^ keys[i]
        for turn in range(1, _ROUNDS + 1):
            shifted = bytearray(16)
            for i in range(16):  # SubBytes and ShiftRows: row i % 4 moves by as many columns
                shifted[i] = _SBOX[state[(i + 4 * (i % 4)) % 16]]
            if turn < _ROUNDS:
                _mix_columns(shifted)
            for i in range(16):
                state[i] = shifted[i] ^ keys[16 * turn + i]
        return state


def _mix_columns(state: bytearray) -> None:
    """FIPS 197 section 5.1.3."""
    for column in range(0, 16, 4):
        a, b, c, d = state[column], state[column + 1], state[column + 2], state[column + 3]
        every = a ^ b ^ c ^ d
        state[column] = a ^ every ^ _double(a ^ b)
        state[column + 1] = b ^ every ^ _double(b ^ c)
        state[column + 2] = c ^ every ^ _double(c ^ d)
        state[column + 3] = d ^ every ^ _double(d ^ a)
