# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Several gears on one DALI bus: asked in turn, told together; and a bus that waits for the radio."""

from pathlib import Path
from typing import Any

import pytest

from boards import schema
from boards.virtual import stepped
from firmware.node import slots
from firmware.wire import cbor, region
from firmware.wire.kinds import street_light_controls
from tests.radio_city import City
from tests.sim_bench import Bench, play
from tests.test_dali_addressing import hang

DALI = "virtual_dali"
HOUR_S = 3600


def seconds(bench: Bench, count: float) -> Any:
    return bench.run(count / HOUR_S)


def with_gears(count: int, script: Any, seed: int, **settings: int) -> Bench:
    """A light with gear at the short addresses 0 to count - 1."""

    async def begin(bench: Bench) -> None:
        bench.interval_ms = 20_000
        bench.environment.hold("illuminance_lx", 0.0)
        gears = hang(bench, count - 1, addressed=False)
        for address, gear in enumerate(gears):
            gear.addressing.short = address
        await script(bench, gears)

    return play(DALI, "street_light", "still", seed, begin, **{"gear_count": count, **settings})


def flags(bench: Bench, name: str) -> list[Any]:
    return [told[name] for _, told in bench.alarms if name in told]


def test_each_gear_is_asked_and_one_that_is_silent_is_told(seed: int) -> None:
    async def script(bench: Bench, gears: list[Any]) -> None:
        await seconds(bench, 60)
        assert bench.alarms == []
        wires = bench.chips.pins.pulses.listeners[19].__self__  # type: ignore[union-attr]
        wires.gear.remove(gears[2])
        await seconds(bench, 60)
        assert bench.role.extras.gear._faults == [False, False, True]  # which one, a line of the log says
        wires.gear.append(gears[2])
        await seconds(bench, 60)

    bench = with_gears(3, script, seed)
    assert flags(bench, "gear_failure") == [True, False]
    assert flags(bench, "lamp_failure") == []


def test_one_dead_lamp_of_three_is_told(seed: int) -> None:
    async def script(bench: Bench, gears: list[Any]) -> None:
        load, fault = gears[1].load, gears[1].load.fault
        load.fault = lambda name: name == "dead_lamp" or fault(name)
        await seconds(bench, 60)
        load.fault = fault
        await seconds(bench, 60)

    bench = with_gears(3, script, seed)
    assert flags(bench, "lamp_failure") == [True, False]
    assert flags(bench, "gear_failure") == []


def test_all_gears_are_dimmed_and_the_one_that_lost_its_level_is_told_it_again(seed: int) -> None:
    async def script(bench: Bench, gears: list[Any]) -> None:
        await seconds(bench, 30)
        assert bench.role.command("dim", {"percent": 30, "minutes": 60, "fade_ms": 0}) == 0
        await seconds(bench, 30)
        levels = [gear.state()["level"] for gear in gears]
        assert len(set(levels)) == 1 and 0 < levels[0] < 254
        gears[1]._from = gears[1]._to = 254.0
        await seconds(bench, 60)
        assert [gear.state()["level"] for gear in gears] == levels

    with_gears(3, script, seed, rated_w=0)


def test_the_hottest_driver_is_told(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(bench: Bench, gears: list[Any]) -> None:
        environment, get = gears[1]._environment, gears[1]._environment.get
        bench.environment.hold("driver_temperature_c", 40.0)
        hot = type("Hot", (), {"__getattr__": lambda self, name: getattr(environment, name)})()
        hot.get = lambda name: 77.0 if name == "driver_temperature_c" else get(name)
        gears[1]._environment = hot
        await seconds(bench, 60)

    bench = with_gears(2, script, seed)
    told = [values["driver_temperature_c"] for _, values in bench.readings if "driver_temperature_c" in values]
    assert told[-1] == 77


def test_a_group_is_ours_and_the_rest_of_the_bus_is_left_alone(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gear of others is on the bus; ours is put into group 5 as it gets its address."""
    board = schema.load_board(DALI)
    dali = board.node.dali
    assert dali is not None
    ours = dali.model_copy(update={"address": None, "group": 5})
    made = board.model_copy(update={"node": board.node.model_copy(update={"dali": ours})})
    monkeypatch.setattr("tests.sim_bench.load_board", lambda name: made)

    async def script(bench: Bench) -> None:
        bench.environment.hold("illuminance_lx", 0.0)
        there, new = hang(bench, 1, addressed=False)
        assert bench.role.command("address_gear", {}) == 0
        await bench.role.addressing
        assert (there.groups, new.groups) == (set(), {5})
        bench.role.command("dim", {"percent": 20, "minutes": 60, "fade_ms": 0})
        await seconds(bench, 30)
        assert there.state()["level"] == 254
        assert new.state()["level"] < 254

    play(DALI, "street_light", "still", seed, script)


def test_how_many_gears_there_are_is_a_setting() -> None:
    assert ("gear_count", 38, (0, 16), 0) in street_light_controls.SETTINGS


@pytest.mark.parametrize("ends", [True, False])
def test_the_bus_waits_while_a_radio_sends_and_listens(seed: int, ends: bool) -> None:
    """But not for good, and never for what makes safe."""

    class Link:
        in_exchange = False

    async def script(bench: Bench) -> None:
        bench.environment.hold("illuminance_lx", 0.0)
        link = bench.role.extras.gear.bus.link = Link()
        await seconds(bench, 30)
        gear = bench.chips.models["dali_gear"]

        def frames() -> float:
            return gear.state()["frames"]  # type: ignore[attr-defined,no-any-return]

        await seconds(bench, 1)
        link.in_exchange = True
        await seconds(bench, 1)  # what was on its way
        before = frames()
        await seconds(bench, 15)
        assert frames() == before
        bench.role.fail_safe()
        assert frames() == before + 4
        link.in_exchange = not ends
        await seconds(bench, 40)
        assert frames() > before + 4

    play(DALI, "street_light", "still", seed, script, rated_w=60)


@pytest.mark.apart
@pytest.mark.timeout(300)
def test_no_window_is_late_because_of_a_bus_that_is_asked_all_the_time(tmp_path: Path) -> None:
    """On the board itself, in stepped time: what holds the processor there is the bus alone. All gear is dead, so that
    each of sixteen queries is repeated, and takes longer than a window is allowed to be late."""

    async def live() -> None:
        options = {"board": DALI, "scenario_name": "gear_failure"}
        settings = {"/data/settings.a": slots.pack(1, cbor.dumps({38: 16}))}
        # A board joins at a data rate of chance, and the slowest carries no reading every few seconds.
        async with City(tmp_path, 2, {"window_error_us": 3000}, options, settings, interval_ms=8000) as city:
            city.server.data_rate = region.MAX_DEFAULT_DR
            await city.until(lambda: city.server.base >= 10, "10 readings, receipted", wait_s=3600)
            said = city.text.decode(errors="replace")
            assert "late" not in said, said
            assert city.board.state()["models"]["dali_gear"]["frames"] > 400  # of all that were for somebody

    stepped.run(live())
