# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The way to one worker: bundles of PUSH_DATA, each remembered by its token until its PUSH_ACK comes back.

Tokens are 16 bits and count upwards, so what is remembered is bounded, and what is oldest is known.
"""

from __future__ import annotations

import socket
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gateway.links.lora import bulk, bundle
from gateway.links.lora.semtech import Identifier

if TYPE_CHECKING:
    from collections.abc import Callable

_TOKENS = 1 << 16
_ACK_BYTES, _ACKS_PER_TURN = 4, 256
_MAX_ANSWER_BYTES = 64
GIVE_UP_S = 1.0
"""After it a PUSH_ACK does not help its forwarder any more, which counts 100 ms (PROTOCOL.TXT section 3.1)."""
AWAY_S = 6.0
"""Without any answer for so long, although asked: three PULL_DATA."""


class Ticket:
    """A PUSH_DATA of a forwarder, and how many workers have still to acknowledge their part of it."""

    __slots__ = ("ack", "left", "to")

    def __init__(self, to: Any, ack: bytes, left: int) -> None:
        self.to = to
        self.ack = ack
        self.left = left


class Trunk:
    """One worker of one line. *say*: counts under a name."""

    def __init__(
        self, number: int, address: tuple[str, int], buffer_bytes: int, say: Callable[[str, int], None]
    ) -> None:
        self.number = number
        self.address = address
        self.away = False
        self._say = say
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._tickets: list[Ticket] = []
        """Those of the parts, in their order."""
        self._waiting: list[list[Ticket] | None] = [None] * _TOKENS
        self._next = self._oldest = 0
        self._marks: deque[tuple[float, int]] = deque()
        self._asked_s: float | None = None
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.setblocking(False)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        self._datagrams = bulk.datagrams(self.socket, _ACKS_PER_TURN, _MAX_ANSWER_BYTES)

    def push(self, datagram: bytes, ticket: Ticket) -> None:
        """Take a PUSH_DATA for the worker; it leaves with the others of this turn, in ``flush``."""
        self._size_bytes += len(datagram)
        if not bundle.fits(len(self._parts) + 1, self._size_bytes):
            self.flush()
            self._size_bytes = len(datagram)
        self._parts.append(datagram)
        self._tickets.append(ticket)

    def flush(self) -> None:
        """Hand the worker what was taken. What it cannot take now gets no PUSH_ACK."""
        if not self._parts:
            return
        token = self._next
        self._next = (token + 1) & 0xFFFF
        forgotten = self._waiting[token]
        if forgotten is not None:
            self._say("unanswered", len(forgotten))
        self._waiting[token] = self._tickets
        try:
            self.socket.send(bundle.pack(token, self._parts))
        except OSError:  # nobody listens there, or the kernel has no room: the forwarder hears no PUSH_ACK
            self._say("not_taken", len(self._parts))
        self._parts, self._tickets, self._size_bytes = [], [], 0

    def read(self) -> list[Ticket] | None:
        """Return the PUSH_DATA that every worker concerned has acknowledged now; None when nothing came."""
        try:
            came = self._datagrams.receive()
        except OSError:  # ICMP: the port is closed, so the worker is down; it says so in ``expire``
            return []
        if not came:
            return None
        done, waiting = [], self._waiting
        for data, _, _, _ in came:
            if len(data) != _ACK_BYTES or data[3] != Identifier.PUSH_ACK:
                continue
            token = data[1] << 8 | data[2]
            tickets, waiting[token] = waiting[token], None
            for ticket in tickets or ():
                ticket.left -= 1
                if not ticket.left:
                    done.append(ticket)
        return done

    def expire(self, now_s: float) -> None:
        """Forget, and count, what was not acknowledged in time. To be called a few times a second."""
        self._marks.append((now_s, self._next))
        while self._marks and now_s - self._marks[0][0] >= GIVE_UP_S:
            self._forget_until(self._marks.popleft()[1])

    def _forget_until(self, end: int) -> None:
        lost = 0
        while self._oldest != end:
            tickets, self._waiting[self._oldest] = self._waiting[self._oldest], None
            lost += len(tickets or ())
            self._oldest = (self._oldest + 1) & 0xFFFF
        if lost:
            self._say("unanswered", lost)

    def asked(self, now_s: float) -> None:
        """A keep-alive went there."""
        if self._asked_s is None:
            self._asked_s = now_s

    def heard(self) -> None:
        """The worker answered a keep-alive."""
        self._asked_s = None

    def silent(self, now_s: float) -> bool:
        """Tell whether the worker has owed an answer for too long."""
        return self._asked_s is not None and now_s - self._asked_s > AWAY_S

    def close(self) -> None:
        """Let go of the socket."""
        with suppress(OSError):
            self.socket.close()
