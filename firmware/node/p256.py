# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""ECDSA over P-256, verification only (FIPS 186-5 section 6.4.2; curve: SP 800-186 section 3.2.1.3).

Plain integers. Nothing here is secret, so nothing has to take the same time always. Points are Jacobian
(x, y, z) for (x / z^2, y / z^3), None is the point at infinity; u1 * G + u2 * Q is one ladder for both (Shamir).
Loaded when a signature is to be checked, and given back.
"""

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_GX = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
_GY = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5

PUBLIC_BYTES = 64
SIGNATURE_BYTES = 64
_DIGEST_BYTES = 32
_STEP_BITS = 4


def verify(public: bytes, digest: bytes, signature: bytes) -> bool:
    """Tell whether *signature* is by the key *public*. See ``steps``."""
    result = False
    for each in steps(public, digest, signature):
        result = each is True
    return result


def steps(public: bytes, digest: bytes, signature: bytes):
    """Verify in small pieces: yields None between them, then True or False.

    *public*: x | y, 32 bytes each, big-endian, as *signature* r | s (COSE's form, RFC 9053 section 2.1);
    *digest*: SHA-256 of the message. Bytes of another length, a point that is not on the curve, numbers out of range
    are a signature that does not verify.
    """
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES or len(digest) != _DIGEST_BYTES:
        yield False
        return
    x, y = int.from_bytes(public[:32], "big"), int.from_bytes(public[32:], "big")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < _N and 0 < s < _N and x < _P and y < _P and (y * y - (x * x - 3) * x - _B) % _P == 0):
        yield False
        return
    w = _inverse(s, _N)
    u1, u2 = int.from_bytes(digest, "big") * w % _N, r * w % _N
    table = (None, (_GX, _GY), (x, y), _affine(_add((_GX, _GY, 1), (x, y))))
    point = None
    for bit in range(255, -1, -1):
        if point is not None:
            point = _double(point)
        addend = table[(u1 >> bit & 1) | (u2 >> bit & 1) << 1]
        if addend is not None:
            point = (addend[0], addend[1], 1) if point is None else _add(point, addend)
        if bit % _STEP_BITS == 0:
            yield None
    yield point is not None and _is_x(point, r)


def _is_x(point, r: int) -> bool:
    """Tell whether the point's x is r modulo the group's order: r itself, or r + n where that is below p."""
    z2 = point[2] * point[2] % _P
    return r * z2 % _P == point[0] or (r + _N < _P and (r + _N) * z2 % _P == point[0])


def _double(point):
    """Twice a point; a is -3 (EFD: dbl-2001-b). No point of this curve has order two."""
    x, y, z = point
    delta = z * z % _P
    gamma = y * y % _P
    beta = x * gamma % _P
    alpha = 3 * (x - delta) * (x + delta) % _P
    x3 = (alpha * alpha - 8 * beta) % _P
    return (x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % _P, 2 * y * z % _P)


def _add(point, affine):
    """A Jacobian and an affine point, whichever they are."""
    x1, y1, z1 = point
    z2 = z1 * z1 % _P
    h = (affine[0] * z2 - x1) % _P
    t = (affine[1] * z2 * z1 - y1) % _P
    if h == 0:
        return _double(point) if t == 0 else None
    h2 = h * h % _P
    h3 = h2 * h % _P
    v = x1 * h2 % _P
    x3 = (t * t - h3 - 2 * v) % _P
    return (x3, (t * (v - x3) - y1 * h3) % _P, z1 * h % _P)


def _affine(point):
    if point is None:
        return None
    inverse = _inverse(point[2], _P)
    square = inverse * inverse % _P
    return (point[0] * square % _P, point[1] * square * inverse % _P)


def _inverse(value: int, modulus: int) -> int:
    """Return 1 / value by Euclid's extended algorithm; MicroPython's pow takes no negative exponent."""
    a, b = value, modulus
    x, y = 1, 0
    while a > 1:
        quotient = b // a
        a, b = b - quotient * a, a
        x, y = y - quotient * x, x
    return x % modulus
