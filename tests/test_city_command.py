# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One signed command for many lamps on one gateway, frame by frame; bench_city_command.py has a thousand."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import bench_city_command
from gateway.network.pace import Pace
from gateway.network.scheduler import Opportunity
from gateway.radio import RadioDownlink
from tests.conftest import SEED
from tests.lamp_city import Night, Scene, simulate

LAMPS = 40
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    made = simulate(tmp_path_factory.mktemp("night"), Scene(lamps=LAMPS, seed=SEED, most_s=900))
    print(f"seed {SEED}: {made.ended}, {made.commands_sent} frames, {made.counts}")
    return made


def test_every_lamp_has_one_result_and_most_have_done_it(night: Night) -> None:
    assert sum(night.ended.values()) == LAMPS
    assert night.ended["done"] > LAMPS / 2  # how many are out of reach differs with the seed
    assert night.ended["done"] == len(night.done_s) <= len(night.obeyed_s)
    assert night.bad == []


def test_the_gateway_hears_the_answers_and_need_not_ask_again_and_again(night: Night) -> None:
    assert night.commands_sent < 2 * LAMPS


def test_the_command_stays_within_the_duty_cycle(night: Night) -> None:
    assert night.violations == 0
    assert 0 < max(used for _, used in night.airtime_s) < 0.7


def test_without_pauses_a_command_would_be_obeyed_and_not_heard_of(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pace, "may", lambda *_: True)
    hasty = simulate(tmp_path, Scene(lamps=LAMPS, seed=SEED, most_s=300))
    assert hasty.ended.get("done", 0) < night.ended["done"]
    assert hasty.commands_sent > night.commands_sent


def test_the_picture_has_a_line_for_each(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_city_command, "LAMPS", LAMPS)
    drawn = bench_city_command.picture([night])
    assert drawn.count("<polyline") == 3
    assert f"{LAMPS} lamps" in drawn


def heard_at(sf: int, *addresses: str) -> Any:
    heard = [
        SimpleNamespace(address=each, radio=SimpleNamespace(sf=sf, bw_hz=125_000), others=()) for each in addresses
    ]
    heard[0].others = heard[1:]
    return heard[0]


def by(gateway: str) -> tuple[Opportunity, ...]:
    return (Opportunity("rxc", "air", gateway, RadioDownlink(869_525_000, 9, 125_000, 27)),)


def test_the_pause_is_as_long_as_the_answer_and_only_there() -> None:
    pace = Pace()
    line = (Opportunity("line", "serial", "here"),)
    fast, slow = heard_at(7, "here", "there"), heard_at(12, "here", "there")
    assert pace.wait_s(100.0, 1.0) == 1.0
    pace.sends(by("here")[0], 30, fast, 100.0)
    fast_s = pace.wait_s(100.0, 10.0)
    assert not pace.may(by("there"), fast, 100.0 + fast_s - 0.001), "two at one moment would destroy each other"
    assert pace.may(by("there"), fast, 100.0 + fast_s)
    assert not pace.may(by("here"), fast, 100.0 + fast_s), "it listens"
    assert pace.may(line, None, 100.0)
    heard_s = fast_s + pace.wait_s(100.0 + fast_s, 10.0)
    assert not pace.may(by("here"), fast, 100.0 + heard_s - 0.001)
    assert pace.may(by("here"), fast, 100.0 + heard_s)
    pace.sends(by("here")[0], 30, slow, 200.0)
    assert not pace.may(by("here"), fast, 200.0 + heard_s + 1), "a slower answer takes longer"
    pace.sends(by("there")[0], 30, None, 201.0)
    assert not pace.may(by("there"), fast, 201.0 + heard_s + 1), "nobody knows how fast it will answer"
    pace.sends(line[0], 30, None, 300.0)
    assert pace.may(by("here"), fast, 300.0)


def test_only_gateways_that_reach_the_same_device_take_turns() -> None:
    pace = Pace()
    pace.sends(by("north")[0], 30, heard_at(7, "north", "middle"), 100.0)
    assert pace.may(by("south"), heard_at(7, "south", "middle"), 100.0), "neither device hears the other gateway"
    assert not pace.may(by("middle"), heard_at(7, "middle"), 100.0), "it would reach the device that listens to north"
    assert not pace.may(by("south"), heard_at(7, "south", "north"), 100.0), "north reaches this device too"
    assert not pace.may(by("south"), None, 100.0), "nobody knows who reaches it"
    pace.sends(by("east")[0], 30, None, 200.0)
    assert not pace.may(by("south"), heard_at(7, "south"), 200.0), "nobody knows who reaches that one"
