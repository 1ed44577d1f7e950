# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The waste bin's role and drivers on simulated chips: an ordinary week and the days that are not."""

import asyncio
import itertools
from collections.abc import Iterable

import pytest

from boards.virtual.models import _bin
from firmware.wire import readings
from firmware.wire.kinds import waste_bin, waste_bin_controls
from tests.sim_bench import Bench, play

SEED = 11


def week(name: str, hours: float, **settings: int) -> Bench:
    return play("virtual_waste_bin", "waste_bin", name, SEED, lambda bench: bench.run(hours), **settings)


def fills(bench: Bench) -> Iterable[tuple[float, float]]:
    return ((hour, values["fill_pct"]) for hour, values in bench.readings if "fill_pct" in values)


def true_pct(bench: Bench, hour: float) -> float:
    """How full the bin was: 1200 mm deep, 100 of them stay free."""
    scenario = bench.environment.scenario
    begun = _bin.last_collection_s(hour * 3600)
    steps = range(int(begun // 300), int(hour * 12))
    content = sum(_bin.rate_mm_h(scenario, (step + 0.5) * 300) / 12 for step in steps)
    return min(100.0, content / 11.0)


@pytest.fixture(scope="module")
def ordinary() -> Bench:
    return week("week", 150)


def test_the_level_is_right_all_week(ordinary: Bench) -> None:
    errors = [abs(pct - true_pct(ordinary, hour)) for hour, pct in fills(ordinary)]
    assert len(errors) > 280
    assert sorted(errors)[len(errors) * 99 // 100] < 2.0
    assert max(errors) < 6.0


def test_collections_and_openings_are_counted(ordinary: Bench) -> None:
    told = [values["emptyings"] for _, values in ordinary.readings if "emptyings" in values]
    assert told[-1] == 2  # the second and the fifth morning
    openings = [values["lid_openings"] for _, values in ordinary.readings if "lid_openings" in values][-1]
    assert openings == pytest.approx(ordinary.environment.get("lid_openings"), rel=0.1)


def test_the_forecast_comes_true(ordinary: Bench) -> None:
    """Each said when 90 percent would be reached; at the pace of the days since the collection it would have been."""
    checked = 0
    for hour, values in ordinary.readings:
        since = hour - _bin.last_collection_s(hour * 3600) / 3600
        if since < 36 or "full_in_h" not in values or values["fill_pct"] > 80:
            continue
        pace = values["fill_pct"] / since
        assert values["full_in_h"] == pytest.approx((90 - values["fill_pct"]) / pace, rel=0.45, abs=10)
        assert values["fill_speed_pct_d"] == pytest.approx(pace * 24, rel=0.4)
        checked += 1
    assert checked > 30


def test_an_ordinary_week_has_no_alarm_but_the_full_bin(ordinary: Bench) -> None:
    assert {name for _, told in ordinary.alarms for name in told} <= {"full", "fill_pct"}


def test_readings_can_be_sent_as_they_are(ordinary: Bench) -> None:
    for _, values in [*ordinary.readings, *ordinary.alarms]:
        assert readings.encode_reading(waste_bin, 1, values, 1_800_000_000)


def test_a_festival_fills_it_and_it_reports_faster() -> None:
    bench = week("festival", 60)
    (raised, _), *_ = bench.alarm_hours("full")
    assert true_pct(bench, raised - 0.4) <= 92 <= true_pct(bench, raised) + 3
    hours = [hour for hour, _ in bench.readings]
    near_full = [b - a for a, b in itertools.pairwise(hours) if true_pct(bench, a) > 78]
    assert max(near_full) < 0.2
    assert min(b - a for a, b in itertools.pairwise(hours[:20])) > 0.45


def test_a_fire_is_told_within_two_looks() -> None:
    bench = week("fire", 30)
    alarms = bench.alarm_hours("fire")
    assert [value for _, value in alarms] == [True, False]
    begun = next(hour for hour in (26.5 + n / 3600 for n in range(1800)) if _temperature(bench, hour) >= 65)
    assert begun <= alarms[0][0] <= begun + 61 / 3600
    hot = next(told for _, told in bench.alarms if told.get("fire"))
    assert hot["temperature_c"] >= 45
    during = [hour for hour, _ in bench.readings if alarms[0][0] + 0.5 < hour < alarms[1][0]]
    assert all(b - a < 0.02 for a, b in itertools.pairwise(during))


def _temperature(bench: Bench, hour: float) -> float:
    scenario = bench.environment.scenario
    return scenario.at(hour * 3600)["temperature_c"] + 280 * scenario.event("fire", hour * 3600)


def test_a_bin_that_was_knocked_over_says_so_and_tells_no_level() -> None:
    bench = week("knock_down", 32)
    (raised, down), (cleared, up) = bench.alarm_hours("fallen")
    assert (down, up) == (True, False)
    assert 25.25 < raised < 25.3
    assert 30.75 < cleared < 30.8
    assert not [hour for hour, _ in fills(bench) if raised < hour < cleared]
    assert not bench.alarm_hours("sensor_fault")
    assert next(told for _, told in bench.alarms if told.get("fallen"))["tilt_deg"] == pytest.approx(88, abs=4)


def test_a_lid_that_stays_open_is_no_fallen_bin() -> None:
    bench = week("knock_down", 31, in_lid=1, lid_open_min=10)
    assert not bench.alarm_hours("fallen")
    assert [value for _, value in bench.alarm_hours("lid_open")] == [True, False]
    assert bench.alarm_hours("lid_open")[0][0] == pytest.approx(25.25 + 10 / 60, abs=0.02)


def test_sensors_that_fail_slowly_are_told_before_they_lie() -> None:
    bench = week("failing", 150)
    faults = bench.alarm_hours("sensor_fault")
    assert faults
    assert faults[0][1]
    wrong = [hour for hour, pct in fills(bench) if abs(pct - true_pct(bench, hour)) > 12]
    assert all(hour > faults[0][0] for hour in wrong)
    assert not bench.alarm_hours("fire")


def test_the_battery_is_judged_with_the_cold() -> None:
    async def script(bench: Bench) -> None:
        for temperature, volts in ((20.0, 3.58), (-20.0, 3.50), (20.0, 3.50)):
            bench.environment.hold("bin_temperature_c", temperature)
            bench.environment.hold("battery_v", volts)
            await bench.run(0.55)

    bench = play("virtual_waste_bin", "waste_bin", "week", SEED, script)
    warm, cold, used = (bench.readings[n][1]["battery_pct"] for n in (1, 3, 5))
    assert abs(warm - cold) <= 3  # 80 mV less at 40 degrees less: the same cell
    assert used < warm - 30
    assert bench.readings[1][1]["battery_v"] == pytest.approx(3.58, abs=0.002)


def test_a_battery_that_ends_is_told() -> None:
    async def script(bench: Bench) -> None:
        await bench.run(2)
        bench.environment.hold("battery_v", 3.2)
        await bench.run(2)

    bench = play("virtual_waste_bin", "waste_bin", "week", SEED, script)
    assert [value for _, value in bench.alarm_hours("battery_low")] == [True]


def test_self_test_names_what_is_broken() -> None:
    results: list[dict[str, int]] = []

    async def script(bench: Bench) -> None:
        results.append(await bench.role.self_test())
        bench.environment.hold("ranger_fault", 1.0)
        bench.chips.buses.i2c[0].devices.pop(0x19)
        bench.environment.hold("battery_v", 0.0)
        results.append(await bench.role.self_test())

    play("virtual_waste_bin", "waste_bin", "week", SEED, script)
    assert set(results[0].values()) == {0}
    assert results[1] == {"ultrasonic": 1, "optical": 0, "thermometer": 0, "tilt": 1, "battery": 1, "mount": 0}


@pytest.mark.parametrize(
    ("values", "settings", "straight"),
    [
        ({}, {}, True),
        ({"bin_tilt_deg": 12.0}, {}, True),
        ({"bin_tilt_deg": 30.0}, {}, False),
        ({"bin_tilt_deg": 30.0}, {"in_lid": 1}, True),  # a lid that somebody holds open
        ({"content_mm": 1090.0}, {}, True),  # over the rim is full, not crooked
        ({"content_mm": 0.0}, {"height_mm": 700}, False),  # it looks past the bottom, or the depth is wrong
        ({"content_mm": 300.0, "tof_dirt": 0.6}, {}, False),  # sound and light see different things
    ],
)
def test_how_it_hangs_is_judged_by_the_self_test(
    values: dict[str, float], settings: dict[str, int], straight: bool
) -> None:
    results: list[dict[str, int]] = []

    async def script(bench: Bench) -> None:
        for name, value in values.items():
            bench.environment.hold(name, value)
        bench.service.change(**settings)
        results.append(await bench.role.self_test())

    play("virtual_waste_bin", "waste_bin", "still", SEED, script)
    assert results[0]["mount"] == (0 if straight else 1)
    assert "mount" in {name for name, _ in waste_bin_controls.COMPONENTS}


def test_a_range_finder_that_sees_now_this_and_now_that_is_mounted_badly(monkeypatch: pytest.MonkeyPatch) -> None:
    results: list[dict[str, int]] = []

    async def script(bench: Bench) -> None:
        async def edge(driver: object, count: int) -> list[int]:
            return [(400, 900)[n % 2] for n in range(count)]

        monkeypatch.setattr(bench.role, "ranges_mm", edge)
        results.append(await bench.role.self_test())

    play("virtual_waste_bin", "waste_bin", "still", SEED, script)
    assert (results[0]["ultrasonic"], results[0]["mount"]) == (0, 1)


@pytest.mark.parametrize("ahead_ms", [0, 50, 150, 250, 400, 600])
def test_a_self_test_in_the_middle_of_a_measurement_spoils_neither(ahead_ms: int) -> None:
    """Both use the same range finders, which one of them would switch off under the other."""
    found: list[dict[str, float]] = []

    async def script(bench: Bench) -> None:
        measuring = asyncio.create_task(bench.role.measure())
        await asyncio.sleep(ahead_ms / 1000)
        found.append(await bench.role.self_test())
        found.append(await measuring)
        assert not bench.role.failures

    play("virtual_waste_bin", "waste_bin", "still", SEED, script)
    assert set(found[0].values()) == {0}
    assert "fill_pct" in found[1]


def test_settings_take_effect_at_once() -> None:
    async def script(bench: Bench) -> None:
        bench.environment.hold("content_mm", 550.0)
        await bench.run(0.6)
        bench.service.change(height_mm=2300, offset_mm=0, full_mm=100)
        await bench.run(0.6)

    bench = play("virtual_waste_bin", "waste_bin", "week", SEED, script)
    pct = [value for _, value in fills(bench)]
    assert pct[1] == pytest.approx(50, abs=1)  # 550 of 1100 mm
    assert pct[-1] == pytest.approx(100 * (2300 - 700) / 2200, abs=1)


def test_counters_survive_a_power_cut() -> None:
    async def script(bench: Bench) -> None:
        await bench.run(40)  # the first collection is behind it
        await bench.open()
        await bench.run(0.1)

    bench = play("virtual_waste_bin", "waste_bin", "week", SEED, script)
    told = [values for _, values in bench.readings if "emptyings" in values]
    assert told[-1]["emptyings"] == told[-2]["emptyings"] == 1
    openings = [values["lid_openings"] for _, values in bench.readings if "lid_openings" in values]
    assert openings[-2] - 16 <= openings[-1] <= openings[-2]


@pytest.mark.parametrize("knows_time", [True, False])
def test_the_forecast_survives_a_power_cut(knows_time: bool) -> None:
    """A clock that is not set yet leaves the old points where they are; they count when it is."""
    told: list[dict[str, float]] = []

    async def script(bench: Bench) -> None:
        bench.service.knows_time = True
        await bench.run(60)  # a day and a half behind the first collection
        told.append(bench.readings[-1][1])
        bench.service.knows_time = knows_time
        await bench.open()
        await bench.run(0.7)
        told.append(bench.readings[-1][1])
        bench.service.knows_time = True
        await bench.run(1.1)
        told.append(bench.readings[-1][1])

    play("virtual_waste_bin", "waste_bin", "week", SEED, script)
    before, soon, later = told
    assert ("full_in_h" in soon) == knows_time
    assert later["fill_speed_pct_d"] == pytest.approx(before["fill_speed_pct_d"], rel=0.15)
    assert later["full_in_h"] == pytest.approx(before["full_in_h"] - 1.8, rel=0.2)


def test_a_movement_raises_the_interrupt_until_it_is_asked_about() -> None:
    edges: list[tuple[float, int]] = []

    async def script(bench: Bench) -> None:
        pin = bench.chips.pins.pin(22)
        clock, begun_s = asyncio.get_running_loop(), bench.environment.now_s()

        def look() -> None:
            if not edges or edges[-1][1] != pin.level:
                edges.append((bench.environment.now_s() - begun_s, pin.level))

        bench.chips.pins.watch(22, look)
        openings = bench.environment.get("lid_openings")
        clock.call_later(12, lambda: bench.environment.hold("lid_openings", openings + 1))
        await bench.run(60 / 3600)

    play("virtual_waste_bin", "waste_bin", "still", SEED, script, look_s=10)
    levels = [level for _, level in edges]
    assert levels[-2:] == [1, 0]
    assert levels.count(1) == 1
    raised, cleared = edges[-2][0], edges[-1][0]
    assert 12 <= raised <= cleared <= 21
