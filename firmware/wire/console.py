# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A person's console at a device: requests and answers in LoRaWAN's proprietary frames, beside the session.

A technician who holds the device's AppKey (the city's register does) talks to it without touching the session that it
has with its gateway. Keys and frames, nonces of 8 bytes, codes of 8 bytes at the end of every frame:

    console key = AES(AppKey, "lykta-console-01")
    hello       = E0 00 | nonce of the person                 code: CMAC under the console key
    challenge   = E0 01 | that nonce | nonce of the device    code: CMAC under the console key
    frame       = E0 02 up, E0 03 down | counter (2, little-endian, from 1) | port | encrypted payload

Two keys for the frames come from both nonces, CMAC(console key, 1 or 2 | nonces): one encrypts, as LoRaWAN does, the
other makes the codes. A recorded hello earns a fresh challenge and nothing else; a counter that does not grow is
refused. Ports 3 and 5 are those of ``wire.requests``; the others are here. A command (port 3) that is the last one
again, number and all, is not obeyed again but answered as it was, on this connection or the next: who lost the answer
asks again. A device that starts anew forgets it; its uptime tells.
"""

import struct

from firmware.wire import crypto
from firmware.wire.errors import CounterExhausted, Malformed, NotAuthentic, Replayed

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from firmware.wire.crypto import Ecb, Encrypt

MHDR = 0xE0  # proprietary: TS001 section 4.2.1
HELLO = 0
CHALLENGE = 1
UP = 2
DOWN = 3

PORT_LOG = 250  # down: b"\x01" or b"\x00", up: lines as they are written
PORT_NOW = 251  # down: empty, up: a map, see the keys
NOW_CONTACT_S = 0  # how long ago the network was heard
NOW_WAITING = 1  # readings without a receipt
NOW_UPTIME_S = 2
NOW_READING = 3  # the latest reading as a map, without number and time

NONCE_BYTES = 8
_CODE_BYTES = 8
_KEY_BLOCK = b"lykta-console-01"
_MAX_COUNTER = 0xFFFF
MAX_PAYLOAD = 222


def derived_key(app_encrypt: "Encrypt") -> bytes:
    """Return the 16-byte console key; *app_encrypt* is AES under the AppKey."""
    return app_encrypt(_KEY_BLOCK)


def kind(phy: bytes) -> "int | None":
    """Return what a console frame is: HELLO, CHALLENGE, UP, DOWN; None for another frame."""
    return phy[1] if len(phy) >= 2 + _CODE_BYTES and phy[0] == MHDR else None


def hello(encrypt: "Encrypt", nonce: bytes) -> bytes:
    """Return the frame that begins a conversation; *encrypt* is AES under the console key."""
    return _coded(encrypt, bytes([MHDR, HELLO]) + nonce)


def open_hello(encrypt: "Encrypt", phy: bytes) -> bytes:
    """Return the person's nonce. Raises Malformed, NotAuthentic."""
    return _checked(encrypt, phy, 2 + NONCE_BYTES)[2:]


def challenge(encrypt: "Encrypt", theirs: bytes, ours: bytes) -> bytes:
    """Return the answer to a hello."""
    return _coded(encrypt, bytes([MHDR, CHALLENGE]) + theirs + ours)


def open_challenge(encrypt: "Encrypt", phy: bytes, nonce: bytes) -> bytes:
    """Return the device's nonce. Raises Malformed, NotAuthentic, Replayed: an answer to another hello."""
    body = _checked(encrypt, phy, 2 + 2 * NONCE_BYTES)
    if not crypto.same(body[2 : 2 + NONCE_BYTES], nonce):
        raise Replayed("console: a challenge of another conversation")
    return body[2 + NONCE_BYTES :]


class Channel:
    """The frames after that; *ours* and *theirs* are UP and DOWN, or the other way round."""

    def __init__(self, ecb: "Ecb", console_key: bytes, person: bytes, device: bytes, ours: int, theirs: int) -> None:
        encrypt = ecb(console_key)
        self._encrypt = ecb(crypto.cmac(encrypt, b"\x01" + person + device))
        self._code = ecb(crypto.cmac(encrypt, b"\x02" + person + device))
        self._ours = ours
        self._theirs = theirs
        self._sent = 0
        self._received = 0

    def seal(self, port: int, payload: bytes) -> bytes:
        """Return the next frame. Raises CounterExhausted, Malformed."""
        if self._sent >= _MAX_COUNTER:
            raise CounterExhausted("console: say hello again")
        if len(payload) > MAX_PAYLOAD:
            raise Malformed("console: %d bytes are too many" % len(payload))
        self._sent += 1
        hidden = crypto.crypt_payload(self._encrypt, self._ours, self._sent, 0, payload)
        return _coded(self._code, struct.pack("<BBHB", MHDR, self._ours, self._sent, port) + hidden)

    def open(self, phy: bytes) -> "tuple[int, bytes]":
        """Return port and payload. Raises Malformed, NotAuthentic, Replayed."""
        body = _checked(self._code, phy, None)
        _mhdr, direction, counter, port = struct.unpack_from("<BBHB", body)
        if direction != self._theirs:
            raise Malformed("console: a frame of direction %d" % direction)
        if counter <= self._received:
            raise Replayed("console: counter %d after %d" % (counter, self._received))
        self._received = counter
        return port, crypto.crypt_payload(self._encrypt, self._theirs, counter, 0, body[5:])


def _coded(encrypt: "Encrypt", body: bytes) -> bytes:
    return body + crypto.cmac(encrypt, body)[:_CODE_BYTES]


def _checked(encrypt: "Encrypt", phy: bytes, size: "int | None") -> bytes:
    body = phy[:-_CODE_BYTES]
    if len(body) < 5 or (size is not None and len(body) != size):
        raise Malformed("console: a frame of %d bytes" % len(phy))
    if not crypto.same(crypto.cmac(encrypt, body)[:_CODE_BYTES], phy[-_CODE_BYTES:]):
        raise NotAuthentic("console: wrong code")
    return body
