# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How long from a datagram to the device's acknowledgement: what a confirmed frame brought is on disk when it leaves.

Some frames a second are confirmed ones, as many as one gateway's radio can answer; a packet forwarder notes when the
daemon hands it the answer. The device hears it in its window, a second after its frame, or another one later: by that
moment, on the concentrator's clock, an answer says which frame it answers. Some have none, since the frame was dropped
or the radio was busy.
"""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from benchmarks.load.rig import FORWARDERS, tmst_of
from firmware.wire.region import RX2_HZ

if TYPE_CHECKING:
    from benchmarks.load.rig import Load

_RX1_DELAY_S = 1
"""As ``make_city`` gave it to the devices."""
PER_SECOND = 8
"""Answers of 46 ms each; sixteen gateways have the time for some hundred before their duty cycle ends."""
_PULL_EVERY_S = 2.0
_PULL_DATA, _PULL_RESP, _TX_ACK = 2, 3, 5


class Answers:
    """The forwarders' way down."""

    def __init__(self, load: Load) -> None:
        self._every = 0
        self._asked: dict[int, float] = {}
        """When each frame that nobody has answered left, by its ``tmst``."""
        self._asked_count = 0
        self._waits_s: list[float] = []
        self._lines = selectors.DefaultSelector()
        for forwarder in FORWARDERS:
            line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            line.connect(("127.0.0.1", load.udp_port))
            self._lines.register(line, selectors.EVENT_READ, forwarder)
        self._ended = False
        self._pull()
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def begin(self, every: int) -> None:
        """Begin anew: each frame whose index *every* divides is a confirmed one (``rig.datagrams``)."""
        self._every = every
        self._asked.clear()
        self._asked_count = 0
        self._waits_s.clear()

    def sent(self, first: int, last: int) -> None:
        """Frames *first* to *last* (by index) left just now."""
        now_s = time.perf_counter()
        for index in range(first + -first % self._every, last, self._every):
            self._asked[tmst_of(index)] = now_s
            self._asked_count += 1

    def percentiles_ms(self) -> tuple[float, float, float]:
        """Return p50 and p99 over all that were answered, and how many percent of all these are."""
        waits = sorted(self._waits_s)
        if not waits:
            return 0.0, 0.0, 0.0
        p50, p99 = (round(1000 * waits[int(len(waits) * share)], 1) for share in (0.5, 0.99))
        return p50, p99, round(100 * len(waits) / self._asked_count, 1)

    def close(self) -> None:
        """Leave."""
        self._ended = True
        self._thread.join(2 * _PULL_EVERY_S)
        for key in list(self._lines.get_map().values()):
            line: Any = key.fileobj
            self._lines.unregister(line)
            line.close()
        self._lines.close()

    def _hear(self) -> None:
        pulled_s = time.perf_counter()
        while not self._ended:
            if time.perf_counter() - pulled_s > _PULL_EVERY_S:
                pulled_s = time.perf_counter()
                self._pull()
            for key, _ in self._lines.select(_PULL_EVERY_S):
                self._take(key)

    def _take(self, key: selectors.SelectorKey) -> None:
        line: Any = key.fileobj
        try:
            data = line.recv(4096)
        except OSError:  # the daemon has ended
            return
        now_s = time.perf_counter()
        if data[3] == _PULL_RESP:
            _say(key, _TX_ACK, int.from_bytes(data[1:3], "big"))
            asked_s = self._asked.pop(_answered(json.loads(data[4:])["txpk"]), None)
            if asked_s is not None:
                self._waits_s.append(now_s - asked_s)

    def _pull(self) -> None:
        for key in self._lines.get_map().values():
            _say(key, _PULL_DATA, 0)


def _say(key: selectors.SelectorKey, identifier: int, token: int) -> None:
    line: Any = key.fileobj
    with suppress(OSError):
        line.send(b"\x02" + token.to_bytes(2, "big") + bytes((identifier,)) + key.data)


def _answered(txpk: dict[str, int | float]) -> int:
    """Return the ``tmst`` of the frame in whose window an answer is (TS001-1.0.4 section 3.3)."""
    second = round(txpk["freq"] * 1e6) == RX2_HZ
    return int(txpk["tmst"] - (_RX1_DELAY_S + second) * 1_000_000) & 0xFFFFFFFF
