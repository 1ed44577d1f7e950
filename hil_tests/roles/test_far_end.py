# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the city receives from a waste bin and a traffic sensor: the shipped firmware on simulated chips, verified.

Each part is a process: board, air where there is one, gateway, broker, verifier. No bench is needed, and none is used.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from provisioning.demo.broker import running_broker
from tests.city import City, nothing_lost, running, wait_until
from tests.lora_city import LoraCity

pytestmark = [pytest.mark.timeout(600), pytest.mark.apart]
JOIN_S = 150


@contextmanager
def city_of(kind: str, board: str, folder: Path, link: str = "serial", **options: Any) -> Iterator[City]:
    """A city at work with one board of a kind; its verifier has begun."""
    logs = folder / "logs"
    logs.mkdir()
    made = LoraCity if link == "lora" else City
    with (
        running_broker(folder, logs, lambda: False) as (broker, _, _),
        running(made(folder, broker.port, kind=kind, board=board, seed=5, **options)) as city,
    ):
        if isinstance(city, LoraCity):
            city.start_all()
        else:
            city.start_verifier()
            city.start_gateway()
            city.start_board()
        yield city


def told(city: City, name: str) -> list[Any]:
    """What the verified readings say of a field, in the order of their numbers."""
    readings = sorted(city.verified(), key=lambda reading: reading["seq"])
    return [reading["values"][name] for reading in readings if name in reading["values"]]


def test_the_city_sees_a_bin_fill_and_its_collection(tmp_path: Path) -> None:
    with city_of("waste_bin", "virtual_waste_bin", tmp_path, interval_ms=2500) as city:
        city.board("stimulus", name="content_mm", value=300.0)
        wait_until(lambda: any(abs(part - 300 / 1100) < 0.02 for part in told(city, "fill")), "a level of 27 percent")
        city.board("stimulus", name="content_mm", value=1080.0)
        wait_until(lambda: any(told(city, "full")), "the full bin")
        city.board("stimulus", name="content_mm", value=20.0)
        wait_until(lambda: told(city, "emptyings")[-1:] == [1], "the collection")
        wait_until(lambda: told(city, "full")[-1:] == [False], "the end of the alarm")
        assert city.board("state")["misuses"] == 0
        nothing_lost(city)


@pytest.mark.slow
def test_the_city_hears_more_often_of_a_bin_at_a_festival(tmp_path: Path) -> None:
    with city_of("waste_bin", "virtual_waste_bin", tmp_path, interval_ms=12000) as city:
        for content_mm, what in ((300.0, 300 / 1100), (900.0, 900 / 1100)):  # near full from 75 percent on
            city.board("stimulus", name="content_mm", value=content_mm)
            wait_until(lambda what=what: any(abs(p - what) < 0.03 for p in told(city, "fill")), f"{what:.0%}", 90)
        wait_until(lambda: len([p for p in told(city, "fill") if p > 0.75]) >= 4, "more readings", 90)
        readings = sorted(city.verified(), key=lambda reading: reading["seq"])
        times = [reading["time"] for reading in readings if reading["values"].get("fill", 0) > 0.75]
        assert times[-1] - times[0] < 12 * (len(times) - 1)
        city.board("stimulus", name="content_mm", value=1090.0)
        wait_until(lambda: told(city, "full")[-1:] == [True], "the full bin", 120)
        nothing_lost(city)


def test_the_city_sees_who_drove_past_and_nobody_twice(tmp_path: Path) -> None:
    with city_of("traffic", "virtual_traffic_loops", tmp_path, interval_ms=4000) as city:
        city.board("stimulus", name="traffic_flow", value=6.0)
        wait_until(lambda: sum(told(city, "count_a")) + sum(told(city, "count_b")) >= 12, "a dozen vehicles", 90)
        city.board("stimulus", name="traffic_flow", value=0.0)
        road = city.board("state")["models"]["loop"]

        def counted(way: str) -> int:
            return int(sum(told(city, f"count_{way}")))

        there = {way: int(road[f"road_{way}"]) for way in "ab"}
        wait_until(lambda: all(abs(counted(way) - there[way]) <= 2 for way in "ab"), f"{there} to be counted", 60)
        speeds = [speed * 3.6 for speed in told(city, "speed_mean")]
        assert 35 < sum(speeds) / len(speeds) < 60
        assert all(abs(counted(way) - there[way]) <= 2 for way in "ab")
        assert city.board("state")["misuses"] == 0
        nothing_lost(city)


@pytest.mark.slow
def test_over_the_air_a_bin_sleeps_and_its_alarm_comes_at_once(tmp_path: Path) -> None:
    with city_of("waste_bin", "virtual_waste_bin", tmp_path, "lora", interval_ms=20000) as city:
        wait_until(lambda: len(city.verified_seqs()) >= 1, "the first reading", JOIN_S)
        wait_until(lambda: city.board("state")["asleep"] == "light", "the processor to sleep")
        city.board("stimulus", name="bin_temperature_c", value=120.0)
        wait_until(lambda: any(told(city, "fire")), "the fire", JOIN_S)
        assert city.board("state")["watchdog_bites"] == 0
        print(f"free bytes of the heap: {told(city, 'heap_free')}")
        nothing_lost(city)


@pytest.mark.slow
def test_over_the_air_a_traffic_sensor_tells_of_each_interval_once(tmp_path: Path) -> None:
    with city_of("traffic", "virtual_traffic_loops", tmp_path, "lora", interval_ms=20000) as city:
        city.board("stimulus", name="traffic_flow", value=6.0)
        wait_until(lambda: sum(told(city, "count_a")) + sum(told(city, "count_b")) >= 6, "some vehicles", JOIN_S * 2)
        city.board("stimulus", name="traffic_flow", value=0.0)
        road = city.board("state")["models"]["loop"]
        there = sum(int(road[f"road_{way}"]) for way in "ab")

        def counted() -> int:
            return int(sum(told(city, "count_a")) + sum(told(city, "count_b")))

        wait_until(lambda: abs(counted() - there) <= 3, f"{there} vehicles to be counted", JOIN_S * 2)
        assert city.board("state")["misuses"] == 0
        nothing_lost(city)
