# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What happens to a waste bin and to a road, held by hand, as the city hears of it over the air: in stepped time."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from boards.virtual import stepped
from hil_tests.roles.stepped_city import SteppedCity

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.apart]


def play(folder: Path, kind: str, board: str, script: Callable[[SteppedCity], Awaitable[None]]) -> None:
    async def live() -> None:
        async with SteppedCity(folder, kind, board, "street") as city:
            await script(city)
            await city.end()

    stepped.run(live())


def test_a_bin_that_burns_and_falls(tmp_path: Path) -> None:
    async def script(city: SteppedCity) -> None:
        await city.until(lambda: len(city.told("fill")) >= 1, "the first reading")
        city.hold("bin_temperature_c", 90.0)
        await city.until_alarm("fire")
        city.hold("bin_tilt_deg", 85.0)
        await city.until_alarm("fallen")

    play(tmp_path, "waste_bin", "virtual_waste_bin", script)


def test_a_range_finder_that_fails_slowly(tmp_path: Path) -> None:
    async def script(city: SteppedCity) -> None:
        await city.until(lambda: len(city.told("fill")) >= 2, "levels from sensors that work")
        for part in (0.2, 0.4, 0.6, 0.8, 1.0):
            city.hold("ranger_fault", part)
            city.hold("tof_dirt", part)
            before = len(city.told("battery"))
            await city.until(lambda before=before: len(city.told("battery")) > before, "the next reading")  # type: ignore[misc]
        await city.until_alarm("sensor_fault")
        city.hold("ranger_fault", 0.0)
        city.hold("tof_dirt", 0.0)
        await city.until_alarm("sensor_fault", False)

    play(tmp_path, "waste_bin", "virtual_waste_bin", script)


def test_a_power_cut_costs_a_road_an_interval_at_most(tmp_path: Path) -> None:
    async def script(city: SteppedCity) -> None:
        city.hold("traffic_flow", 6.0)
        await city.until(lambda: sum(city.told("count_a")) >= 6, "a few vehicles")
        before = sum(city.told("count_a")) + sum(city.told("count_b"))
        await city.power(False)
        await city.power(True)
        await city.until(lambda: sum(city.told("count_a")) + sum(city.told("count_b")) > before + 3, "some more")

    play(tmp_path, "traffic", "virtual_traffic_loops", script)
