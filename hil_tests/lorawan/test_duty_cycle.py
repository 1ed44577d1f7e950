# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the air recorded: every frame of the device inside a sub-band, and within the sub-band's budget of each hour.

Computed here anew from start, length and frequency of each frame; neither the device's books nor the air's are used.
"""

from collections import defaultdict
from collections.abc import Callable
from itertools import accumulate

import pytest

from firmware.wire import region
from hil_tests.network import Network

HOUR_US = 3_600_000_000


def used_in_fullest_hour_us(frames: list[tuple[int, int]]) -> int:
    """Return the most time on air in any hour; *frames* are (begin, end) in order."""
    until = [0, *accumulate(end - begin for begin, end in frames)]
    fullest, first = 0, 0
    for number, (_, end) in enumerate(frames):
        while frames[first][1] <= end - HOUR_US:
            first += 1
        fullest = max(fullest, until[number + 1] - until[first])
    return fullest


def test_each_sub_band_keeps_its_budget(joined: Network) -> None:
    for _ in range(8):
        joined.exchange()
    frames = [frame for frame in joined.rig.air_log() if not frame["iq"]]
    radio = frames[-1]["from"]  # those before it may have been told to forget their duty cycle
    sent: dict[int | None, list[tuple[int, int]]] = defaultdict(list)
    for frame in frames:
        if frame["from"] == radio:
            sent[region.band_of(frame["freq_hz"])].append((frame["at_us"], frame["until_us"]))
    assert sent
    for band, times in sent.items():
        assert band is not None, "sent where nothing may be sent"
        assert used_in_fullest_hour_us(sorted(times)) <= HOUR_US // region.BANDS[band][2]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_at_the_slowest_rate_the_device_stops_in_time(fresh: Callable[..., Network]) -> None:
    """At SF12 the 36 seconds of an hour are used up after some twenty frames; then there is silence."""
    network = fresh()
    network.rig.air_log()  # a bench, where the next test would have to wait for an hour, skips it here
    network.join_at(region.MIN_DR)
    while not network.silent_for(30):
        assert network.last is not None
        network.answer(network.last)
    frames = [one for one in network.rig.air_log() if not one["iq"]]
    radio = frames[-1]["from"]
    times = sorted((one["at_us"], one["until_us"]) for one in frames if one["from"] == radio)
    assert HOUR_US // 200 < used_in_fullest_hour_us(times) <= HOUR_US // 100
