# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Joining (TS001 section 6.2): nonces, windows, and what a device must not believe."""

from collections.abc import Callable

import pytest

from firmware.wire import macnetwork, region
from hil_tests.network import FASTEST, Heard, Network
from hil_tests.rigs import power_cycle

MAX_SF_BEFORE_RX2 = 10  # a Join-Accept in RX1 at SF11 or SF12 is still in the air when RX2 opens
MORE_HZ = [867100000, 867300000, 867500000, 867700000, 867900000]
Fresh = Callable[..., Network]


def _fast_join(network: Network) -> Heard:
    """Return a Join-Request fast enough for two different answers, one in each window."""
    while True:
        heard = network.next_join()
        if heard.uplink.sf <= MAX_SF_BEFORE_RX2:
            return heard
        power_cycle(network.rig)  # the next request comes at once, at another data rate


def _is_joined(network: Network) -> bool:
    return network.next_data().received is not None


@pytest.mark.slow
@pytest.mark.parametrize("window", [1, 2])
def test_a_join_accept_is_taken_in_either_window(fresh: Fresh, window: int) -> None:
    network = fresh()
    heard = network.join(window)
    assert heard.uplink.freq_hz in region.DEFAULT_CHANNELS_HZ
    assert network.next_data().data.fcnt == 0


def test_a_devnonce_grows_with_every_request_and_over_power_cuts(fresh: Fresh) -> None:
    network = fresh()
    for _ in range(2):
        network.next_join()
        power_cycle(network.rig)
    network.join()
    assert network.dev_nonces == sorted(set(network.dev_nonces))
    assert len(network.dev_nonces) == 3
    assert _is_joined(network)


@pytest.mark.slow
def test_a_devnonce_grows_while_nobody_answers(fresh: Fresh) -> None:
    network = fresh()
    for _ in range(3):
        network.next_join()
    assert network.dev_nonces == sorted(set(network.dev_nonces))


def test_a_join_accept_with_a_wrong_mic_is_ignored(fresh: Fresh) -> None:
    network = fresh()
    heard = _fast_join(network)
    right = network.join_accept(heard)
    network.send(right[:-1] + bytes([right[-1] ^ 1]), heard, 1)
    network.accept(heard, 2)  # a device that took the first one would not listen any more
    assert _is_joined(network)


@pytest.mark.slow
def test_a_joinnonce_that_came_before_is_refused(fresh: Fresh) -> None:
    network = fresh(certification=True)
    network.join()
    network.exchange(fport=224, payload=b"\x02")  # DutJoinReq: join again
    heard = network.next_join()
    old = network.rig.next_join_nonce() - 1
    while heard.uplink.sf > MAX_SF_BEFORE_RX2:
        power_cycle(network.rig)
        heard = network.next_join()
    network.send(network.join_accept(heard, join_nonce=old), heard, 1)
    network.accept(heard, 2)
    assert network.next_data().data.fcnt == 0
    assert network.session is not None
    assert network.session.dev_addr & 0xFFFFFF > old


@pytest.mark.slow
def test_the_channels_of_a_cflist_are_used(fresh: Fresh) -> None:
    network = fresh()
    network.join(cf_list=macnetwork.encode_cf_list(MORE_HZ))
    network.go_at(FASTEST)
    used = {network.exchange().uplink.freq_hz for _ in range(16)}
    assert used & set(MORE_HZ)  # by chance never: 3/8 to the power of 16
    assert used <= {*MORE_HZ, *region.DEFAULT_CHANNELS_HZ}


@pytest.mark.slow
def test_the_windows_are_those_of_the_join_accept(fresh: Fresh) -> None:
    network = fresh()
    network.join(dl_settings=macnetwork.encode_dl_settings(2, 3), rx_delay=3)
    network.exchange(1, confirmed=True)
    assert network.exchange(2, confirmed=True).data.ack
    assert network.next_data().data.ack
