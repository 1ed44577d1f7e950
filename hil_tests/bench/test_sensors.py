# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Each kind's own sensors against the truth: a lamp's meter, a bin's range finders, battery and tilt, a road's radar.

What is allowed, and why: docs/hil-lab.md. Temperature, light and voltage of any board are in test_node.py.
"""

import os
import time
from collections.abc import Callable, Iterator

import pytest

from firmware.wire import requests
from hil_tests.bench.conftest import Accurate, Reads, Talking
from hil_tests.lab.bench import Talk
from hil_tests.lab.place import Place

GROW_S = float(os.environ.get("GROW_S") or 300)
pytestmark = [pytest.mark.timeout(600 + GROW_S), pytest.mark.slow]
LOOK_S = 5
FIRST_LOOK_S = 45.0  # 30 s by itself, until a new setting holds
PERCENT = 80
POWER_PART = 0.01  # of what the lamp draws, where that is more
CALM = 6  # readings, one a second: longer than from one vehicle of a virtual road to the next
MANY = 30  # on a road that is never calm

# field, what a virtual sensor is made to see, how far a reading may be off
LIGHT = [("power_w", 43.0, 0.2), ("power_w", 7.5, 0.2)]
BIN = [
    ("temperature_c", 24.0, 1.0),
    ("temperature_c", -8.0, 1.0),
    ("range_m", 0.36, 0.02),
    ("range_m", 1.08, 0.02),
    ("battery_v", 3.52, 0.02),
]
ROAD = [("speed_mean_kmh", 34.0, 1.0), ("speed_mean_kmh", 71.0, 1.0)]
# field, by how much it grows, how far off it may be then, so much less is not enough to tell
ENERGY = [("energy_wh", 240.0, 2.0, 20.0)]
COUNTS = [("count_a", 9.0, 1.0, 5.0), ("count_b", 7.0, 1.0, 5.0)]


def each(rows: list[tuple[str, float, float]] | list[tuple[str, float, float, float]]) -> pytest.MarkDecorator:
    names = ("field", "wanted", "within", "least")[: len(rows[0])]
    marked = [pytest.param(*r, marks=pytest.mark.needs(f"truth:{r[0]}"), id=f"{r[0]}={r[1]:g}") for r in rows]
    return pytest.mark.parametrize(names, marked)


@pytest.fixture(autouse=True)
def _let_go(place: Place) -> Iterator[None]:
    yield
    place.let_go()


def lit(talk: Talk) -> None:
    """A lamp that is off draws nothing, and proves nothing."""
    assert talk.command("dim", percent=PERCENT, minutes=60, fade_ms=0)[requests.STATUS_KEY] == requests.DONE
    talk.next_reading(lambda reading: reading.values.get("dim_pct") == PERCENT, "the lamp to be lit")


@pytest.fixture
def looking(talking: Talking) -> Iterator[Talk]:
    """A bin that looks into itself often enough for a test."""
    with talking() as talk:
        assert talk.set(look_s=LOOK_S)[requests.STATUS_KEY] == requests.DONE
        yield talk


def grown(
    talk: Talk, place: Place, field: str, row: tuple[float, float], board: Callable[[], float]
) -> tuple[float, float]:
    """By how much the truth has grown, and what *board* tells of it, when nothing more of it comes."""
    wanted, within = row
    begun, before = place.truth(field, 0.0), board()
    place.grow(field, wanted)
    end_s = time.monotonic() + GROW_S
    talk.until(lambda: board() - before >= wanted - within or time.monotonic() > end_s, f"{field} to grow", GROW_S + 60)
    last, calm = board(), 0
    for _ in range(MANY):
        talk.next_reading(lambda reading: not reading.alarm)
        last, calm = board(), calm + 1 if board() == last else 0
        if calm == CALM:
            break
    return place.truth(field, wanted) - begun, board() - before


@pytest.mark.needs("kind:street_light")
@each(LIGHT)
def test_a_light_reads_what_its_lamp_draws(
    talking: Talking, reads: Reads, field: str, wanted: float, within: float
) -> None:
    with talking() as talk:
        lit(talk)
        reads(talk, field, wanted, within, POWER_PART)
        talk.command("release")


@pytest.mark.needs("kind:street_light")
@each(ENERGY)
def test_a_light_counts_what_its_lamp_takes(
    talking: Talking, place: Place, accuracy: Accurate, field: str, wanted: float, within: float, least: float
) -> None:
    with talking() as talk:
        lit(talk)
        place.grow(field, 0.0)
        talk.next_reading()
        talk.next_reading(lambda reading: field in reading.values, "the meter's total")

        def total() -> float:
            return max(reading.values[field] for reading in talk.readings[-50:] if field in reading.values)

        truth, read = grown(talk, place, field, (wanted, within), total)
        talk.command("release")
    if truth < least:
        pytest.skip(f"not run: the lamp took {truth:g} Wh, and {least:g} are needed to tell; GROW_S=7200 waits longer")
    accuracy(field, truth, read, within + 0.01 * truth)


@pytest.mark.needs("kind:waste_bin")
@each(BIN)
def test_a_bin_reads_what_is_there(looking: Talk, reads: Reads, field: str, wanted: float, within: float) -> None:
    reads(looking, field, wanted, within, wait_s=FIRST_LOOK_S)


@pytest.mark.needs("kind:waste_bin", "truth:tilt_deg")
def test_a_bin_that_lies_tells_its_angle(looking: Talk, place: Place, accuracy: Accurate) -> None:
    looking.next_reading()
    truth = place.truth("tilt_deg", 67.0)
    if truth < 50:
        pytest.skip(f"not run: it stands at {truth:g} degrees, and tells an angle when it has fallen: lay it down")
    fallen = looking.next_reading(lambda reading: reading.alarm and reading.values.get("fallen"), "the alarm")
    accuracy("tilt_deg", truth, fallen.values["tilt_deg"], 3.0)


@pytest.mark.needs("kind:waste_bin", "state")
def test_a_bin_did_nothing_that_no_chip_can_do(talking: Talking, place: Place) -> None:
    state = place.state()
    assert (state["misuses"], state["crashes"], state["watchdog_bites"]) == (0, 0, 0)


@pytest.mark.needs("kind:traffic")
@each(ROAD)
def test_a_radar_reads_how_fast_they_drive(
    talking: Talking, reads: Reads, field: str, wanted: float, within: float
) -> None:
    with talking() as talk:
        reads(talk, field, wanted, within)


@pytest.mark.needs("kind:traffic")
@each(COUNTS)
def test_a_radar_counts_who_drives_past(
    talking: Talking, place: Place, accuracy: Accurate, field: str, wanted: float, within: float, least: float
) -> None:
    with talking() as talk:
        place.grow(field, 0.0)
        other = "count_b" if field == "count_a" else "count_a"
        calm = 0
        for _ in range(MANY):  # who was on the road before, and may still be on the way to the radar
            reading = talk.next_reading(lambda each: field in each.values)
            calm = 0 if reading.values[field] or reading.values[other] else calm + 1
            if calm == CALM:
                break

        def total() -> float:
            told = {reading.seq: reading.values.get(field, 0) for reading in talk.readings if not reading.alarm}
            return float(sum(told.values()))

        truth, read = grown(talk, place, field, (wanted, within), total)
    if truth < least:
        pytest.skip(f"not run: {truth:g} vehicles came, and {least:g} are needed to tell; GROW_S=3600 waits longer")
    accuracy(field, truth, read, within + 0.03 * truth)


@pytest.mark.needs("kind:traffic", "state")
def test_a_radar_did_nothing_that_no_chip_can_do(talking: Talking, place: Place) -> None:
    state = place.state()
    assert (state["misuses"], state["crashes"], state["watchdog_bites"]) == (0, 0, 0)
