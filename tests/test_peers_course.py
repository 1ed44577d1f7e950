# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What `make bench-peers` counts with: the far end finds every message; a stream's highest rate is found."""

import os
import random
import struct
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.peers import course, stream
from benchmarks.peers.contestant import DEVICES, Contestant, Reading
from benchmarks.peers.plain_mqtt import FarEnd, publication


def _qos0(topic: bytes, payload: bytes) -> bytes:
    body = struct.pack(">H", len(topic)) + topic + payload
    size, left = bytearray(), len(body)
    while left > 0x7F:
        size.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes((0x30, *size, left)) + body


def test_messages_are_found_however_they_are_cut(rng: random.Random) -> None:
    payloads = [rng.randbytes(rng.choice((0, 1, 100, 127, 128, 300, 20_000))) + b"seq" for _ in range(60)]
    stream = b"".join(_qos0(b"city/light-01", payload) for payload in payloads)
    far_end = FarEnd.__new__(FarEnd)
    far_end.messages, far_end.arrived, far_end._mark = [], 0, b"seq"
    waiting = bytearray()
    while stream:
        size = rng.choice((1, 2, 5, 1000, 9000))
        waiting += stream[:size]
        stream = stream[size:]
        far_end._take(waiting, 0.0)
    assert [payload for _, payload in far_end.messages] == payloads
    assert (far_end.arrived, bytes(waiting)) == (sum(payload.count(b"seq") for payload in payloads), b"")


def test_each_reading_is_offered_under_its_own_name() -> None:
    readings = [course.reading_of(index) for index in range(10_000)]
    assert len(set(readings)) == 10_000
    assert {device for device, _ in readings} == set(range(DEVICES))
    assert publication("a/b", b"xyz", 258) == b"\x32\x0a\x00\x03a/b\x01\x02xyz"


class _Leaky(Contestant):
    """Passes on so many a second, and drops the rest: a contestant whose limit is known."""

    name, keeps, window = "leaky", "nothing", 1

    def __init__(self, most_per_step: int) -> None:
        super().__init__(Path())
        self.pid, self._most = os.getpid(), most_per_step
        self.far_end = FarEnd.__new__(FarEnd)
        self.far_end.messages, self.far_end.arrived = [], 0

    def _start(self, stack: ExitStack) -> None:
        """Nothing to start."""

    def _make(self, first: int, last: int) -> list[bytes]:
        return [str(index).encode() for index in range(first, last)]

    def offer(self, first: int, last: int) -> None:
        passed = self._made[first : min(last, first + self._most)]
        self.far_end.messages += [(time.perf_counter(), data) for data in passed]
        self.far_end.arrived += len(passed)

    def came(self, message: bytes) -> list[Reading]:
        return [course.reading_of(int(message))]


def test_the_highest_stream_is_found_and_what_is_dropped_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    clock = SimpleNamespace(perf_counter=lambda: now_s[0], sleep=lambda wait_s: now_s.__setitem__(0, now_s[0] + wait_s))
    monkeypatch.setattr(stream, "time", clock)
    monkeypatch.setattr(f"{__name__}.time", clock)
    rungs = stream.Stream(_Leaky(20), 0).highest(4000)  # 20 in each step of 2 ms: 10,000 a second
    assert stream.best(rungs).offered_per_s == pytest.approx(10_300, rel=0.03)
    assert stream.best(rungs).lost_pct <= stream.MOST_LOST_PCT
    for rung in rungs:
        assert rung.lost_pct == pytest.approx(max(0.0, 100 * (1 - 10_000 / rung.offered_per_s)), abs=1)
    slow = stream.Stream(_Leaky(1), 0).highest(4000)  # 500 a second
    assert stream.best(slow).offered_per_s == pytest.approx(500, rel=0.1)
    with pytest.raises(RuntimeError, match=r"leaky does not even keep up with 1[0-9][0-9]/s"):
        stream.Stream(_Leaky(0), 0).highest(4000)
