# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The street light's role and drivers on simulated chips: what can go wrong with one, hours in a moment."""

import asyncio
import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest

from boards.virtual.models import _dali_bus
from firmware.wire import readings
from firmware.wire.kinds import street_light
from tests.sim_bench import Bench, play

SEED = 3
DALI = "virtual_dali"
BOARDS = ["virtual", DALI]
MODEL = {"virtual": "lamp", DALI: "dali_gear"}


def light(board: str, script: Callable[[Bench], Any], scenario: str = "still", **settings: Any) -> Bench:
    async def begin(bench: Bench) -> None:
        bench.interval_ms = 20_000
        bench.environment.hold("illuminance_lx", 0.0)
        await script(bench)

    return play(board, "street_light", scenario, SEED, begin, **{"rated_w": 60, **settings})


def state(bench: Bench) -> dict[str, float]:
    found: dict[str, float] = bench.chips.models[MODEL[bench.board.board.name]].state()  # type: ignore[attr-defined]
    return found


def hours(seconds: float) -> float:
    return seconds / 3600


async def hold(bench: Bench, name: str, value: float | None, seconds: float = 90) -> None:
    bench.environment.hold(name, value)
    await bench.run(hours(seconds))


def fault(board: str, name: str, value: float = 1.0, **settings: Any) -> Bench:
    """A lamp at night, ninety seconds without a fault, with it, and without."""

    async def script(bench: Bench) -> None:
        await bench.run(hours(90))
        assert bench.alarms == []
        await hold(bench, name, value)
        await hold(bench, name, None)

    return light(board, script, **settings)


def raised(bench: Bench) -> dict[str, list[float]]:
    flags: dict[str, list[float]] = {}
    for _, told in bench.alarms:
        for name, value in told.items():
            if isinstance(value, bool):
                flags.setdefault(name, []).append(value)
    return flags


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("dead_lamp", 1.0, {"lamp_failure"}),
        ("mains_voltage_v", 180.0, {"undervoltage"}),
        ("mains_voltage_v", 275.0, {"overvoltage"}),
        ("temperature_c", 95.0, {"overheated"}),
    ],
)
def test_a_fault_is_told_and_its_end(board: str, name: str, value: float, expected: set[str]) -> None:
    bench = fault(board, name, value)
    assert raised(bench) == {each: [True, False] for each in expected}
    for _, told in bench.alarms:
        assert readings.encode_reading(street_light, 1, told, 1_800_000_000)


def test_dead_gear_draws_nothing_and_on_dali_says_nothing() -> None:
    assert raised(fault("virtual", "gear_failure")) == {"gear_failure": [True, False], "lamp_failure": [True, False]}
    assert raised(fault(DALI, "gear_failure")) == {"gear_failure": [True, False]}


@pytest.mark.parametrize("board", BOARDS)
def test_without_a_rated_power_only_the_gear_is_believed(board: str) -> None:
    told = raised(fault(board, "dead_lamp", rated_w=0))
    assert told == ({"lamp_failure": [True, False]} if board == DALI else {})


@pytest.mark.parametrize("board", BOARDS)
def test_a_lamp_that_burns_by_day(board: str) -> None:
    async def script(bench: Bench) -> None:
        await hold(bench, "illuminance_lx", 900.0)
        assert state(bench)["lit"] == 0
        assert bench.alarms == []
        await hold(bench, "lamp_stuck", 1.0)
        assert bench.chips.pins.pin(21).level == 0
        await hold(bench, "lamp_stuck", None)

    assert raised(light(board, script)) == {"day_burner": [True, False]}


def test_a_lamp_that_comes_and_goes() -> None:
    async def script(bench: Bench) -> None:
        await hold(bench, "lamp_cycling", 1.0, 120)
        await hold(bench, "lamp_cycling", None, 30)

    assert raised(light("virtual", script))["cycling"] == [True]


def test_a_pole_that_leans_and_a_door_that_stands_open() -> None:
    assert raised(fault(DALI, "pole_tilt_deg", 35.0)) == {"tilted": [True, False]}
    bench = fault(DALI, "pole_tilt_deg", 35.0)
    assert next(told for _, told in bench.alarms)["tilt_deg"] == pytest.approx(34.5, abs=2)
    assert raised(fault(DALI, "pole_tilt_deg", 10.0)) == {}
    assert raised(fault(DALI, "door_open")) == {"door_open": [True, False]}


