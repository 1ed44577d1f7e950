# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How long from a datagram to the device's acknowledgement: what a confirmed frame brought is on disk when it leaves.

Some frames a second are confirmed ones, as many as one gateway's radio can answer; a packet forwarder notes when the
daemon hands it the answer. The device hears it in its window, a second after its frame.
"""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from benchmarks.load.rig import FORWARDER, address_of

if TYPE_CHECKING:
    from benchmarks.load.rig import Load

PER_SECOND = 12
"""Answers of 40 to 60 ms each, which must not overlap."""
_PULL_EVERY_S = 2.0
_PULL_DATA, _PULL_RESP, _TX_ACK = 2, 3, 5


class Answers:
    """A forwarder's way down."""

    def __init__(self, load: Load) -> None:
        self._devices = len(load.sessions)
        self._every = 0
        self._asked: dict[int, deque[float]] = defaultdict(deque)
        self._waits_s: list[float] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", load.udp_port))
        self._socket.settimeout(_PULL_EVERY_S)
        self._ended = False
        self._say(_PULL_DATA, 0)
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def begin(self, every: int) -> None:
        """Begin anew: each frame whose index *every* divides is a confirmed one (``rig.datagrams``)."""
        self._every = every
        self._asked.clear()
        self._waits_s.clear()

    def sent(self, first: int, last: int) -> None:
        """Frames *first* to *last* (by index) left just now."""
        now_s = time.perf_counter()
        for index in range(first + -first % self._every, last, self._every):
            self._asked[address_of(index % self._devices)].append(now_s)

    def percentiles_ms(self) -> tuple[float, float, int]:
        """Return p50 and p99 over all that were answered, and how many these are."""
        waits = sorted(self._waits_s)
        if not waits:
            return 0.0, 0.0, 0
        return round(1000 * waits[len(waits) // 2], 1), round(1000 * waits[int(len(waits) * 0.99)], 1), len(waits)

    def close(self) -> None:
        """Leave."""
        self._ended = True
        self._thread.join(2 * _PULL_EVERY_S)
        self._socket.close()

    def _hear(self) -> None:
        pulled_s = time.perf_counter()
        while not self._ended:
            if time.perf_counter() - pulled_s > _PULL_EVERY_S:
                pulled_s = time.perf_counter()
                self._say(_PULL_DATA, 0)
            try:
                data = self._socket.recv(4096)
            except OSError:  # nothing for a while, or the daemon has ended
                continue
            now_s = time.perf_counter()
            if data[3] == _PULL_RESP:
                self._say(_TX_ACK, int.from_bytes(data[1:3], "big"))
                phy = base64.b64decode(json.loads(data[4:])["txpk"]["data"])
                asked = self._asked.get(int.from_bytes(phy[1:5], "little"))
                if asked:
                    self._waits_s.append(now_s - asked.popleft())

    def _say(self, identifier: int, token: int) -> None:
        self._socket.send(b"\x02" + token.to_bytes(2, "big") + bytes((identifier,)) + FORWARDER)
