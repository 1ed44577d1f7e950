# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Class C (TS001 section 17): the device listens on the parameters of RX2 whenever it does nothing else."""

from collections.abc import Iterator

import pytest

from firmware.wire import macnetwork, region
from firmware.wire.maccommands import RX_PARAM_SETUP
from hil_tests.network import ALL_OK, FASTEST, TRIES, Heard, Network

BETWEEN_WINDOWS_S = 0.4  # after the end of an uplink, before RX1
AFTER_WINDOWS_S = 3.0


@pytest.fixture
def network(joined_c: Network) -> Iterator[Network]:
    """A device whose RX2, and so class C, is at DR5: frames so short that they fit between its own."""
    if joined_c.rx2_dr != FASTEST:
        assert joined_c.ask(macnetwork.rx_param_setup_req(0, FASTEST, region.RX2_HZ)) == [
            (RX_PARAM_SETUP, bytes([ALL_OK]))
        ]
        joined_c.rx2_dr = FASTEST
        joined_c.exchange()
    return joined_c


def _send(network: Network, heard: Heard, delay_s: float, **frame: object) -> bytes:
    assert network.session is not None
    fields = {"fport": None, "payload": b"", "confirmed": True} | frame
    phy: bytes = network.session.seal_downlink(**fields)
    network.send(phy, heard, 2, delay_s=delay_s)
    return phy


def test_it_is_reached_before_rx1(network: Network) -> None:
    _send(network, network.next_data(), BETWEEN_WINDOWS_S)
    assert network.next_data().data.ack


def test_it_is_reached_between_two_uplinks(network: Network) -> None:
    """Answered in RX1 the exchange is over; a frame comes a moment later, before the next uplink.

    A virtual radio keeps real time: a device that waits for a processor may not listen again yet, so it has some tries.
    """
    for _ in range(TRIES):
        heard = network.next_data()
        network.answer(heard)
        _send(network, heard, 1.25)
        if any(network.next_data().data.ack for _ in range(2)):
            return
    raise AssertionError(f"the device heard none of {TRIES} frames between two of its own")


def test_its_windows_work_as_in_class_a(network: Network) -> None:
    for window in (1, 2):
        network.exchange(window, confirmed=True)
        assert network.next_data().data.ack


def test_mac_commands_outside_the_windows_are_not_obeyed(network: Network) -> None:
    _send(network, network.next_data(), BETWEEN_WINDOWS_S, fopts=macnetwork.dev_status_req())
    heard = network.next_data()
    assert heard.data.ack, "the frame itself is heard"
    assert heard.commands() == []


def test_a_replayed_frame_is_ignored(network: Network) -> None:
    phy = _send(network, network.next_data(), BETWEEN_WINDOWS_S)
    heard = network.next_data()
    assert heard.data.ack
    network.send(phy, heard, 2, delay_s=BETWEEN_WINDOWS_S)
    assert not network.next_data().data.ack
