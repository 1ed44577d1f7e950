# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Many acknowledgements, each of four bytes, to any addresses, for one system call on Linux; elsewhere one by one.

As ``bulk``, for what is answered later than it was received. ``OneByOne`` says what is right; the tests compare them.
"""

from __future__ import annotations

import socket
import struct
from typing import Any, Protocol

from gateway.links.lora.bulk import HEADER, IOVEC, LIBC, NAME_BYTES, memory
from gateway.links.lora.segments import ACK_BYTES, Segments

_MOST = 256
"""For one call."""
_MAX_NAMES = 1024
_IPV4_ADDRESS = 2
"""What Python's address of one has: host and port."""


class Acks(Protocol):
    """Sends through a socket that does not block."""

    def send(self, acks: list[tuple[Any, bytes]]) -> int:
        """Send each to its address; return how many could not be sent."""


class OneByOne:
    """With the call that Python has."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened

    def send(self, acks: list[tuple[Any, bytes]]) -> int:
        """See Acks."""
        failed = 0
        for to, data in acks:
            try:
                self._socket.sendto(data, to)
            except OSError:
                failed += 1
        return failed


class AtOnce:
    """With sendmmsg. All headers stay as they are from call to call, as long as addresses are of one family."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._data, self._data_at = memory(_MOST * ACK_BYTES)
        self._names, self._names_at = memory(_MOST * NAME_BYTES)
        self._iovecs, self._iovecs_at = memory(_MOST * IOVEC.size)
        self._headers, self._headers_at = memory(_MOST * HEADER.size)
        self._known: dict[Any, bytes] = {}
        self._segments = Segments(opened, LIBC)
        for slot in range(_MOST):
            IOVEC.pack_into(self._iovecs, slot * IOVEC.size, self._data_at + slot * ACK_BYTES, ACK_BYTES)
        self._family = socket.AF_INET if opened.family == socket.AF_INET else socket.AF_INET6
        self._name_bytes = NAME_BYTES if self._family == socket.AF_INET6 else 16
        for slot in range(_MOST):
            HEADER.pack_into(
                self._headers, slot * HEADER.size,
                self._names_at + slot * NAME_BYTES, self._name_bytes, self._iovecs_at + slot * IOVEC.size, 1,
                0, 0, 0, 0,
            )  # fmt: skip

    def send(self, acks: list[tuple[Any, bytes]]) -> int:
        """See Acks."""
        named = [(self._known.get(to) or self._name(to), data) for to, data in acks]
        return self._segments.send(named, self._ordinarily) if self._segments.usable else self._each(named)

    def _ordinarily(self, name: bytes, acks: list[bytes]) -> int:
        return self._each([(name, data) for data in acks])

    def _each(self, named: list[tuple[bytes, bytes]]) -> int:
        failed = 0
        for first in range(0, len(named), _MOST):
            some = named[first : first + _MOST]
            text = b"".join([data for _, data in some])
            names = b"".join([name.ljust(NAME_BYTES, b"\0") for name, _ in some])
            self._data[: len(text)] = text
            self._names[: len(names)] = names
            failed += self._send(len(some))
        return failed

    def _send(self, count: int) -> int:
        done = failed = 0
        while done < count:
            out_at = self._headers_at + done * HEADER.size
            sent = LIBC.sendmmsg(self._socket.fileno(), out_at, count - done, socket.MSG_DONTWAIT)
            failed += sent <= 0
            done += max(1, sent)  # the first that is refused ends a call: go on behind it
        return failed

    def _name(self, to: Any) -> bytes:
        if len(self._known) >= _MAX_NAMES:
            self._known.clear()
        name = self._known[to] = name_of(to)
        return name


def name_of(address: Any) -> bytes:
    """Return the struct sockaddr_in or sockaddr_in6 of what Python calls an address (ip(7), ipv6(7))."""
    host, port = address[:2]
    if len(address) == _IPV4_ADDRESS:
        return struct.pack("=H", socket.AF_INET) + struct.pack(">H4s8x", port, socket.inet_aton(host))
    name = struct.pack("=H", socket.AF_INET6)
    name += struct.pack(">HI16s", port, address[2], socket.inet_pton(socket.AF_INET6, host))
    return name + struct.pack("=I", address[3])


def acks(opened: socket.socket) -> Acks:
    """Return the fastest that this machine has."""
    return OneByOne(opened) if LIBC is None else AtOnce(opened)
