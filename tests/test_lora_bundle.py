# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Many PUSH_DATA in one datagram: what is packed comes out, what is damaged is refused, and who waits is answered."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import closing
from select import select

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.front.trunk import Ticket, Trunk
from gateway.links.lora import bundle, semtech
from gateway.links.lora.bulk import OneByOne
from gateway.links.lora.errors import MalformedDatagram
from tests import packet_forwarder as other
from tests.fake_datagrams import FakeDatagrams
from tests.lora_link_rig import PHY, A, run, running
from tests.packet_forwarder import mutate

_PARTS = st.lists(st.binary(max_size=300), min_size=1, max_size=40)
WAIT_S = 30


@given(_PARTS, st.integers(0, 0xFFFF))
def test_what_is_packed_comes_out(parts: list[bytes], token: int) -> None:
    packed = bundle.pack(token, parts)
    assert bundle.fits(len(parts), sum(map(len, parts)))
    assert bundle.unpack(packed) == parts
    assert int.from_bytes(packed[1:3], "big") == token
    with pytest.raises(MalformedDatagram):
        semtech.parse(packed)


@given(_PARTS, st.integers(0, 2**32))
def test_what_is_damaged_is_no_bundle_or_one_of_all_its_bytes(parts: list[bytes], seed: int) -> None:
    damaged = mutate(random.Random(seed), bundle.pack(7, parts))
    found = bundle.unpack(damaged)
    assert found is None or damaged.endswith(b"".join(found))


@given(st.binary(max_size=80))
def test_bytes_of_any_kind_do_no_harm(data: bytes) -> None:
    for datagram in (data, b"\x02ab\x42" + data):
        found = bundle.unpack(datagram)
        assert found is None or datagram.endswith(b"".join(found))


def test_what_a_datagram_can_hold_is_known() -> None:
    biggest = [bytes(semtech.MAX_DATAGRAM_BYTES)]
    assert bundle.fits(1, len(biggest[0]))
    assert bundle.unpack(bundle.pack(1, biggest)) == biggest
    assert bundle.fits(bundle.MAX_PARTS, 0)
    assert not bundle.fits(bundle.MAX_PARTS + 1, 0)
    room = bundle.MAX_BYTES - 6 - 2
    assert len(bundle.pack(1, [bytes(room)])) == bundle.MAX_BYTES
    assert bundle.fits(1, room)
    assert not bundle.fits(1, room + 1)


def test_a_bundle_is_acknowledged_once_and_only_where_all_of_it_is() -> None:
    came = FakeDatagrams.of(
        bundle.pack(0x0102, [b"a", b"bc"]), b"alone", bundle.pack(0x0304, [b"d"]), b"\x02xx\x42damaged", dropped=5
    )
    unbundled = bundle.Unbundled(came)
    found = unbundled.receive()
    assert [each.data for each in found] == [b"a", b"bc", b"alone", b"d", b"\x02xx\x42damaged"]
    assert len({id(each.sender) for each in found}) == 1, "who is known by its address is known by the same object"
    assert unbundled.dropped == 5
    unbundled.answer([(found[0].slot, b"-"), (found[2].slot, b"+"), (found[3].slot, b"-")])
    assert came.answers == [(1, b"+"), (2, bytes.fromhex("02030401"))]
    came.answers.clear()
    unbundled.receive()
    unbundled.answer([(0, b"-"), (1, b"-")])
    assert came.answers == [(0, bytes.fromhex("02010201"))]


def test_all_of_a_turn_is_acknowledged_as_each_of_it() -> None:
    first, second = bundle.pack(0x0102, [b"a", b"bc"]), bundle.pack(0x0304, [b"d"])
    for data in ([first, second], [first], [first, b"alone", second], [b"alone", b"more"]):
        came = FakeDatagrams.of(*data)
        unbundled = bundle.Unbundled(came)
        found = unbundled.receive()
        acks = [bytes((2, 9, at, 1)) for at in range(len(found))]
        unbundled.answer([(each.slot, ack) for each, ack in zip(found, acks, strict=True)])
        one_by_one, came.answers = came.answers, []
        unbundled.answer_all(b"".join(acks))
        assert came.answers == one_by_one


@pytest.fixture
def worker() -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        opened.bind(("127.0.0.1", 0))
        opened.settimeout(WAIT_S)
        yield opened


class Said:
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def __call__(self, what: str, amount: int) -> None:
        self.counts[what] = self.counts.get(what, 0) + amount


