# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A signed update of the node, as host and board both read it: the manifest, the bundle, the messages on FPort 10.

The manifest is a COSE_Sign1 (RFC 9052, tag 18) by an ESP256 key (RFC 9864: ECDSA over P-256 with SHA-256) whose id
stands in the protected header; the payload is a map of the keys below, after SUIT's model (RFC 9124). The bundle is
one file: ``MAGIC``, the number of entries (2 bytes, big-endian), then for each entry

    length of the path (1) | path | size (4) | SHA-256 (32) | source (1) | the data, where the source is HERE

A path that begins with / is a template of a file in the root (see ``ROOT``); all others lie below the slot.

Down, on FPort 10: OFFER | offset (2) | length of the whole (2) | a piece of the manifest; BLOCK or BLOCK + ANSWER |
session (2) | offset (4) | data; ASK; INSTALL | session (2); ABORT. Up: a map of the STATUS keys, which fits 46 bytes.
"""

import struct

from firmware.wire import cbor
from firmware.wire.errors import Malformed

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any

FORMAT = 1
AAD = b"lykta/update/1"  # external data of the signature: one that was made for something else never counts here
TAG_SIGN1 = 0xD2
ALG = 1
KID = 4
ESP256 = -9
KEY_ID_BYTES = 8  # of the SHA-256 of the public key, x | y

M_FORMAT = 0
M_SEQUENCE = 1  # grows with every release; a board never takes one that is not above its own
M_BOARD = 2  # name of the board's file
M_KIND = 3  # kind of device, "" for any
M_LINKS = 4  # sorted, with commas between, "" for any
M_MPY = 5  # version of byte-code
M_BUILD = 6  # 8 bytes
M_SIZE = 7  # of the bundle, bytes
M_SHA256 = 8
M_BASE = 9  # the build whose files are copied on the board, 8 bytes; not there: the bundle has all
M_HEALTH_S = 10  # how long the trial may take
_TYPES = {
    M_FORMAT: int,
    M_SEQUENCE: int,
    M_BOARD: str,
    M_KIND: str,
    M_LINKS: str,
    M_MPY: int,
    M_BUILD: bytes,
    M_SIZE: int,
    M_SHA256: bytes,
    M_HEALTH_S: int,
}
MAX_MANIFEST = 512
MAX_BUNDLE = 1 << 20
MAX_HEALTH_S = 7 * 86400

MAGIC = b"LyB1"
HERE = 0
COPY = 1  # from the slot that runs
ROOT = ("/boot.py", "/main.py", "/trial")  # boot.py; the launcher, and the one of a trial, of which SLOT is replaced
SLOT = b"@"
OTHER = b"~"
TAIL_BYTES = 37  # size, SHA-256, source
MAX_PATH = 120

OFFER = 1
BLOCK = 2
ASK = 3
INSTALL = 4
ABORT = 5
ANSWER = 0x80

S_PHASE = 0
S_PROBLEM = 1
S_SESSION = 2
S_HAVE = 3
S_SIZE = 4
S_COUNTER = 5  # the highest sequence number that was confirmed
S_BUILD = 6  # that runs

IDLE = 0
RECEIVING = 1
COMPLETE = 2
INSTALLING = 3
TRIAL = 4
CONFIRMED = 5
ROLLED_BACK = 6
PHASE = ("idle", "receiving", "complete", "installing", "trial", "confirmed", "rolled back")

PROBLEM = (
    "none",
    "malformed",
    "unknown key",
    "bad signature",
    "not newer",
    "other board",
    "other purpose",
    "other bytecode",
    "other base",
    "no room",
    "damaged",
    "no slot",
    "store lost",
    "flash",
    "unhealthy",
    "no session",
)
NONE = 0
MALFORMED = 1
UNKNOWN_KEY = 2
BAD_SIGNATURE = 3
NOT_NEWER = 4
OTHER_BOARD = 5
OTHER_PURPOSE = 6
OTHER_BYTECODE = 7
OTHER_BASE = 8
NO_ROOM = 9
DAMAGED = 10
NO_SLOT = 11
STORE_LOST = 12
FLASH = 13
UNHEALTHY = 14
NO_SESSION = 15


def protected(key_id: bytes) -> bytes:
    """Return the protected header."""
    return cbor.dumps({ALG: ESP256, KID: key_id})


def to_be_signed(header: bytes, payload: bytes) -> bytes:
    """Return the Sig_structure (RFC 9052 section 4.4)."""
    return cbor.dumps(["Signature1", header, AAD, payload])


def message(header: bytes, payload: bytes, signature: bytes) -> bytes:
    """Return the signed manifest."""
    return bytes([TAG_SIGN1]) + cbor.dumps([header, {}, payload, signature])


def parse(signed: bytes) -> "tuple[bytes, bytes, bytes, bytes]":
    """Return header, key id, payload and signature of a signed manifest. Raises Malformed. Nothing is authentic yet."""
    if len(signed) > MAX_MANIFEST or signed[:1] != bytes([TAG_SIGN1]):
        raise Malformed("update: no COSE_Sign1 of at most %d bytes" % MAX_MANIFEST)
    parts = cbor.loads(signed[1:])
    if not isinstance(parts, list) or len(parts) != 4 or parts[1] != {}:
        raise Malformed("update: a COSE_Sign1 with an empty unprotected header is expected")
    for part in (parts[0], parts[2], parts[3]):
        if not isinstance(part, bytes):
            raise Malformed("update: header, payload and signature are byte strings")
    header = cbor.loads(parts[0])
    if not isinstance(header, dict) or len(header) != 2 or header.get(ALG) != ESP256:
        raise Malformed("update: the protected header is that of ESP256 and a key id")
    key_id = header.get(KID)
    if not isinstance(key_id, bytes) or len(key_id) != KEY_ID_BYTES:
        raise Malformed("update: a key id has %d bytes" % KEY_ID_BYTES)
    return parts[0], key_id, parts[2], parts[3]


def manifest(payload: bytes) -> "dict[int, Any]":
    """Return the checked map of a manifest. Raises Malformed."""
    item = cbor.loads(payload)
    if not isinstance(item, dict):
        raise Malformed("update: the manifest is no map")
    for key, kind in _TYPES.items():
        value = item.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise Malformed("update: key %d of the manifest is %r" % (key, value))
    base = item.get(M_BASE, bytes(8))
    if len(item) != len(_TYPES) + (M_BASE in item) or item[M_FORMAT] != FORMAT:
        raise Malformed("update: a manifest of another format")
    if not isinstance(base, bytes) or len(base) != 8 or len(item[M_BUILD]) != 8 or len(item[M_SHA256]) != 32:
        raise Malformed("update: builds have 8 bytes, a SHA-256 32")
    if not 0 < item[M_SEQUENCE] < 1 << 32 or not 0 < item[M_SIZE] <= MAX_BUNDLE:
        raise Malformed("update: sequence number %d, %d bytes" % (item[M_SEQUENCE], item[M_SIZE]))
    if not 10 <= item[M_HEALTH_S] <= MAX_HEALTH_S:
        raise Malformed("update: a trial of %d s" % item[M_HEALTH_S])
    return item


def offer(offset: int, total: int, piece: bytes) -> bytes:
    """Return a message with a piece of the manifest."""
    return struct.pack(">BHH", OFFER, offset, total) + piece


def block(session: bytes, offset: int, data: bytes, answer: bool = False) -> bytes:
    """Return a message with a piece of the bundle; *session* are the first two bytes of the manifest's SHA-256."""
    return struct.pack(">B2sI", BLOCK | (ANSWER if answer else 0), session, offset) + data


def install(session: bytes) -> bytes:
    """Return the order to put into use what has arrived."""
    return bytes([INSTALL]) + session


def status(payload: bytes) -> "dict[int, Any]":
    """Return the map that a board tells about itself. Raises Malformed."""
    item = cbor.loads(payload)
    if not isinstance(item, dict):
        raise Malformed("update: a status is a map")
    for key in (S_PHASE, S_PROBLEM, S_HAVE, S_SIZE, S_COUNTER):
        value = item.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise Malformed("update: key %d of a status is %r" % (key, value))
    for key, size in ((S_SESSION, 2), (S_BUILD, 8)):
        value = item.get(key)
        if not isinstance(value, bytes) or len(value) not in (0, size):
            raise Malformed("update: key %d of a status is %r" % (key, value))
    if item[S_PHASE] >= len(PHASE) or item[S_PROBLEM] >= len(PROBLEM):
        raise Malformed("update: phase %d, problem %d" % (item[S_PHASE], item[S_PROBLEM]))
    return item
