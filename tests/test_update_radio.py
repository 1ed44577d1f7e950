# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A signed release to a lamp by LoRa, in fragments (TS004), from the shipped gateway; in stepped time.

Over lost frames, a power cut of the lamp and a restart of the gateway.
"""

import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from boards.virtual import stepped
from provisioning.bench.package import Package, Purpose, package_for
from provisioning.updates import release, rollout
from tests.stepped_street import SteppedStreet

pytestmark = [pytest.mark.apart, pytest.mark.slow, pytest.mark.timeout(1800)]


def node() -> Package:
    return package_for("virtual", Purpose("street_light", frozenset({"serial", "lora"})))


def newer() -> Package:
    return replace(node(), files={**node().files, "firmware/newer.mpy": node().files["firmware/__init__.mpy"]})


def test_a_lamp_takes_a_release_by_radio_whatever_is_lost(tmp_path: Path, rng: random.Random) -> None:
    async def live() -> None:
        street = SteppedStreet(tmp_path, node(), rng, loss=0.1)
        good = release.make(newer(), 1, street.key, base=release.Base.of(node()), health_s=3000)
        street.roll_out(good, "good")
        size = len(good.bundle)
        begun_s, now_s = stepped.clock()(), stepped.clock()
        async with street.running():
            await street.until("good", lambda board: board.have > size // 4, "a quarter of it")
            print("quarter", now_s() - begun_s)
            await street.board.power_cut()
            await street.board.power_on()
            await street.until("good", lambda board: board.have > size // 2, "half of it")
            print("half", now_s() - begun_s)
            await street.stop_gateway()
            street.start_gateway()
            ended = await street.until("good", lambda board: board.state in rollout.ENDED, "the end")
            print("end", now_s() - begun_s, size, street.medium.lost, street.medium.long)
            assert (ended.state, ended.problem) == (rollout.CONFIRMED, "")
            assert street.medium.lost > 5
            assert street.medium.duty.violation_count == 0, street.medium.duty.last_violations

    real_s = time.monotonic()
    stepped.run(live())
    print("real", time.monotonic() - real_s)