@pytest.mark.parametrize("chip", ["hlw8012", "bl0937"])
@pytest.mark.parametrize("watts", [12.0, 60.0, 240.0])
def test_a_pulse_meter_measures_what_flows(monkeypatch: pytest.MonkeyPatch, chip: str, watts: float) -> None:
    from boards import schema

    board = schema.load_board(DALI)
    node = board.node.model_copy(update={"meter_pulse": board.node.meter_pulse.model_copy(update={"chip": chip})})  # type: ignore[union-attr]
    models = [
        each.model_copy(update={"chip": chip} if each.model == "hlw8012" else {})
        if each.model != "dali_gear"
        else each.model_copy(update={"rated_w": watts})
        for each in board.models
    ]
    made = board.model_copy(update={"node": node, "virtual": board.virtual.model_copy(update={"models": models})})  # type: ignore[union-attr]
    monkeypatch.setattr("tests.sim_bench.load_board", lambda name: made)

    async def script(bench: Bench) -> None:
        await bench.run(hours(240))

    bench = light(DALI, script, rated_w=0)
    values = bench.readings[-1][1]
    assert values["power_w"] == pytest.approx(watts, rel=0.02)
    assert values["voltage_v"] == pytest.approx(230, rel=0.01)
    assert values["current_a"] == pytest.approx(watts / 230 / 0.95, rel=0.05)
    assert values["energy_wh"] == pytest.approx(watts * 220 / 3600, abs=1.1)  # of the last reading


@pytest.mark.parametrize("board", BOARDS)
def test_a_fade_takes_its_time(board: str) -> None:
    """Of the settings, and of a command that brings its own."""
    levels: list[float] = []

    def share(bench: Bench) -> float:
        found = state(bench)
        return found["level"] / 254 if board == DALI else found["dim_pct"] / 100

    async def watch(bench: Bench, seconds: float) -> None:
        for _ in range(int(seconds * 2)):
            await bench.run(hours(0.5))
            levels.append(share(bench))

    async def script(bench: Bench) -> None:
        await watch(bench, 5)
        del levels[:]
        assert bench.role.command("dim", {"percent": 20, "minutes": 60, "fade_ms": 16_000}) == 0
        await watch(bench, 24)

    light(board, script, fade_ms=1000)
    between = [level for level in levels if min(levels) < level < max(levels)]
    assert 24 <= len(between) <= 36  # half seconds; gear knows 16 s, and begins within a look
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] == pytest.approx(0.2 if board == "virtual" else 195 / 254, abs=0.01)


def test_light_follows_percent_on_the_logarithmic_curve_of_dali() -> None:
    async def script(bench: Bench) -> None:
        for pct in (100, 50, 25, 10):
            bench.role.command("dim", {"percent": pct, "minutes": 60, "fade_ms": 0})
            await bench.run(hours(30))
            watts = state(bench)["power_w"]
            assert (watts - 2) / 58 == pytest.approx(pct / 100, rel=0.03)

    light(DALI, script, rated_w=0)


@pytest.mark.parametrize("board", BOARDS)
def test_constant_light_output_follows_the_burning_hours_day_by_day(board: str) -> None:
    """Nobody changes a setting for years, and nothing restarts: the daily report looks at it."""
    watts: list[float] = []

    async def script(bench: Bench) -> None:
        for hours_burned in (0, 19_000, 30_000):
            bench.role.burning.seconds = hours_burned * 3600
            await bench.role.status()
            bench.environment.hold("illuminance_lx", 900.0)
            await bench.run(hours(60))
            bench.environment.hold("illuminance_lx", 0.0)
            await bench.run(hours(60))
            watts.append(state(bench)["power_w"])

    light(board, script, rated_w=0, clo=[[10, 80], [20, 100]])
    assert watts == [pytest.approx(share * 58 + 2, rel=0.02) for share in (0.80, 0.98, 1.0)]


def test_gear_that_lost_its_mains_is_told_its_level_again() -> None:
    async def script(bench: Bench) -> None:
        bench.role.command("dim", {"percent": 30, "minutes": 60, "fade_ms": 0})
        await bench.run(hours(30))
        dimmed = state(bench)["level"]
        gear = bench.chips.models["dali_gear"]
        bench.chips.pins.pin(21).latch = 0  # a fuse, seen from the gear
        gear._look_at_mains()  # type: ignore[attr-defined]
        bench.chips.pins.pin(21).latch = 1
        gear._look_at_mains()  # type: ignore[attr-defined]
        assert state(bench)["level"] == 254
        await bench.run(hours(30))
        assert state(bench)["level"] == dimmed < 254

    light(DALI, script, rated_w=0)


