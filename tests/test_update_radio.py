# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Signed releases by LoRa, in fragments (TS004), from the shipped gateway; in stepped time.

To a lamp, over lost frames, a power cut of the lamp and a restart of the gateway; one that breaks and is undone; and to
a bin in deep sleep, which hears nothing but what follows its own uplinks, of all of which some are lost too.
"""

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from boards.virtual import stepped
from provisioning.bench.package import Package, Purpose, package_for
from provisioning.updates import release, rollout
from tests.stepped_street import SteppedStreet

pytestmark = [pytest.mark.apart, pytest.mark.slow, pytest.mark.timeout(1800)]


def node(board: str = "virtual", kind: str = "street_light") -> Package:
    return package_for(board, Purpose(kind, frozenset({"serial", "lora"})))


def newer(old: Package) -> Package:
    return replace(old, files={**old.files, "firmware/newer.mpy": old.files["firmware/__init__.mpy"]})


def played(live: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        begun_s, now_s = stepped.clock()(), stepped.clock()
        await live()
        print(f"{now_s() - begun_s:.0f} s in the air")

    begun_s = time.monotonic()
    stepped.run(whole())
    print(f"{time.monotonic() - begun_s:.0f} s of this computer")


def test_a_lamp_takes_a_release_by_radio_whatever_is_lost(tmp_path: Path, rng: random.Random) -> None:
    async def live() -> None:
        street = SteppedStreet(tmp_path, node(), rng, loss=0.1)
        good = release.make(newer(node()), 1, street.key, base=release.Base.of(node()), health_s=3000)
        street.roll_out(good, "good")
        size = len(good.bundle)
        async with street.running():
            await street.until("good", lambda board: board.have > size // 4, "a quarter of it")
            await street.board.power_cut()
            await street.board.power_on()
            await street.until("good", lambda board: board.have > size // 2, "half of it")
            await street.stop_gateway()
            street.start_gateway()
            ended = await street.until("good", lambda board: board.state in rollout.ENDED, "the end")
            print(size, "bytes;", street.medium.lost, "of", street.medium.long, "lost")
            assert (ended.state, ended.problem) == (rollout.CONFIRMED, "")
            assert street.medium.lost > 5
            street.expect_lawful()

    played(live)


def test_a_release_that_breaks_is_undone_by_the_lamp_and_stops_its_roll_out(tmp_path: Path, rng: random.Random) -> None:
    async def live() -> None:
        street = SteppedStreet(tmp_path, node(), rng)
        worse = replace(newer(node()), main=b"import nothing_like_this\n")
        street.roll_out(release.make(worse, 1, street.key, base=release.Base.of(node()), health_s=3000), "bad")
        async with street.running():
            ended = await street.until("bad", lambda board: board.state in rollout.ENDED, "the end")
            assert (ended.state, ended.problem) == (rollout.FAILED, "unhealthy")
            assert b"was rolled back" in street.said.getvalue()
            assert "bad: stopped" in street.lykta("update", "status", "bad", code=1)
            await street.until_receipts(3)  # of the build before
            street.expect_lawful()

    played(live)


def test_a_bin_in_deep_sleep_takes_a_release_after_its_own_uplinks(tmp_path: Path, rng: random.Random) -> None:
    async def live() -> None:
        old = node("virtual_waste_bin", "waste_bin")
        street = SteppedStreet(tmp_path, old, rng, loss=0.05, interval_s=1800, lost_from_bytes=0)
        good = release.make(newer(old), 1, street.key, base=release.Base.of(old), health_s=7200)
        async with street.running():
            await street.board.until(lambda state: state["deep_sleeps"] > 2, 20000)
            now_s, begun_s = stepped.clock(), stepped.clock()()
            street.roll_out(good, "good")
            await street.until("good", lambda board: board.state != rollout.WAITING, "the offer")
            offered_s = now_s()
            tried = (rollout.TRIAL, rollout.CONFIRMED)  # that it is on trial may be lost as well
            await street.until("good", lambda board: board.state in tried, "the whole of it")
            print(f"offered after {offered_s - begun_s:.0f} s, on trial {now_s() - offered_s:.0f} s later")
            ended = await street.until("good", lambda board: board.state in rollout.ENDED, "the end")
            print(len(good.bundle), "bytes;", street.medium.lost, "of", street.medium.long, "frames lost")
            assert (ended.state, ended.problem) == (rollout.CONFIRMED, "")
            assert b"\nMemoryError" not in street.said.getvalue(), "memory was in pieces, and a task began anew"
            slept = street.board.state()["deep_sleeps"]
            await street.board.until(lambda state: state["deep_sleeps"] > slept + 2, 20000)
            street.expect_lawful()

    played(live)
