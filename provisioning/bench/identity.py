# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A device's identity on its board: written to the protected store, and read back as a keyed fingerprint only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any, Final

from firmware.node import slots
from firmware.wire import cbor
from provisioning.bench.board import Board
from provisioning.bench.errors import BenchError, DamagedTransfer

FOLDER: Final = "/data"
FILES: Final = ("/data/identity.a", "/data/identity.b")
_KEY_BYTES: Final = 64
_KEPT: Final = frozenset(
    f"{name}.{copy}" for name in ("identity", "nonce", "pins", "boots", "release", "vendor") for copy in "ab"
)
"""What outlives the bench: who it is, DevNonces, of which none is used twice (TS001 section 6.2.5), and below which
sequence number it takes no update."""

_WHO: Final = """
def _who():
    for c in 'ab':
        try:
            with open('/data/identity.'+c,'rb') as f:
                d=f.read()
        except OSError:
            continue
        i=d.find(b'\\x67dev_eui\\x48')
        if i>=0:
            return d[i+9:i+17].hex()
    return ''
print(_who())
"""
"""In the record a text of 7 bytes, and a string of 8 after it (RFC 8949 section 3.1)."""

_SESSION: Final = ("session.a", "session.b", "join_nonce.a", "join_nonce.b")


def record(identity: dict[str, Any], generation: int) -> bytes:
    """The identity as its file holds it."""
    return slots.pack(generation, cbor.dumps(identity))


def present(board: Board) -> bool:
    """Whether the board has an identity, whichever."""
    return any(f"{FOLDER}/{name}" in FILES for name in board.names(FOLDER))


def dev_eui(board: Board) -> str:
    """Which device the board is, as hex; empty where nothing says it. It stands on the label: the key is not read."""
    try:
        return board.run(_WHO).strip().decode("ascii", "replace") if present(board) else ""
    except BenchError:
        return ""


def holds(board: Board, expected: bytes) -> bool:
    """Whether both copies on the board are this record: it computes a fingerprint under a key that is used once."""
    if not {name.rsplit("/", 1)[1] for name in FILES} <= set(board.names(FOLDER)):
        return False
    key = secrets.token_bytes(_KEY_BYTES)
    wanted = hmac.new(key, expected, hashlib.sha256).hexdigest()
    return all(hmac.compare_digest(board.fingerprint(path, key), wanted) for path in FILES)


def write(board: Board, data: bytes) -> None:
    """Write both copies, one after the other, and have them confirmed by fingerprint. Raises DamagedTransfer."""
    for path in FILES:
        board.put(path, data)
    if not holds(board, data):
        raise DamagedTransfer(
            "The board's store does not hold the identity that was written.",
            value="its fingerprint differs",
            reason="The board would join as another device, or not at all.",
            next_step="give the same command again; if it stays, the flash is worn out",
        )


def forget_the_bench(board: Board) -> None:
    """Remove session, readings and counts of the bench; identity and used join numbers stay."""
    for name in board.names(FOLDER):
        if name.endswith("/"):
            board.remove_tree(f"{FOLDER}/{name[:-1]}")
        elif name not in _KEPT:
            board.remove(f"{FOLDER}/{name}")


def forget_session(board: Board) -> None:
    """Remove session and JoinNonce: the board's next network is another one, which counts its joins from 1."""
    there = board.names(FOLDER)
    for name in _SESSION:
        if name in there:
            board.remove(f"{FOLDER}/{name}")


def forget_everything(board: Board) -> None:
    """Make the board nobody's: identity, join numbers, readings, all of it."""
    board.remove_tree(FOLDER)
