# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A connected socket for paho that asks the kernel once for many packets, each way.

paho writes each packet with a call of its own, and reads an acknowledgement in three: its type, its length, the rest.
For a signature a reading that was half of what a publication cost.
"""

from __future__ import annotations

import ssl
from typing import Any

_READ_BYTES = 65536
_MAX_UNSENT_BYTES = 1024 * 1024
"""Beyond it paho keeps what it has, as it does when a socket takes nothing."""


class Gathered:
    """Stands in for a socket, or for what wraps one under TLS; does not block."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._unsent = bytearray()
        self._unread = b""
        self._at = 0
        self._gathering = False

    def __getattr__(self, name: str) -> Any:
        """As the socket itself does."""
        return getattr(self._inner, name)

    def gather(self) -> None:
        """From now on keep what is sent until ``flush``."""
        self._gathering = True

    def flush(self) -> bool:
        """Send what was kept; False when the kernel does not take all of it yet. Raises OSError."""
        self._gathering = False
        while self._unsent:
            try:
                sent = self._inner.send(self._unsent)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return False
            del self._unsent[:sent]
        return True

    def send(self, data: bytes) -> int:
        """Keep, or send at once. Raises BlockingIOError when too much is kept already, and OSError."""
        if not self._gathering and not self._unsent:
            return int(self._inner.send(data))
        if len(self._unsent) >= _MAX_UNSENT_BYTES:
            raise BlockingIOError
        self._unsent += data
        return len(data)

    def recv(self, size: int) -> bytes:
        """Return up to *size* bytes of what came; empty at the end. Raises BlockingIOError, OSError."""
        if self._at >= len(self._unread):
            self._unread, self._at = self._inner.recv(_READ_BYTES), 0
        data = self._unread[self._at : self._at + size]
        self._at += len(data)
        return data

    def peek(self) -> bytes:
        """Return what came and was not asked for yet, without taking it. Raises BlockingIOError, OSError."""
        if self._at >= len(self._unread):
            self._unread, self._at = self._inner.recv(_READ_BYTES), 0
        return self._unread[self._at :] if self._at else self._unread

    def skip(self, size: int) -> None:
        """Take *size* bytes of what ``peek`` returned."""
        self._at += size

    def pending(self) -> int:
        """Return how many bytes were read from the kernel and not asked for yet."""
        return len(self._unread) - self._at + int(getattr(self._inner, "pending", int)())