def test_the_drivers_temperature_comes_from_the_gear_when_it_changes() -> None:
    async def script(bench: Bench) -> None:
        await bench.run(hours(100))
        bench.environment.hold("driver_temperature_c", 71.0)
        await bench.run(hours(60))

    bench = light(DALI, script)
    told = [values["driver_temperature_c"] for _, values in bench.readings if "driver_temperature_c" in values]
    assert told == [pytest.approx(bench.environment.get("temperature_c") + 24, abs=1.1), 71]


@pytest.mark.parametrize("board", BOARDS)
def test_self_test_names_what_is_broken(board: str) -> None:
    found: list[dict[str, int]] = []

    async def script(bench: Bench) -> None:
        await bench.run(hours(20))
        found.append(await bench.role.self_test())
        bench.environment.hold("gear_failure", 1.0)
        bench.chips.buses.i2c[0].devices.clear()
        if board == "virtual":
            bench.chips.buses.uart[1].device = None
        found.append(await bench.role.self_test())

    light(board, script)
    assert set(found[0].values()) == {0}
    broken = {name for name, result in found[1].items() if result == 1}
    assert broken == ({"thermometer", "gear", "tilt"} if board == DALI else {"thermometer", "meter"})


@pytest.mark.parametrize(("late", "known"), [(0, True), (3, True), (8, True), (1000, False)])
def test_an_answer_that_nobody_listened_to_is_no_silence(
    late: int, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A processor that comes too late for the answer again and again has learnt nothing: that is no dead gear."""
    told: list[int | None] = []

    async def script(bench: Bench) -> None:
        await bench.run(hours(20))
        left, sleep_ms = late, asyncio.sleep_ms  # type: ignore[attr-defined]

        async def slowly(ms: int) -> None:
            nonlocal left
            left -= 1
            await sleep_ms(ms + (20 if left >= 0 else 0))

        monkeypatch.setattr(asyncio, "sleep_ms", slowly, raising=False)
        for _ in range(3):
            told.append(await bench.role.extras.gear.look())
            await sleep_ms(2000)
            left = late
        await bench.run(hours(60))
        monkeypatch.undo()

    bench = light(DALI, script)
    assert [status is not None and status >= 0 for status in told] == [known] * 3
    assert "gear_failure" not in raised(bench)


@pytest.mark.parametrize("board", BOARDS)
def test_in_doubt_it_shines(board: str) -> None:
    """From the first moment, with a blind eye, and when somebody must be able to see."""

    async def script(bench: Bench) -> None:
        assert state(bench)["lit"] == 1  # nothing has run yet but opening
        await hold(bench, "illuminance_lx", 900.0, 30)
        assert state(bench)["lit"] == 0
        bench.role.fail_safe()
        assert state(bench)["lit"] == 1
        assert state(bench)["power_w"] == pytest.approx(60)

    light(board, script)


def test_a_frame_that_is_not_clean_is_not_obeyed() -> None:
    half = round(_dali_bus.HALF_US)
    clean = [half] * 2 + [half] * 32
    assert _dali_bus.decode(clean[:33]) == 0xFFFF
    assert _dali_bus.decode(clean[:31]) is None
    assert _dali_bus.decode([*clean[:10], 550, *clean[11:33]]) is None
    assert _dali_bus.decode([*clean[:9], half * 2, *clean[11:33]]) is None
    assert math.isclose(sum(span for _, span in _dali_bus.backward(0xA5)) / 1e6, 17 / 2400, rel_tol=0.1)


def test_a_board_without_a_pulse_generator_counts_microseconds_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock takes 7 us here, each switching of the pin 5: the edges stay where they belong."""
    frames: list[int | None] = []

    async def script(bench: Bench) -> None:
        from firmware.node.lamp import dali_bus, dali_frames

        now_us, edges = [0], [0]

        def ticks_us() -> int:
            now_us[0] += 7
            return now_us[0]

        class Wire:
            def value(self, level: int) -> None:
                now_us[0] += 5
                edges.append(now_us[0])

        with monkeypatch.context() as patch:
            patch.setattr("time.ticks_us", ticks_us, raising=False)
            for frame in (0xFE80, 0x01A0, 0xFF90, 0xA305):
                del edges[:]
                moments = dali_frames.edges_us(frame, 16)
                spans = [after - before for before, after in itertools.pairwise([0, *moments])]
                dali_bus.bang(Wire(), spans, 0)
                sent = [after - before for before, after in itertools.pairwise(edges)]
                assert max(abs(a - b) for a, b in zip(sent, spans, strict=True)) <= 20  # 41 us are allowed
                frames.append(_dali_bus.decode(sent))

    light(DALI, script)
    assert frames == [0xFE80, 0x01A0, 0xFF90, 0xA305]
