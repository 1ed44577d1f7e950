# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Many packets for one call of the kernel: nothing is lost, doubled or put in another order, whatever it takes."""

import random
import socket
from contextlib import closing

import pytest

from gateway.platforms._gathered import Gathered


class Narrow:
    """A socket that takes and gives a few bytes at a time, and sometimes none."""

    def __init__(self, rng: random.Random, came: bytes) -> None:
        self._rng, self._came = rng, came
        self.sent = b""

    def send(self, data: bytes) -> int:
        took = self._rng.randrange(9)
        if not took:
            raise BlockingIOError
        self.sent += bytes(data[:took])
        return min(took, len(data))

    def recv(self, size: int) -> bytes:
        some = self._rng.randrange(9)
        if not some:
            raise BlockingIOError
        given, self._came = self._came[: min(some, size)], self._came[min(some, size) :]
        return given


def test_what_goes_out_is_what_was_given(rng: random.Random) -> None:
    narrow = Narrow(rng, b"")
    gathered, given = Gathered(narrow), b""
    for _ in range(300):
        if rng.random() < 0.5:
            gathered.gather()
        for _ in range(rng.randrange(4)):
            packet = rng.randbytes(rng.randrange(1, 40))
            try:
                given += packet[: gathered.send(packet)]
            except BlockingIOError:
                continue
        if rng.random() < 0.7:
            gathered.flush()
    while not gathered.flush():
        pass
    assert narrow.sent == given


def test_what_is_read_is_what_came(rng: random.Random) -> None:
    came = rng.randbytes(2000)
    gathered, read = Gathered(Narrow(rng, came)), b""
    while len(read) < len(came):
        try:
            part = gathered.recv(rng.randrange(1, 6))
        except BlockingIOError:
            assert gathered.pending() == 0
            continue
        assert part
        read += part
    assert read == came


def test_a_socket_that_takes_nothing_stops_the_sender_before_memory_does() -> None:
    here, there = socket.socketpair()
    with closing(here), closing(there):
        here.setblocking(False)
        gathered = Gathered(here)
        gathered.gather()
        with pytest.raises(BlockingIOError):
            for _ in range(10_000):
                gathered.send(bytes(1024))
        assert not gathered.flush()
        left = 1024 * 1024
        while left:
            left -= len(there.recv(65536))
            gathered.flush()
        assert gathered.flush()
        assert gathered.fileno() == here.fileno()


def test_the_end_of_a_connection_is_seen_behind_the_last_bytes() -> None:
    here, there = socket.socketpair()
    with closing(here):
        with closing(there):
            there.sendall(b"abc")
        gathered = Gathered(here)
        assert (gathered.recv(1), gathered.pending(), gathered.recv(9), gathered.recv(9)) == (b"a", 2, b"bc", b"")
