# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Joining (TS001 section 6.2): nonces, windows, and what a device must not believe."""

from collections.abc import Callable

import pytest

from firmware.wire import macnetwork, region
from firmware.wire.airtime import time_on_air_us
from hil_tests.network import FASTEST, TRIES, Heard, Network
from hil_tests.rigs import power_cycle

MAX_SF_BEFORE_RX2 = 10  # a Join-Accept in RX1 at SF11 or SF12 is still in the air when RX2 opens
MORE_HZ = [867100000, 867300000, 867500000, 867700000, 867900000]
JOIN_BUDGET_US = 36_000_000
JOIN_SILENCE_S = 45
Fresh = Callable[..., Network]


def _joined(network: Network, answer: Callable[[Heard], object], max_sf: int = 12) -> Heard:
    """Return the first data frame after *answer* to a Join-Request of that SF at most.

    A device may miss an answer, and a virtual one does where the machine is busy: asked again, it is answered again.
    """
    answered = 0
    heard = network.next_join()
    while heard.received is None:
        if heard.uplink.sf > max_sf:
            power_cycle(network.rig)  # the next request comes at once, at another data rate
        elif answered == TRIES:
            raise AssertionError(f"the device took none of {TRIES} Join-Accepts")
        else:
            answer(heard)
            answered += 1
        heard = network.fresh()
    return heard


@pytest.mark.slow
@pytest.mark.parametrize("window", [1, 2])
def test_a_join_accept_is_taken_in_either_window(fresh: Fresh, window: int) -> None:
    network = fresh()
    asked = []

    def accept(heard: Heard) -> None:
        asked.append(heard.uplink.freq_hz)
        network.accept(heard, window)

    assert _joined(network, accept).data.fcnt == 0
    assert set(asked) <= set(region.DEFAULT_CHANNELS_HZ)


def test_a_devnonce_grows_with_every_request_and_over_power_cuts(fresh: Fresh) -> None:
    network = fresh()
    for _ in range(2):
        network.next_join()
        power_cycle(network.rig)
    _joined(network, network.accept)
    assert network.dev_nonces == sorted(set(network.dev_nonces))
    assert len(network.dev_nonces) >= 3


@pytest.mark.slow
def test_a_devnonce_grows_while_nobody_answers(fresh: Fresh) -> None:
    network = fresh()
    for _ in range(3):
        network.next_join()
    assert network.dev_nonces == sorted(set(network.dev_nonces))


def test_a_join_accept_with_a_wrong_mic_is_ignored(fresh: Fresh) -> None:
    network = fresh()

    def wrong_then_right(heard: Heard) -> None:
        right = network.join_accept(heard)
        network.send(right[:-1] + bytes([right[-1] ^ 1]), heard, 1)
        network.accept(heard, 2)  # a device that took the first one would not listen any more

    assert _joined(network, wrong_then_right, MAX_SF_BEFORE_RX2).received is not None


@pytest.mark.slow
def test_a_joinnonce_that_came_before_is_refused(fresh: Fresh) -> None:
    network = fresh(certification=True)
    network.join_at(FASTEST)
    network.exchange(fport=224, payload=b"\x02")  # DutJoinReq: join again
    old = network.rig.next_join_nonce() - 1

    def old_then_new(heard: Heard) -> None:
        network.send(network.join_accept(heard, join_nonce=old), heard, 1)
        network.accept(heard, 2)

    assert _joined(network, old_then_new, MAX_SF_BEFORE_RX2).data.fcnt == 0
    assert network.session is not None
    assert network.session.dev_addr & 0xFFFFFF > old


@pytest.mark.slow
def test_the_channels_of_a_cflist_are_used(fresh: Fresh) -> None:
    network = fresh()
    network.join_at(FASTEST, cf_list=macnetwork.encode_cf_list(MORE_HZ))
    used = {network.exchange().uplink.freq_hz for _ in range(16)}
    assert used & set(MORE_HZ)  # by chance never: 3/8 to the power of 16
    assert used <= {*MORE_HZ, *region.DEFAULT_CHANNELS_HZ}


@pytest.mark.slow
def test_the_windows_are_those_of_the_join_accept(fresh: Fresh) -> None:
    network = fresh()
    settings = {"dl_settings": macnetwork.encode_dl_settings(2, 3), "rx_delay": 3}
    network.answer(_joined(network, lambda heard: network.accept(heard, **settings)), 1, confirmed=True)
    assert network.exchange(2, confirmed=True).data.ack
    assert network.next_data().data.ack


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_joining_in_vain_has_a_budget_that_power_cuts_do_not_renew(fresh: Fresh) -> None:
    """36 s of air time in the first hour (TS001 section 7), though the power goes after every request.

    It uses up the device's hour. Hours after that one are tested in simulated time (tests/upy/node_lora.py).
    """
    network = fresh()
    network.rig.air_log()  # a bench, where the next test would have to wait for an hour, skips it here
    used_us = requests = 0
    try:
        while True:
            uplink = network.next_join(JOIN_SILENCE_S).uplink
            used_us += time_on_air_us(uplink.sf, uplink.bw_hz, len(uplink.phy))
            requests += 1
            power_cycle(network.rig)
    except AssertionError:
        pass  # silence
    assert requests >= 5
    assert used_us <= JOIN_BUDGET_US
    power_cycle(network.rig)
    assert network.silent_for(JOIN_SILENCE_S)
