# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A bin that sleeps deep, over the air: each wake is a new start of the shipped firmware, and nobody can tell."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from boards.virtual import stepped
from boards.virtual.clock import MEMORY_BYTES
from firmware.node import slots
from firmware.wire import cbor, readings, region
from firmware.wire.kinds import common, waste_bin, waste_bin_controls
from tests.radio_city import City
from tests.sim_bench import Bench, play

pytestmark = [pytest.mark.timeout(700), pytest.mark.apart]
KEY = {name: key for name, key, *_ in (*waste_bin.FIELDS, *common.FIELDS)}
RESERVED = 64  # frame counters between two writes of the session to flash
PATIENCE_S = 200
NODE_BYTES = 1300  # of what a young node knows; names are short ones
GROWS_BYTES = MEMORY_BYTES - NODE_BYTES
LOOK = next(key for name, key, *_ in waste_bin_controls.SETTINGS if name == "asleep_look_s")


def bin_of(folder: Path, interval_ms: int) -> City:
    """A bin on which every wait of two seconds is worth a deep sleep, and which looks every five."""
    settings = {"/data/settings.a": slots.pack(1, cbor.dumps({LOOK: 5}))}
    options = {"board": "virtual_waste_bin", "node": {"deep_sleep_s": 2}}
    return City(folder, 1, None, options, settings, kind="waste_bin", interval_ms=interval_ms)


def told(city: City, field: str) -> list[Any]:
    """What readings say of a field, in the order of their numbers."""
    found = city.server.readings
    return [found[seq][KEY[field]] for seq in sorted(found) if KEY[field] in found[seq]]


def check_nobody_can_tell(city: City) -> None:
    """One session, every counter once, every reading once, its time never back, one report."""
    state, server = city.board.state(), city.server
    assert set(state["reset_causes"]) == {"PWRON_RESET", "DEEPSLEEP_RESET"}
    assert state["misuses"] == state["watchdog_bites"] == state["crashes"] == 0, state["last_misuse"]
    assert len({address for address, _ in server.fcnts}) == 1
    counts = [count for _, count in server.fcnts]
    assert counts == sorted(set(counts))
    assert counts[-1] < RESERVED  # each start that goes by flash leaves out what is left of a block
    assert sorted(server.readings) == list(range(1, len(server.readings) + 1))
    assert server.conflicts == []
    assert len(told(city, "boots")) == 1
    times = [server.readings[seq].get(readings.KEY_TIME) for seq in sorted(server.readings)]
    known = [time_s for time_s in times if time_s is not None]
    assert known == sorted(known)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_many_wakes_lose_nothing(tmp_path: Path) -> None:
    """As many readings as a bin makes in a day, a tenth of them while nobody answers."""

    async def live() -> None:
        async with bin_of(tmp_path, 4000) as city:
            city.server.data_rate = region.MAX_DEFAULT_DR  # it joins at one of chance: a slow one uses up its hour
            for goal in range(6, 49, 6):
                city.server.deaf = goal == 24
                begun = city.board.state()["deep_sleeps"]
                if city.server.deaf:
                    await city.board.until(lambda state, begun=begun: state["deep_sleeps"] > begun + 4, 200)
                else:
                    await city.until(
                        lambda goal=goal: len(city.server.readings) >= goal, f"{goal} readings", PATIENCE_S
                    )
            state, server = city.board.state(), city.server
            print(state["deep_sleeps"], state["mode_s"], len(server.readings))
            assert set(state["reset_causes"]) <= {"PWRON_RESET", "DEEPSLEEP_RESET"}
            assert sorted(server.readings) == list(range(1, len(server.readings) + 1))
            counts = [count for _, count in server.fcnts]
            assert counts == sorted(set(counts))  # each once, ever higher
            assert len({address for address, _ in server.fcnts}) == 1
            assert server.conflicts == []
            assert state["misuses"] == state["watchdog_bites"] == 0

    stepped.run(live())


def test_a_bin_sleeps_deep_and_wakes_for_what_matters(tmp_path: Path) -> None:
    async def live() -> None:
        async with bin_of(tmp_path, 9000) as city:
            await city.until(lambda: city.board.state()["deep_sleeps"] >= 2, "two deep sleeps", PATIENCE_S)
            await city.board.stimulus("lid_openings", city.board.state()["values"]["lid_openings"] + 1)
            await city.until(lambda: told(city, "lid_openings")[-1:] == [1], "the lid to be told of", PATIENCE_S)
            await city.board.until(lambda state: state["asleep"] == "deep", PATIENCE_S)
            print(len(city.board._rtc.memory()))
            assert 0 < len(city.board._rtc.memory()) <= NODE_BYTES
            await city.board.stimulus("bin_temperature_c", 90.0)
            await city.until(lambda: any(told(city, "fire")), "the fire", PATIENCE_S)
            assert city.server.alarms[-1][1]  # confirmed
            check_nobody_can_tell(city)
            print(city.board.state()["mode_s"])

    stepped.run(live())


def test_what_a_bin_knows_after_days_fits_beside_what_the_node_knows() -> None:
    """And comes back as it was: the trend with all its points, alarms, what was told."""

    async def script(bench: Bench) -> None:
        slumber = importlib.import_module("firmware.node.slumber")

        def kept() -> list[dict[str, Any]]:
            return [slumber._plain(each) for each in bench.role.kept()]

        young = sum(len(cbor.dumps(each)) for each in kept())
        await bench.run(30)
        assert len(bench.role._trend._trend.points()) > 16
        old = kept()
        grown = sum(len(cbor.dumps(each)) for each in old) - young
        print(grown)
        assert grown <= GROWS_BYTES
        before = [dict(vars(each)) for each in bench.role.kept()]
        for packed, was in zip(old, before, strict=True):
            thawed = slumber._thawed(cbor.loads(cbor.dumps(packed), 8, 1024))
            assert set(thawed) <= set(was)
            for name, value in thawed.items():
                assert value == pytest.approx(was[name], rel=1e-5) if isinstance(value, float) else True
                if isinstance(value, int | str | set):
                    assert value == was[name]
        speed = bench.role._trend.speed_pct_d()
        trend = slumber._thawed(slumber._plain(bench.role._trend._trend))
        for name, value in trend.items():
            setattr(bench.role._trend._trend, name, value)
        assert bench.role._trend.speed_pct_d() == pytest.approx(speed, rel=1e-3)

    play("virtual_waste_bin", "waste_bin", "week", 7, script)
