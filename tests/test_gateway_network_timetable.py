# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""No two downlinks for one moment of one gateway, whatever its counter and the way of its datagrams do."""

from dataclasses import dataclass
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from boards.virtual.air.airtime import time_on_air_us
from boards.virtual.air.frames import Channel, Modulation
from boards.virtual.air.medium import Medium
from boards.virtual.forwarder.concentrator import Concentrator
from boards.virtual.forwarder.semtech_pdus import Txpk
from gateway.network.timetable import GUARD_US, Timetable

U32 = 1 << 32
SECOND_US = 1_000_000


def test_what_overlaps_is_not_taken_and_what_was_given_back_is_free() -> None:
    table = Timetable()
    first = table.take("gw", 5 * SECOND_US, 100 * SECOND_US, 400_000, 99 * SECOND_US)
    assert first is not None
    assert table.take("gw", 5_300_000, 100_300_000, 50_000, 99 * SECOND_US) is None
    assert table.take("gw", 4_990_000, 99_990_000, 50_000, 99 * SECOND_US) is None
    assert table.take("other", 5_300_000, 100_300_000, 50_000, 99 * SECOND_US) is not None
    assert table.take("gw", 5_400_000 + GUARD_US, 100_400_000 + GUARD_US, 50_000, 99 * SECOND_US) is not None
    table.give_back(first)
    table.give_back(first)
    assert table.take("gw", 4_990_000, 99_990_000, 50_000, 99 * SECOND_US) is not None


def test_the_counter_decides_not_when_the_datagram_came() -> None:
    table = Timetable()
    assert table.take("gw", 1_000_000, 101_000_000, 200_000, 0) is not None
    # Half a second apart by the counter; the second uplink's datagram was so slow that our clock says a second more.
    assert table.take("gw", 1_500_000, 102_500_000, 200_000, 0) is not None
    # The same moment by our clock as the first, but by the counter over when this one begins.
    assert table.take("gw", 1_800_000, 101_000_000, 200_000, 0) is not None
    assert table.take("gw", 1_850_000, 104_000_000, 200_000, 0) is not None, "a counter astray has begun anew"


def test_the_counter_wraps_and_a_long_silence_is_no_new_beginning() -> None:
    table = Timetable()
    assert table.take("gw", U32 - 100_000, 50_000_000, 400_000, 0) is not None
    assert table.take("gw", 200_000, 50_300_000, 100_000, 0) is None
    later_us = 50_000_000 + 3 * U32
    assert table.take("gw", 100_000, later_us + 200_000, 100_000, later_us) is not None
    assert table.take("gw", 150_000, later_us + 250_000, 100_000, later_us) is None


def test_what_goes_at_once_waits_for_room() -> None:
    table = Timetable()
    first = table.take_at_once("gw", 300_000, 0)
    second = table.take_at_once("gw", 300_000, 0)
    assert first.end_us <= second.start_us
    assert table.take("gw", 7, (first.start_us + first.end_us) // 2, 50_000, 0) is None
    assert table.take_at_once("gw", 300_000, 60 * SECOND_US).start_us > 60 * SECOND_US, "the past is forgotten"


@dataclass
class Wish:
    sf: int
    delay_s: int
    size: int


WISHES = st.lists(
    st.builds(Wish, st.integers(7, 12), st.sampled_from([1, 2, 5, 6]), st.integers(12, 51)), min_size=1, max_size=40
)


@given(WISHES, st.integers(0, U32 - 1), st.integers(0, 2**32))
def test_a_concentrator_never_answers_collision_packet(wishes: list[Wish], counter: int, seed: int) -> None:
    """Uplinks as they fall; each answer goes where the timetable has room. The concentrator is the air's own."""
    rng = Random(seed)
    concentrator = Concentrator(Medium(1), "gw", 0, counter)
    concentrator.join(0.0, 0.0, 0)
    table = Timetable()
    now_us, given_out = 1_000_000, 0
    for wish in wishes:
        now_us += rng.randrange(800_000)
        heard_us = now_us + rng.randrange(5_000, 150_000)
        tmst = (concentrator.counter(now_us) + wish.delay_s * SECOND_US) % U32
        airtime_us = time_on_air_us(wish.sf, 125_000, wish.size, False, 5, 8)
        slot = table.take("gw", tmst, heard_us + wish.delay_s * SECOND_US, airtime_us, heard_us)
        if slot is None:
            continue
        given_out += 1
        channel = Channel(868_100_000, wish.sf, 125_000, iq=True)
        txpk = Txpk(False, tmst, None, Modulation(channel, crc=False), 14, bytes(wish.size))
        assert concentrator.schedule(txpk, heard_us).error is None
    assert given_out
