# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the city receives when something goes wrong with a street light, and that the lamp shines when in doubt.

Each fault is a scenario of the virtual board, in which a minute passes in a second; the alarm is read where it arrives,
verified, at the city's end. Each part is a process, in real time; test_light_faults.py has more faults.
"""

from pathlib import Path
from typing import Any

import pytest

from hil_tests.roles.test_far_end import city_of, told
from tests.city import City, nothing_lost, wait_until

pytestmark = [pytest.mark.timeout(600), pytest.mark.apart]
DALI = "virtual_dali"
PATIENCE_S = 150


def light(folder: Path, scenario: str, board: str = "virtual", **options: Any) -> Any:
    return city_of("street_light", board, folder, scenario=scenario, interval_ms=3000, **options)


def model(city: City, name: str) -> dict[str, float]:
    found: dict[str, float] = city.board("state")["models"][name]
    return found


def until_alarm(city: City, name: str, raised: bool = True) -> None:
    wait_until(lambda: told(city, name)[-1:] == [raised], f"{name} = {raised} at the city", PATIENCE_S)


def end(city: City) -> None:
    assert city.board("state")["misuses"] == 0
    nothing_lost(city)


def test_a_dead_lamp_on_dali_is_told_by_its_gear(tmp_path: Path) -> None:
    with light(tmp_path, "dead_lamp", DALI) as city:
        until_alarm(city, "lamp_failure")
        assert not any(told(city, "gear_failure"))  # the driver idles, and answers
        assert city.board("state")["pins"]["21"] == 1  # it is still told to shine
        assert max(told(city, "power")) > 50  # before
        end(city)


@pytest.mark.slow
def test_over_the_air_gear_on_dali_dims_and_its_dead_lamp_is_told(tmp_path: Path) -> None:
    """The radio's moments and those of the bus, on one processor."""
    with light(tmp_path, "dead_lamp", DALI, link="lora") as city:
        until_alarm(city, "lamp_failure")
        assert not any(told(city, "gear_failure"))
        assert model(city, "dali_gear")["broken"] == 0
        end(city)


@pytest.mark.parametrize("board", ["virtual", pytest.param(DALI, marks=pytest.mark.slow)])
def test_a_power_cut_at_dusk_with_the_clock_lost_ends_in_light(tmp_path: Path, board: str) -> None:
    """Nobody tells it the time afterwards: the gateway is gone too."""
    name = "lamp" if board == "virtual" else "dali_gear"
    with light(tmp_path, "dusk", board) as city:
        wait_until(lambda: told(city, "lamp_on")[-1:] == [False], "the lamp to be off at noon", PATIENCE_S)
        city.stop("gateway")
        city.board("power_cut")
        assert model(city, name)["lit"] == 0
        city.board("stimulus", name="illuminance_lx", value=3.0)  # dusk, while it is dark in the street
        city.board("power_on")
        wait_until(lambda: model(city, name)["lit"] == 1, "light at once", PATIENCE_S)
        city.board("stimulus", name="illuminance_lx", value=900.0)  # its eye still tells it when day comes
        wait_until(lambda: model(city, name)["lit"] == 0, "the lamp to be off by day", PATIENCE_S)
        city.board("stimulus", name="illuminance_lx", value=0.0)
        wait_until(lambda: model(city, name)["lit"] == 1, "the lamp to be on by night", PATIENCE_S)
        assert city.board("state")["pins"]["21"] == 1
        city.start_gateway()  # it stays dark, so that the lamp is on whenever it is told
        wait_until(lambda: told(city, "lamp_on")[-1:] == [True], "what it did meanwhile to be told", PATIENCE_S)
        end(city)
