# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Confirmed uplinks (TS001 sections 4.3.1.2 and 5.3): the same bytes NbTrans times, until they are acknowledged."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from firmware.wire import macnetwork
from firmware.wire.frame import CONFIRMED_UP
from hil_tests.network import FASTEST, Heard, Network

FPORT = 224
TX_FRAMES_CTRL = 0x07
UNCONFIRMED, CONFIRMED = 1, 2
COPIES = 3
LEAST_GAP_S = 1.0  # RETRANSMIT_TIMEOUT is 1 to 3 s, after RX2


@pytest.fixture
def network(joined: Network) -> Iterator[Network]:
    """A device that sends confirmed frames, each three times unless it is answered."""
    joined.exchange(fopts=macnetwork.link_adr_req(FASTEST, 0, 0, 6, COPIES))
    joined.exchange(fport=FPORT, payload=bytes((TX_FRAMES_CTRL, CONFIRMED)))
    yield joined
    joined.exchange(fport=FPORT, payload=bytes((TX_FRAMES_CTRL, UNCONFIRMED)))
    joined.exchange(fopts=macnetwork.link_adr_req(FASTEST, 0, 0, 6, 1))
    joined.exchange()


def _copies(network: Network, first: Heard) -> list[Heard]:
    """Return a frame and its copies; the frame behind them is answered."""
    frames = [first]
    while True:
        heard = network.next(copies=True)
        if heard.uplink.phy != first.uplink.phy:
            network.answer(heard)
            return frames
        frames.append(heard)


def test_a_confirmed_frame_that_nobody_answers_is_sent_three_times(network: Network) -> None:
    first = network.next_data()
    assert first.uplink.phy[0] >> 5 == CONFIRMED_UP
    frames = _copies(network, first)
    assert len(frames) == COPIES
    gaps = [later.uplink.at_s - earlier.uplink.at_s for earlier, later in pairwise(frames)]
    assert min(gaps) > 2 + LEAST_GAP_S  # behind both windows


def test_an_acknowledgement_ends_it(network: Network) -> None:
    first = network.next_data()
    network.answer(first)
    assert len(_copies(network, first)) == 1


def test_a_frame_that_does_not_acknowledge_does_not_end_it(network: Network) -> None:
    first = network.next_data()
    network.answer(first, ack=False)
    assert len(_copies(network, first)) > 1
