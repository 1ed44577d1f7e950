# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A turn of datagrams taken together brings, counts, refuses and acknowledges what each of them does alone."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.links import Uplink
from gateway.links.lora import Settings, quick_rxpk, quick_turn, semtech
from gateway.links.lora.bulk import Datagram
from gateway.links.lora.server import LoraLink
from gateway.operate.counters import Counters
from tests.fake_datagrams import FakeDatagrams
from tests.outbox_rig import TestClock
from tests.packet_forwarder import mutate

_EUIS = [bytes.fromhex(f"aa555a000000010{each}") for each in range(3)]
_SENDERS = [("127.0.0.1", 1), ("127.0.0.2", 2), ("127.0.0.1", 3)]
_BODY = (
    b'{"rxpk":[{"tmst":1,"freq":868.1,"chan":0,"rfch":1,"stat":1,"modu":"LORA","datr":"SF7BW125","codr":"4/5",'
    b'"rssi":-35,"lsnr":5.1,"size":14,"data":"QAEAAAIAAAABqgECAwQ="}]}'
)
_TWO = _BODY[:-2] + b"," + _BODY[9:]
_SX1302 = (
    b'{"rxpk":[{"jver":1,"tmst":7,"time":"2026-11-22T08:00:00.5Z","tmms":9,"chan":2,"rfch":0,"freq":867.1,"mid":8,"stat":1,'
    b'"modu":"LORA","datr":"SF9BW125","codr":"4/6","rssis":-36,"lsnr":-5.1,"foff":1,"rssi":-110,"size":14,"data":"QAEAAAIAAAABqgECAwQ="}]}'
)
_BODIES = [
    _BODY, _BODY, _BODY, _SX1302, _TWO, _BODY.replace(b":", b": "), b'{"stat":{"rxnb":1}}', b"{",
    _BODY.replace(b'"stat":1', b'"stat":-1'),
]  # fmt: skip
_DATAGRAMS = st.tuples(
    st.sampled_from([0, 0, 0, 0, 1, 2]), st.sampled_from([0, 0, 0, 1, 2]), st.sampled_from([0, 0, 0, 0, 2, 5, 9]),
    st.sampled_from(_BODIES), st.sampled_from([False] * 9 + [True]),
)  # fmt: skip


def _datagram(slot: int, eui: int, sender: int, what: int, body: bytes, cut: bool) -> Datagram:
    data = b"\2" + bytes([0, slot, what]) + _EUIS[eui] + (b"" if what == 2 else body)
    return Datagram(data, cut, _SENDERS[sender], slot)


def _turns(turns: list[list[Datagram]]) -> tuple[list[Uplink], Any, list[Any], Any]:
    clock, counters, datagrams, heard = TestClock(), Counters(), FakeDatagrams([]), list[Uplink]()
    gateways = [{"eui": _EUIS[0].hex()}, {"eui": _EUIS[1].hex(), "allow": ["127.0.0.2/32"]}]
    link = LoraLink(
        Settings.model_validate(
            {"type": "lora", "name": "air", "gateways": gateways, "rate_per_s": 1, "rate_burst": 9, "pin_s": 3.0}
        ),
        clock,
        counters,
    )
    for datagrams.came in turns:
        link._read(datagrams, heard.append)
        clock.sleep(2.0)
    known = [
        (each.host, each.sender, each.heard_at_s, each.uplinks, each.stat, each.pull_address, each.pulled_at_s)
        for each in link.forwarders.values()
    ]
    return heard, counters.snapshot(), datagrams.answers, known


def _assert_taken_alike(turns: list[list[Datagram]]) -> None:
    """As with nothing that is quick: neither of whole turns nor of single bodies."""
    quick = _turns(turns)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(quick_turn, "admitted", lambda *_: None)
        patched.setattr(quick_rxpk, "packets", lambda *_: None)
        plain = _turns(turns)
    assert plain == quick
    assert repr(plain) == repr(quick)  # 1 and 1.0 are equal, and not the same


@settings(deadline=None)
@given(st.lists(st.lists(_DATAGRAMS, max_size=6), max_size=8))
def test_a_turn_is_taken_alike(turns: list[list[Any]]) -> None:
    _assert_taken_alike([[_datagram(slot, *parts) for slot, parts in enumerate(turn)] for turn in turns])


@settings(deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from([_BODY, _SX1302, _TWO]), st.integers(0, 2**32)), max_size=4), max_size=4
    )
)
def test_a_turn_of_damaged_datagrams_is_taken_alike(turns: list[list[tuple[bytes, int]]]) -> None:
    """Among others that are whole, from a gateway that is known by its address since the first turn."""
    known = _datagram(0, 0, 0, 0, _BODY, cut=False)
    damaged = [
        [
            (mutate(random.Random(seed), _datagram(slot, 0, 0, 0, body, cut=False).data))
            for slot, (body, seed) in enumerate(turn)
        ]
        for turn in turns
    ]
    _assert_taken_alike(
        [[known]]
        + [
            [Datagram(data, False, _SENDERS[0], slot) for slot, data in enumerate([known.data, *turn, known.data])]
            for turn in damaged
        ]
    )


def test_a_usual_turn_needs_nothing_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    first = [_datagram(0, 0, 0, 0, _BODY, cut=False)]
    turn = [_datagram(slot, 0, 0, 0, body, cut=False) for slot, body in enumerate([_BODY, _SX1302, _SX1302, _BODY])]
    heard, _, acks, _ = plain = _turns([first, turn])
    assert len(heard) == len(acks) == 5
    monkeypatch.setattr(quick_rxpk, "_any_order", lambda *_: None)
    monkeypatch.setattr(semtech, "plain_push_data", lambda _: pytest.fail("read plainly"))
    assert _turns([first, turn]) == plain


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.sampled_from([0, 0, 0, 2, 5])), max_size=20), st.integers(0, 2))
def test_a_turn_is_acknowledged_as_each_of_it(came: list[tuple[int, int]], refused: int) -> None:
    """What is no PUSH_DATA has no PUSH_ACK, nor has what was refused."""
    datagrams = FakeDatagrams([])
    heard: Any = [
        (Datagram(b"\2" + token.to_bytes(2, "big") + bytes([kind]), False, None, slot), None)
        for slot, (token, kind) in enumerate(came)
    ]
    assert quick_turn.acknowledge(datagrams, heard[refused:], len(came)) == 0
    pushed = [(slot, token) for slot, (token, kind) in enumerate(came) if slot >= refused and kind == 0]
    assert datagrams.answers == [(slot, semtech.build_push_ack(token)) for slot, token in pushed]
