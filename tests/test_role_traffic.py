# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The traffic role with each kind of detector on a simulated road: what it counts against who drove past."""

from collections.abc import Awaitable, Callable

import pytest

from firmware.wire import readings
from firmware.wire.kinds import traffic
from tests.sim_bench import Bench, play

SEED = 5
BOARDS = ("virtual_traffic", "virtual_traffic_field", "virtual_traffic_loops")
COUNTS = ("count_a", "count_b", "heavy_a", "heavy_b", "two_wheel_a", "two_wheel_b")


def drive(
    board: str, script: Callable[[Bench], Awaitable[None]], name: str = "street", seed: int = SEED, **settings: int
) -> Bench:
    return play(board, "traffic", name, seed, script, **settings)


def busy(minutes: float, interval_s: int = 300) -> Callable[[Bench], Awaitable[None]]:
    """Four times the usual traffic for so long, and then nobody."""

    async def script(bench: Bench) -> None:
        bench.interval_ms = interval_s * 1000
        await bench.run(0.02)  # the field at rest
        bench.environment.hold("traffic_flow", 2.5)
        await bench.run(minutes / 60)
        bench.environment.hold("traffic_flow", 0.0)
        await bench.run(interval_s * 1.2 / 3600)

    return script


def total(bench: Bench, name: str) -> int:
    return int(sum(values.get(name, 0) for _, values in bench.readings))


def road(bench: Bench) -> dict[str, float]:
    return next(iter(bench.chips.models.values())).state()


@pytest.fixture(scope="module", params=BOARDS)
def counted(request: pytest.FixtureRequest) -> Bench:
    return drive(request.param, busy(16))


def test_vehicles_are_counted_by_direction_and_class(counted: Bench) -> None:
    there = road(counted)
    assert there["road_a"] + there["road_b"] > 100
    exact = counted.board.board.name == "virtual_traffic_loops"
    slack = 1 if exact else max(3, 0.03 * there["road_a"])
    assert total(counted, "count_a") == pytest.approx(there["road_a"], abs=slack)
    assert total(counted, "count_b") == pytest.approx(there["road_b"], abs=slack)
    classes = (("heavy", 0.0 if exact else 0.15), ("two_wheel", 0.0 if exact else 0.35))
    for name, part in classes:
        found = total(counted, name + "_a") + total(counted, name + "_b")
        assert found == pytest.approx(there["road_" + name], rel=part, abs=1), name


def test_speeds_are_those_of_the_road(counted: Bench) -> None:
    means = [values["speed_mean_kmh"] for _, values in counted.readings if "speed_mean_kmh" in values]
    assert sum(means) / len(means) == pytest.approx(47.5, abs=1.2)  # 0.95 of 50, sigma 6
    p85 = [values["speed_p85_kmh"] for _, values in counted.readings if "speed_p85_kmh" in values]
    assert sum(p85) / len(p85) == pytest.approx(47.5 + 1.04 * 6, abs=2)
    above = [values["above_limit_pct"] for _, values in counted.readings if "above_limit_pct" in values]
    assert sum(above) / len(above) == pytest.approx(34, abs=15)  # beyond 50: 0.42 sigma


def test_readings_can_be_sent_and_hold_no_single_vehicle(counted: Bench) -> None:
    names = {field[0] for field in traffic.FIELDS}
    for _, values in [*counted.readings, *counted.alarms]:
        assert set(values) <= names
        assert readings.encode_reading(traffic, 1, values, 1_800_000_000)


def test_intervals_end_on_whole_ones(counted: Bench) -> None:
    whole = [hour for hour, values in counted.readings if values["interval_s"] == 300]
    assert whole
    for hour in whole:
        assert abs(hour * 12 - round(hour * 12)) < 0.001  # 0.3 s


def test_headway_and_occupancy_fit_the_counts(counted: Bench) -> None:
    values = next(values for _, values in counted.readings if values["interval_s"] == 300)
    passed = values["count_a"] + values["count_b"]
    assert values["headway_s"] == pytest.approx(2 * 300 / passed, rel=0.35)
    assert 3 < values["occupancy_pct"] < 45


