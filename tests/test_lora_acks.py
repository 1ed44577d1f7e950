# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Many acknowledgements in one call do what one by one does: addresses, order, what cannot be sent."""

from __future__ import annotations

import ctypes
import errno
import random
import socket
from contextlib import ExitStack, closing
from typing import Any

import pytest

from gateway.links.lora import bulk, bulk_out
from gateway.links.lora.bulk_out import AtOnce, OneByOne
from gateway.links.lora.segments import Segments

WAIT_S = 30


def end(stack: ExitStack, family: int = socket.AF_INET, host: str = "127.0.0.1") -> socket.socket:
    made = stack.enter_context(closing(socket.socket(family, socket.SOCK_DGRAM)))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    made.bind((host, 0))
    made.settimeout(WAIT_S)
    return made


def families() -> list[tuple[int, str]]:
    """What this machine has: a container may be without IPv6; how its addresses are written is tested without it."""
    try:
        with ExitStack() as stack:
            end(stack, socket.AF_INET6, "::1")
    except OSError:
        return [(socket.AF_INET, "127.0.0.1")]
    return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]


@pytest.mark.parametrize("address", [("192.0.2.7", 1700), ("2001:db8::2a", 40000, 5, 3), ("::1", 1, 0, 0)])
def test_an_address_is_written_as_the_kernel_writes_it(address: tuple[Any, ...]) -> None:
    assert bulk._address(bulk_out.name_of(address)) == address


@pytest.mark.parametrize("kind", [AtOnce, OneByOne])
@pytest.mark.parametrize(("family", "host"), families())
def test_each_goes_where_it_belongs_in_order(kind: type[Any], family: int, host: str, rng: random.Random) -> None:
    with ExitStack() as stack:
        sender, ends = end(stack, family, host), [end(stack, family, host) for _ in range(4)]
        sender.setblocking(False)
        acks = kind(sender)
        for count in (0, 1, 7, 256, 257, 600):
            plan = [(rng.randrange(4), rng.randbytes(4)) for _ in range(count)]
            assert acks.send([(ends[who].getsockname(), data) for who, data in plan]) == 0
            for who, one in enumerate(ends):
                wanted = [data for to, data in plan if to == who]
                assert [one.recv(9) for _ in wanted] == wanted


@pytest.mark.parametrize("kind", [AtOnce, OneByOne])
def test_what_cannot_be_sent_is_counted_and_the_others_leave(kind: type[Any]) -> None:
    with ExitStack() as stack:
        sender, one, other = end(stack), end(stack), end(stack)
        sender.setblocking(False)
        nowhere, never = ("127.0.0.1", 0), ("127.0.0.2", 0)  # no port
        there = one.getsockname()
        acks = [(there, b"aaaa"), (nowhere, b"xxxx"), (nowhere, b"yyyy"), (there, b"bbbb"), (nowhere, b"zzzz")]
        assert kind(sender).send([*acks, (never, b"...."), (other.getsockname(), b"cccc")]) == 4
        assert [one.recv(9), one.recv(9), other.recv(9)] == [b"aaaa", b"bbbb", b"cccc"]
        assert kind(sender).send([(never, b"....")] * 200 + acks) == 203
        assert [one.recv(9), one.recv(9)] == [b"aaaa", b"bbbb"]


class Counting:
    """A C library whose kernel takes so many pieces of one call, and each of the next."""

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, list[int]()

    def sendmmsg(self, _socket: int, _headers: int, count: int, _flags: int) -> int:
        self.taken.append(min(self.most, count))
        return self.taken[-1]


@pytest.mark.parametrize("most", [1, 7, 1000])
def test_the_pieces_that_a_call_did_not_reach_go_in_the_next(most: int) -> None:
    with ExitStack() as stack:
        libc = Counting(most)
        pairs = [(b"%d" % (number % 300), b"%04d" % number) for number in range(900)]
        assert Segments(end(stack), libc).send(pairs, lambda *_: pytest.fail("none was refused")) == 0  # type: ignore[arg-type]
        assert sum(libc.taken) == 300


class Refusing:
    """A C library whose kernel takes nothing in pieces, for a reason."""

    def __init__(self, code: int) -> None:
        self.code, self.asked = code, 0

    def sendmmsg(self, *_: object) -> int:
        self.asked += 1
        ctypes.set_errno(self.code)
        return -1


@pytest.mark.parametrize(
    ("code", "failed", "usable"),
    [(errno.EINVAL, 0, False), (errno.EIO, 0, False), (errno.EAGAIN, 0, True), (errno.EINVAL, 3, True)],
    ids=["kernel does not know it", "card does not know it", "buffer full", "nobody can send there"],
)
def test_what_is_not_taken_in_one_piece_goes_one_by_one(code: int, failed: int, usable: bool) -> None:
    """And is not tried again where it never works; which it is shows where the ordinary way has no trouble."""
    went: list[tuple[bytes, bytes]] = []

    def ordinarily(name: bytes, some: list[bytes]) -> int:
        went.extend((name, data) for data in some)
        return failed

    with ExitStack() as stack:
        libc = Refusing(code)
        segments = Segments(end(stack), libc)  # type: ignore[arg-type]
        pairs = [(b"name-%d" % (number % 2), b"%04d" % number) for number in range(200)]
        assert segments.send(pairs, ordinarily) == 2 * failed
        assert sorted(went) == sorted(pairs)
        assert [data for name, data in went if name == b"name-0"] == [data for name, data in pairs if name == b"name-0"]
        assert segments.usable is usable
        asked = libc.asked
        segments.send(pairs, ordinarily)
        assert (libc.asked > asked) is usable
        assert sorted(went) == sorted(2 * pairs)
