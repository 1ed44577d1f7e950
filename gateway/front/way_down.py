# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The way down to one forwarder: a keep-alive to each worker, so that each can send, and tokens that tell them apart.

A PULL_RESP does not say for which gateway it is (PROTOCOL.TXT section 5.4): so each forwarder has a socket of its own.
"""

from __future__ import annotations

import secrets
import socket
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gateway.errors import LinkError
from gateway.links.lora.semtech import MAX_DATAGRAM_BYTES, VERSION, Identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gateway.front.trunk import Trunk
    from gateway.links.lora.forwarders import Forwarder

_START = bytes((VERSION,))
_TOKEN = slice(1, 3)
_PULL_DATA, _PULL_RESP = bytes((Identifier.PULL_DATA,)), bytes((Identifier.PULL_RESP,))
_MAX_OPEN = 256
"""Downlinks of one forwarder without a TX_ACK; each worker has at most 32."""
_PER_TURN = 64


class WayDown:
    """One forwarder's. *send* hands a datagram to the forwarders' own socket."""

    def __init__(
        self,
        forwarder: Forwarder,
        trunks: Sequence[Trunk],
        send: Callable[[bytes, Any], None],
        say: Callable[[str], None],
        away_s: float,
    ) -> None:
        self._forwarder = forwarder
        self._trunks = {each.address: each for each in trunks}
        self._send = send
        self._say = say
        self.away_s = away_s
        """Without PULL_DATA for so long there is no way."""
        self._open: OrderedDict[bytes, tuple[Trunk, bytes]] = OrderedDict()
        """By the token that the forwarder knows: whose it is, and its own token."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(("127.0.0.1", 0))

    def pull(self, now_s: float) -> None:
        """Keep the way open at each worker."""
        for trunk in self._trunks.values():
            trunk.asked(now_s)
            with suppress(OSError):  # a worker that is down; it is told apart by its silence
                self.socket.sendto(_START + secrets.token_bytes(2) + _PULL_DATA + self._forwarder.eui, trunk.address)

    def read(self, now_s: float) -> None:
        """Take what workers sent: acknowledgements of the keep-alive, and downlinks."""
        for data, sender in self._received():
            trunk = self._trunks.get(sender)
            if trunk is None or len(data) < len(_START) + 3 or data[:1] != _START:
                self._say("stranger")
            elif data[3] == Identifier.PULL_ACK:
                trunk.heard()
            elif data[3] == Identifier.PULL_RESP:
                self._relay(trunk, data, now_s)

    def _received(self) -> Iterator[tuple[bytes, Any]]:
        for _ in range(_PER_TURN):
            try:
                yield self.socket.recvfrom(MAX_DATAGRAM_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # ICMP of a worker that is down
                continue

    def _relay(self, trunk: Trunk, data: bytes, now_s: float) -> None:
        try:
            to = self._forwarder.way_down(now_s, self.away_s)
        except LinkError:
            self._say("downlink_no_way")
            return
        token = self._fresh(data[_TOKEN])
        self._open[token] = trunk, data[_TOKEN]
        if len(self._open) > _MAX_OPEN:
            self._open.popitem(last=False)
        self._send(_START + token + _PULL_RESP + data[4:], to)
        self._say("downlink")

    def _fresh(self, wanted: bytes) -> bytes:
        """Return the worker's own token where no other one uses it."""
        while wanted in self._open:
            wanted = (1 + secrets.randbelow(0xFFFF)).to_bytes(2, "big")
        return wanted

    def tx_ack(self, data: bytes) -> bool:
        """Hand a TX_ACK to the worker that it is for; False when nobody waits for it."""
        trunk, token = self._open.pop(data[_TOKEN], (None, b""))
        if trunk is None:
            return False
        with suppress(OSError):
            self.socket.sendto(_START + token + data[3:], trunk.address)
        return True

    def close(self) -> None:
        """Let go of the socket."""
        self.socket.close()