def test_an_empty_road_is_no_fault() -> None:
    async def script(bench: Bench) -> None:
        bench.environment.hold("traffic_flow", 0.0)
        bench.interval_ms = 300_000
        bench.role.control_ms = 500  # nobody comes
        await bench.run(3.2)

    bench = drive("virtual_traffic", script)
    assert bench.alarms == []
    assert all(values[name] == 0 for _, values in bench.readings[1:] for name in ("count_a", "count_b"))
    assert not any("speed_mean_kmh" in values for _, values in bench.readings)


def test_a_radar_that_is_dead_is_told() -> None:
    async def script(bench: Bench) -> None:
        bench.environment.hold("traffic_flow", 0.0)
        bench.environment.hold("radar_dead", 1.0)
        bench.role.control_ms = 500
        await bench.run(3.2)
        bench.environment.hold("radar_dead", 0.0)
        await bench.run(1.2)

    bench = drive("virtual_traffic", script)
    assert [value for _, value in bench.alarm_hours("sensor_fault")][:1] == [True]


def test_a_magnetometer_that_falls_off_its_bus_is_told_and_comes_back() -> None:
    async def script(bench: Bench) -> None:
        await bench.run(0.02)
        devices = bench.chips.buses.i2c[0].devices
        gone = devices.pop(0x21)
        await bench.run(0.01)
        devices[0x21] = gone
        await bench.run(0.01)

    bench = drive("virtual_traffic_field", script)
    assert [value for _, value in bench.alarm_hours("sensor_fault")] == [True, False]


def test_a_jam_is_told_when_it_begins_and_when_it_ends() -> None:
    bench = drive("virtual_traffic_loops", lambda bench: bench.run(1.8), "jam")
    (raised, begun), (cleared, ended) = bench.alarm_hours("congested")
    assert (begun, ended) == (True, False)
    assert 7.5 < raised < 7.5 + 5 / 60
    assert 8.5 < cleared < 8.5 + 7 / 60


def test_small_counts_are_left_out() -> None:
    async def script(bench: Bench) -> None:
        bench.interval_ms = 60_000
        await bench.run(0.5)

    bench = drive("virtual_traffic_loops", script, "week", suppress_below=5)  # after midnight
    counts = [values[name] for _, values in bench.readings for name in COUNTS if name in values]
    assert not [count for count in counts if 0 < count < 5]
    suppressed = [values for _, values in bench.readings if values.get("suppressed")]
    assert suppressed
    assert not any("speed_mean_kmh" in values for values in suppressed)
    assert not any("day_count_a" in values for _, values in bench.readings[:-1])


def test_day_totals_survive_a_power_cut() -> None:
    lost: list[int] = []

    async def script(bench: Bench) -> None:
        bench.interval_ms = 300_000
        await bench.run(0.51)
        lost.append(sum(bench.role._interval.counts))  # since the last interval ended
        await bench.open()  # the power was cut, and came back
        await bench.run(0.52)

    bench = drive("virtual_traffic_loops", script)
    told = [values for _, values in bench.readings if "day_count_a" in values]
    both = told[-1]["day_count_a"] + told[-1]["day_count_b"]
    there = road(bench)
    assert len(told) >= 1
    assert there["road_a"] + there["road_b"] - lost[0] - both < 40  # the minutes after the full hour
    assert both > 0.8 * (there["road_a"] + there["road_b"])


def test_nobody_is_counted_while_somebody_works_on_it() -> None:
    async def script(bench: Bench) -> None:
        bench.service.at_work = True
        await bench.run(0.3)

    bench = drive("virtual_traffic_loops", script)
    assert all(values == {"interval_s": 0} for _, values in bench.readings)


@pytest.mark.parametrize("board", BOARDS)
def test_self_test_finds_every_detector(board: str) -> None:
    results: list[dict[str, int]] = []

    async def script(bench: Bench) -> None:
        results.append(await bench.role.self_test())

    drive(board, script)
    assert set(results[0].values()) == {0}
    assert 1 <= list(results[0].values()).count(0) <= 2


def test_the_other_way_round() -> None:
    bench = drive("virtual_traffic_loops", busy(6), reverse=1)
    assert total(bench, "count_a") == pytest.approx(road(bench)["road_b"], abs=1)