def acknowledged(worker: socket.socket, trunk: Trunk, bundled: bytes) -> list[Ticket]:
    worker.sendto(bundled[:3] + b"\x01", trunk.socket.getsockname())
    assert select([trunk.socket], [], [], WAIT_S)[0]
    return trunk.read() or []


def test_a_trunk_hands_over_what_came_in_a_turn_and_knows_whose_it_was(worker: socket.socket) -> None:
    trunk = Trunk(1, worker.getsockname(), 1 << 16, said := Said())
    with closing(trunk):
        parts = [b"one", b"two", b"three"]
        tickets = [Ticket("who", part, 1 + (part == b"two")) for part in parts]
        for part, ticket in zip(parts, tickets, strict=True):
            trunk.push(part, ticket)
        trunk.flush()
        trunk.flush()
        came = worker.recv(1 << 16)
        assert bundle.unpack(came) == parts
        assert trunk.read() is None
        assert acknowledged(worker, trunk, came) == [tickets[0], tickets[2]], "another worker has the rest of the two"
        assert acknowledged(worker, trunk, came) == [], "once"
        assert said.counts == {}


def test_what_is_too_much_for_one_datagram_goes_in_several_and_in_order(worker: socket.socket) -> None:
    sizes = [30_000, 30_000, 30_000, 9, 32_768, *[1] * 300]
    parts = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    trunk = Trunk(1, worker.getsockname(), 1 << 16, said := Said())
    with closing(trunk):
        found: list[bytes] = []
        for part in parts[:4]:
            trunk.push(part, Ticket(None, b"", 1))
        trunk.flush()
        for _ in range(2):
            found += bundle.unpack(worker.recv(1 << 16)) or []
        for part in parts[4:]:
            trunk.push(part, Ticket(None, b"", 1))
        trunk.flush()
        while len(found) < len(parts):
            found += bundle.unpack(worker.recv(1 << 16)) or []
        assert found == parts
        assert said.counts == {}


def test_every_frame_of_a_bundle_that_nobody_acknowledges_is_counted(worker: socket.socket) -> None:
    trunk = Trunk(1, worker.getsockname(), 1 << 16, said := Said())
    with closing(trunk):
        trunk.expire(0.0)
        for number in range(3):
            trunk.push(b"x", Ticket(None, bytes([number]), 1))
        trunk.flush()
        late = worker.recv(1 << 16)
        trunk.expire(0.5)
        trunk.expire(1.0)
        assert said.counts == {}
        trunk.expire(1.6)
        assert said.counts == {"unanswered": 3}
        assert acknowledged(worker, trunk, late) == [], "too late for its forwarder"


def test_a_damaged_frame_costs_its_bundle_nothing_and_a_forwarder_sends_no_bundles() -> None:
    whole = other.datagram(other.PUSH_DATA, 1, A, other.push_body(other.rxpk(PHY)))
    torn = other.datagram(other.PUSH_DATA, 2, A, b'{"rxpk":[{"data":"')

    async def body() -> None:
        async with running(behind_front=True) as rig:
            forwarder = rig.forwarder()
            forwarder.up.sendto(bundle.pack(0x0A0B, [whole, torn, whole]), rig.server)
            assert await other.receive(forwarder.up) == bytes.fromhex("020a0b01")
            await rig.until_counted("uplink", 2)
            await rig.until_counted("not_strict_json", 1)
            assert [each.phy for each in rig.uplinks] == [PHY, PHY]
        async with running() as rig:
            rig.forwarder().up.sendto(bundle.pack(0x0A0B, [whole]), rig.server)
            await rig.until_counted("unknown_identifier", 1)
            assert rig.uplinks == []

    run(body())


def test_one_by_one_it_is_the_same(worker: socket.socket) -> None:
    """Where there is no recvmmsg."""
    worker.setblocking(False)
    unbundled = bundle.Unbundled(OneByOne(worker, 8, bundle.MAX_BYTES))
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as front:
        front.settimeout(WAIT_S)
        front.connect(worker.getsockname())
        front.send(bundle.pack(3, [b"a", b"b"]))
        assert select([worker], [], [], WAIT_S)[0]
        found = unbundled.receive()
        assert [each.data for each in found] == [b"a", b"b"]
        assert unbundled.answer([(each.slot, b"....") for each in found]) == 0
        assert front.recv(9) == bytes.fromhex("02000301")
