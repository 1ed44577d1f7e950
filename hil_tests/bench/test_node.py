# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A board that is enrolled: what it tests, reads, obeys and remembers, over its cable."""

import os
import time

import pytest

from firmware.wire import requests
from hil_tests.bench.conftest import Reads, Talking
from hil_tests.lab.place import Place
from provisioning.bench.enrolment import Enrolled

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]
SOAK_S = float(os.environ.get("SOAK_S") or 30)
CUTS = 3

# field, what a virtual sensor is made to see, how far a reading may be off: so much at least, such a part of the truth
SENSORS = [
    pytest.param(field, wanted, least, part, marks=pytest.mark.needs(f"truth:{field}"), id=f"{field}={wanted:g}")
    for field, wanted, least, part in (
        ("temperature_c", 31.5, 0.6, 0.0),
        ("temperature_c", -17.0, 0.6, 0.0),
        ("illuminance_lx", 20.0, 2.0, 0.05),
        ("illuminance_lx", 800.0, 2.0, 0.05),
        ("voltage_v", 241.0, 1.5, 0.0),
    )
]


def test_the_self_test_finds_every_part_at_work(enrolled: Enrolled, place: Place) -> None:
    verdicts = enrolled.proof.self_test
    assert {name: verdicts[name] for name in ("flash", "clock", "settings", "heap")} == dict.fromkeys(
        ("flash", "clock", "settings", "heap"), "works"
    )
    assert enrolled.proof.broken(place.without) == []


@pytest.mark.parametrize(("field", "wanted", "least", "part"), SENSORS)
def test_a_sensor_reads_what_is_there(
    talking: Talking, reads: Reads, field: str, wanted: float, least: float, part: float
) -> None:
    with talking() as talk:
        reads(talk, field, wanted, least, part)


def test_a_lamp_obeys_and_forgets_when_it_is_released(talking: Talking, place: Place) -> None:
    if place.kind != "street_light":
        pytest.skip(f"not run: a {place.kind} has no lamp")
    with talking() as talk:
        assert talk.command("dim", percent=40, minutes=5, fade_ms=0)[requests.STATUS_KEY] == requests.DONE
        dimmed = talk.next_reading(lambda each: each.values.get("dim_pct") == 40, "40 percent")
        assert dimmed.values["lamp_on"] is True
        assert talk.command("release")[requests.STATUS_KEY] == requests.DONE
        talk.next_reading(lambda each: each.values.get("dim_pct") not in (None, 40), "the end of the command")


def test_a_command_that_makes_no_sense_is_refused_and_changes_nothing(talking: Talking, place: Place) -> None:
    if place.kind != "street_light":
        pytest.skip(f"not run: a {place.kind} has no lamp")
    with talking() as talk:
        before = talk.next_reading(lambda each: "dim_pct" in each.values).values["dim_pct"]
        assert talk.command("dim", percent=101, minutes=5)[requests.STATUS_KEY] == requests.INVALID
        assert talk.next_reading(lambda each: "dim_pct" in each.values).values["dim_pct"] == before


@pytest.mark.needs("power")
def test_settings_are_kept_over_a_power_cut_and_contradictions_refused(talking: Talking, place: Place) -> None:
    if place.kind != "street_light":
        pytest.skip(f"not run: the settings of a {place.kind} are others")
    with talking() as talk:
        first = talk.set(on_below_lx=10, off_above_lx=60)
        assert first[requests.STATUS_KEY] == requests.DONE
        refused = talk.set(on_below_lx=90)
        assert refused[requests.STATUS_KEY] == requests.CONTRADICTION
        assert refused[requests.CRC] == first[requests.CRC]
    place.power(False)
    place.power(True)
    with talking() as talk:
        again = talk.set(off_above_lx=60)
        assert again[requests.CRC] == first[requests.CRC]
        assert talk.defaults()[requests.CRC] != first[requests.CRC]


@pytest.mark.needs("power", "truth:illuminance_lx")
def test_without_contact_and_clock_it_is_light_in_the_dark(talking: Talking, place: Place) -> None:
    """Nobody answers after the power cut: the board has no time, and its eye alone decides."""
    with talking() as talk:
        if place.truth("illuminance_lx", 900.0) > 200:
            talk.next_reading(lambda each: each.values.get("lamp_on") is False, "the lamp to be off by day")
        last = talk.next_reading().seq
    place.power(False)
    dark_lx = place.truth("illuminance_lx", 1.0)
    place.power(True)
    if dark_lx > 5:
        pytest.skip(f"not run: it is {dark_lx:g} lx at the sensor; cover it")
    with talking(silent=True) as talk:
        lit = talk.next_reading(lambda each: each.seq > last and "lamp_on" in each.values, "a reading in the dark")
        assert lit.values["lamp_on"] is True


@pytest.mark.needs("state")
def test_an_alarm_comes_at_once(talking: Talking, place: Place) -> None:
    with talking() as talk:
        talk.next_reading()
        place.truth("voltage_v", 280.0)
        raised = talk.next_reading(lambda each: each.alarm and each.values.get("overvoltage"), "the alarm")
        assert raised.values["overvoltage"] is True
        place.truth("voltage_v", 230.0)
        talk.next_reading(lambda each: each.values.get("overvoltage") is False, "its end")


@pytest.mark.needs("power")
def test_power_cuts_cost_no_number_twice(talking: Talking, place: Place) -> None:
    seen: dict[int, dict[str, object]] = {}
    for _ in range(CUTS):
        with talking() as talk:
            talk.until(lambda: len({each.seq for each in talk.readings} - seen.keys()) >= 2, "two new ones")
            for reading in talk.readings:
                assert seen.setdefault(reading.seq, reading.values) == reading.values, reading.seq
        place.power(False)
        place.power(True)
    assert len(seen) > CUTS


def test_it_goes_on_reading_for_a_while(talking: Talking) -> None:
    """SOAK_S=86400 makes a day of it."""
    with talking() as talk:
        end_s = time.monotonic() + SOAK_S
        talk.until(lambda: time.monotonic() > end_s, "the end", SOAK_S + 60)
        numbers = sorted({reading.seq for reading in talk.readings})
        assert len(numbers) >= SOAK_S / 4
        assert numbers == list(range(numbers[0], numbers[-1] + 1)), "none is missing"


@pytest.mark.needs("state")
def test_nothing_was_done_that_no_chip_can_do(enrolled: Enrolled, place: Place) -> None:
    """The last of this module: misuse of a simulated chip, crashes and bites of the watchdog are counted."""
    state = place.state()
    assert (state["misuses"], state["crashes"], state["watchdog_bites"]) == (0, 0, 0)
