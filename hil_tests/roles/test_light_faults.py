# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a street light, scenario by scenario, as the city hears of it: in stepped time.

A minute of a scenario is a second of that, and a second of that takes a fraction of one.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from boards.virtual import stepped
from hil_tests.roles.stepped_city import SteppedCity

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.apart]
DALI = "virtual_dali"
RATED_60_W = {33: 60}


def light(
    folder: Path,
    scenario: str,
    script: Callable[[SteppedCity], Awaitable[None]],
    board: str = "virtual",
    settings: "dict[int, object] | None" = None,
) -> None:
    async def live() -> None:
        async with SteppedCity(folder, "street_light", board, scenario, settings) as city:
            await script(city)
            await city.end()

    stepped.run(live())


def test_a_dead_lamp_on_dali_is_told_by_its_gear(tmp_path: Path) -> None:
    async def script(city: SteppedCity) -> None:
        await city.until_alarm("lamp_failure")
        assert not any(city.told("gear_failure"))  # the driver idles, and answers
        assert city.state["pins"]["21"] == 1  # it is still told to shine

    light(tmp_path, "dead_lamp", script, DALI)


def test_a_dead_lamp_behind_a_dimmer_is_seen_by_what_it_draws(tmp_path: Path) -> None:
    async def script(city: SteppedCity) -> None:
        await city.until_alarm("lamp_failure")
        assert not any(city.told("gear_failure"))
        assert city.state["pins"]["21"] == 1

    light(tmp_path, "dead_lamp", script, settings=RATED_60_W)


def test_gear_that_is_dead_does_not_answer(tmp_path: Path) -> None:
    async def script(city: SteppedCity) -> None:
        await city.until_alarm("gear_failure")
        await city.until(lambda: city.told("power")[-1] == 0, "nothing to be drawn")

    light(tmp_path, "gear_failure", script, DALI)


def test_a_dead_driver_behind_a_dimmer_draws_nothing(tmp_path: Path) -> None:
    light(tmp_path, "gear_failure", lambda city: city.until_alarm("gear_failure"), settings=RATED_60_W)


@pytest.mark.parametrize("board", ["virtual", DALI])
def test_a_day_burner_is_told_at_noon(tmp_path: Path, board: str) -> None:
    async def script(city: SteppedCity) -> None:
        await city.until_alarm("day_burner")
        await city.until(lambda: city.told("lamp_on")[-1:] == [False], "a lamp that is told to be off")
        assert max(city.told("power")) > 50
        assert city.state["pins"]["21"] == 0

    light(tmp_path, "day_burner", script, board, RATED_60_W)


def test_a_lamp_that_comes_and_goes_is_told_once(tmp_path: Path) -> None:
    async def script(city: SteppedCity) -> None:
        await city.until_alarm("cycling")
        assert city.told("cycling") == [True]

    light(tmp_path, "cycling", script, settings=RATED_60_W)


@pytest.mark.parametrize("board", ["virtual", DALI])
def test_a_voltage_too_high_and_too_low(tmp_path: Path, board: str) -> None:
    async def script(city: SteppedCity) -> None:
        await city.until_alarm("overvoltage", False)
        await city.until_alarm("undervoltage", False)
        assert city.told("overvoltage") == [True, False]
        assert city.told("undervoltage") == [True, False]
        assert max(city.told("voltage")) > 264
        assert min(city.told("voltage")) < 198

    light(tmp_path, "mains", script, board)


def test_a_pole_that_was_knocked_and_a_door_that_is_opened(tmp_path: Path) -> None:
    async def script(city: SteppedCity) -> None:
        await city.until_alarm("tilted")
        assert city.told("tilt")[-1] == pytest.approx(40 / 57.3, abs=0.05)
        await city.until_alarm("door_open")
        await city.until_alarm("door_open", False)
        assert city.told("tilted") == [True]

    light(tmp_path, "pole_down", script, DALI)
