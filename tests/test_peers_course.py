# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What `make bench-peers` counts with: the far end finds every message, however the line cuts them."""

import random
import struct

from benchmarks.peers import course
from benchmarks.peers.contestant import DEVICES
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
