# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The two windows after an uplink (TS001 section 3.3)."""

import pytest

from hil_tests.network import Network


@pytest.mark.parametrize("window", [1, 2])
def test_an_answer_in_one_window_alone_is_heard(joined: Network, window: int) -> None:
    joined.exchange(window, confirmed=True)
    assert joined.next_data().data.ack


def test_without_an_answer_the_device_goes_on(joined: Network) -> None:
    counters = [joined.next_data().data.fcnt for _ in range(2)]
    assert counters[1] == counters[0] + 1
    joined.exchange(confirmed=True)
    assert joined.next_data().data.ack


@pytest.mark.slow
def test_an_acknowledgement_is_given_once(joined: Network) -> None:
    joined.exchange(confirmed=True)
    assert joined.next_data().data.ack
    assert not joined.next_data().data.ack


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.4, 1.4, 2.5])
def test_a_class_a_device_is_deaf_outside_its_windows(joined: Network, delay_s: float) -> None:
    assert joined.session is not None
    heard = joined.next_data()
    joined.send(joined.session.seal_downlink(None, b"", confirmed=True), heard, 1, delay_s=delay_s)
    assert not joined.exchange(confirmed=True).data.ack
    assert joined.next_data().data.ack
