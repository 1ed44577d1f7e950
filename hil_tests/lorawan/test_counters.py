# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Frame counters (TS001 section 4.3.1.5): never the same twice on the way up, no old one taken on the way down."""

import pytest

from hil_tests.network import Network
from hil_tests.rigs import power_cycle


def test_fcntup_grows_over_power_cuts(joined: Network) -> None:
    counters = [joined.exchange().data.fcnt for _ in range(2)]
    for _ in range(2):
        power_cycle(joined.rig)
        counters.append(joined.exchange().data.fcnt)
    assert counters == sorted(set(counters))


def test_a_replayed_downlink_is_ignored(joined: Network) -> None:
    heard = joined.next_data()
    phy = joined.answer(heard, confirmed=True)
    heard = joined.next_data()
    assert heard.data.ack
    joined.send(phy, heard, 1)  # the same once more, byte by byte
    heard = joined.next_data()
    assert not heard.data.ack
    joined.answer(heard, confirmed=True)
    assert joined.next_data().data.ack


@pytest.mark.slow
def test_an_old_downlink_is_ignored_after_a_power_cut(joined: Network) -> None:
    phy = joined.answer(joined.next_data(), confirmed=True)
    assert joined.exchange().data.ack
    power_cycle(joined.rig)
    joined.send(phy, joined.next_data(), 1)
    assert not joined.exchange().data.ack


@pytest.mark.slow
def test_a_downlink_with_a_wrong_mic_moves_no_counter(joined: Network) -> None:
    heard = joined.next_data()
    assert joined.session is not None
    phy = joined.session.seal_downlink(None, b"", confirmed=True)
    joined.send(phy[:-1] + bytes([phy[-1] ^ 1]), heard, 1)
    heard = joined.next_data()
    assert not heard.data.ack
    joined.send(phy, heard, 1)
    assert joined.next_data().data.ack


@pytest.mark.slow
def test_counters_may_skip_on_the_way_down(joined: Network) -> None:
    assert joined.session is not None
    joined.session.fcnt_down += 1000  # frames that the device did not hear
    joined.exchange(confirmed=True)
    assert joined.next_data().data.ack
