# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Many acknowledgements in one call do what one by one does: addresses, order, what cannot be sent."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, closing
from typing import Any

import pytest

from gateway.links.lora import bulk, bulk_out
from gateway.links.lora.bulk_out import AtOnce, OneByOne

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
        sender, one = end(stack), end(stack)
        sender.setblocking(False)
        nowhere = ("127.0.0.1", 0)  # no port
        there = one.getsockname()
        acks = [(there, b"aaaa"), (nowhere, b"xxxx"), (nowhere, b"yyyy"), (there, b"bbbb"), (nowhere, b"zzzz")]
        assert kind(sender).send(acks) == 3
        assert [one.recv(9), one.recv(9)] == [b"aaaa", b"bbbb"]
