# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Many datagrams for one system call do what one by one does: bytes, senders, truncation, answers, drops, errors."""

import random
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from gateway.links.lora import bulk
from gateway.links.lora.bulk import AtOnce, Datagrams, OneByOne

MOST, MAX_BYTES = 8, 300
IPV4, IPV6 = (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")


def _families() -> list[tuple[int, str]]:
    """What this machine has: a container may be without IPv6; how its addresses are read is tested without it."""
    try:
        with closing(socket.socket(IPV6[0], socket.SOCK_DGRAM)) as probe:
            probe.bind((IPV6[1], 0))
    except OSError:
        return [IPV4]
    return [IPV4, IPV6]


def test_this_machine_has_the_calls() -> None:
    """Without them the others would compare nothing with nothing: the gateway's machines are Linux."""
    assert bulk.LIBC is not None, "neither recvmmsg nor sendmmsg here: these tests run on Linux"


@pytest.mark.parametrize(
    ("name", "sender"),
    [
        (struct.pack("=HH4s8x", socket.AF_INET, socket.htons(1700), bytes([192, 0, 2, 7])), ("192.0.2.7", 1700)),
        (
            struct.pack("=HHI16sI", socket.AF_INET6, socket.htons(40000), socket.htonl(5), bytes(15) + b"\1", 3),
            ("::1", 40000, 5, 3),
        ),
        (
            struct.pack(
                "=HHI16sI", socket.AF_INET6, socket.htons(1), 0, bytes.fromhex("20010db8" + "00" * 11 + "2a"), 0
            ),
            ("2001:db8::2a", 1, 0, 0),
        ),
    ],
)
def test_the_kernels_address_is_read_as_python_writes_it(name: bytes, sender: tuple[object, ...]) -> None:
    assert bulk._address(name) == sender


class End:
    """A bound socket that does not block, and some that send to it."""

    def __init__(self, kind: type[Any], family: int, address: str, stack: ExitStack, buffer_bytes: int = 0) -> None:
        self.socket = stack.enter_context(closing(socket.socket(family, socket.SOCK_DGRAM)))
        if buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self.socket.setsockopt(socket.SOL_SOCKET, bulk.SO_RXQ_OVFL, 1)
        self.socket.setblocking(False)
        self.socket.bind((address, 0))
        self.datagrams: Datagrams = kind(self.socket, MOST, MAX_BYTES)
        self.senders = [stack.enter_context(closing(socket.socket(family, socket.SOCK_DGRAM))) for _ in range(3)]
        for sender in self.senders:
            sender.connect(self.socket.getsockname())
            sender.settimeout(10)


@pytest.fixture(params=_families(), ids=lambda family: family[1])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[End, End]]:
    with ExitStack() as stack:
        yield End(AtOnce, *request.param, stack), End(OneByOne, *request.param, stack)


def test_both_receive_the_same_and_answer_whom_they_heard(ends: tuple[End, End], rng: random.Random) -> None:
    for _ in range(30):
        sent = [(rng.randrange(3), rng.randbytes(rng.choice((0, 1, 12, 299, 300, 301, 900)))) for _ in range(MOST + 2)]
        answered: list[list[tuple[int, bytes]]] = []
        for end in ends:
            for who, data in sent:
                end.senders[who].send(data)
            came = end.datagrams.receive()
            assert [each.data for each in came] == [data[:MAX_BYTES] for _, data in sent[:MOST]]
            assert [each.truncated for each in came] == [len(data) > MAX_BYTES for _, data in sent[:MOST]]
            assert [each.sender for each in came] == [end.senders[who].getsockname() for who, _ in sent[:MOST]]
            answers = [(each.slot, bytes([index]) * (index % 5)) for index, each in enumerate(came)][1::2]
            assert end.datagrams.answer(answers) == 0
            heard = [(who, end.senders[who].recv(100)) for who, _ in sent[1:MOST:2]]
            answered.append(heard)
            assert len(end.datagrams.receive()) == 2
            assert end.datagrams.receive() == []
        assert answered[0] == answered[1]
        assert [data for _, data in answered[0]] == [bytes([index]) * (index % 5) for index in range(1, MOST, 2)]


def test_all_of_a_turn_is_answered_as_each_of_it(ends: tuple[End, End], rng: random.Random) -> None:
    for senders in (1, 2, 3) * 10:
        from_whom = [rng.randrange(senders) for _ in range(rng.randint(1, MOST))]
        acks = [rng.randbytes(4) for _ in from_whom]
        for end in ends:
            for who in from_whom:
                end.senders[who].send(b"?")
            assert len(end.datagrams.receive()) == len(from_whom)
            assert end.datagrams.answer_all(b"".join(acks)) == 0
            assert [end.senders[who].recv(9) for who in from_whom] == acks


@pytest.mark.parametrize("kind", [AtOnce, OneByOne])
def test_what_the_kernel_dropped_and_what_is_wrong_with_the_socket_is_said(kind: type[Any]) -> None:
    with ExitStack() as stack:
        end = End(kind, *IPV4, stack, buffer_bytes=4096)
        for _ in range(200):
            end.senders[0].send(bytes(250))
        taken = 0
        while came := end.datagrams.receive():
            taken += len(came)
        end.senders[0].send(b"one more")  # it tells of those before it
        assert len(end.datagrams.receive()) == 1
        assert taken + end.datagrams.dropped == 200
        assert taken < 200
        end.socket.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            end.datagrams.receive()


@pytest.mark.parametrize("kind", [AtOnce, OneByOne])
def test_answers_that_cannot_be_sent_are_counted_and_the_others_leave(kind: type[Any]) -> None:
    with ExitStack() as stack:
        end = End(kind, *IPV4, stack)
        for sender in end.senders:
            sender.send(b"?")
        assert len(end.datagrams.receive()) == 3
        too_long = bytes(70_000)
        assert end.datagrams.answer([(0, b"a"), (1, too_long), (2, b"c"), (1, too_long)]) == 2
        assert (end.senders[0].recv(9), end.senders[2].recv(9)) == (b"a", b"c")
