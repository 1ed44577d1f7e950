# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The energy model: its parts add up, what should take more does, and it counts with what was measured."""

import json
from pathlib import Path

import pytest

from benchmarks import bench_awake, bench_payload
from firmware.wire.kinds import waste_bin_controls
from provisioning.battery import (
    CELLS,
    DETECTORS,
    PROCESSORS,
    RADIOS,
    ROLES,
    Setting,
    airtime_s,
    budget,
    remedies,
    windows_s,
)
from provisioning.cli import main
from provisioning.errors import BoardError

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results" / "awake.json"
SF9 = 3


def test_it_counts_with_what_was_measured() -> None:
    measured = bench_awake.measure()
    assert json.loads(RESULTS.read_text()) == measured
    assert ROLES["waste_bin"].measure_s == pytest.approx(measured["measurement_s"], abs=0.05)
    assert ROLES["waste_bin"].reading_bytes == bench_payload.ours("waste_bin", bench_payload.TYPICAL["waste_bin"])


def test_airtime_is_that_of_the_frames() -> None:
    assert airtime_s(34, SF9) == pytest.approx(0.308, abs=0.001)  # 47 bytes at SF9, Semtech's calculator
    assert airtime_s(34, 0) > 20 * airtime_s(34, 5)
    assert windows_s(0) > windows_s(5) > 0.19  # RX2 alone is six symbols of SF12


def test_the_parts_are_the_whole() -> None:
    day = budget(Setting(), SF9)
    assert day.total_mah == pytest.approx(sum(day.parts_mah.values()))
    cells = CELLS["2xER26500"]
    assert day.years == pytest.approx(cells.ah * 1000 * cells.usable / day.total_mah / 365.25)


@pytest.mark.parametrize("data_rate", range(5))
def test_slower_data_rates_and_shorter_intervals_cost_years(data_rate: int) -> None:
    assert budget(Setting(), data_rate).years < budget(Setting(), data_rate + 1).years
    assert budget(Setting(interval_s=600), data_rate).years < budget(Setting(interval_s=1800), data_rate).years
    assert budget(Setting(), data_rate).years < budget(Setting(readings_per_frame=3), data_rate).years


def test_a_bin_lasts_eight_years_in_deep_sleep() -> None:
    """2 x ER26500, a reading each half hour, SF9, as the firmware sleeps; what stops it in light sleep is 0.24 mA."""
    assert budget(Setting(), SF9).years >= 8
    light = budget(Setting(sleep="light"), SF9)
    assert light.years < 8
    assert max(light.parts_mah, key=lambda name: light.parts_mah[name]) == "sleeping"
    assert budget(Setting(processor="stm32l4"), SF9).years >= 8


def test_a_look_out_of_deep_sleep_is_a_start_and_costs_one() -> None:
    deep, rarely = budget(Setting(), SF9), budget(Setting(asleep_look_s=900), SF9)
    assert deep.parts_mah["sleeping"] < budget(Setting(sleep="light"), SF9).parts_mah["sleeping"] / 10
    assert rarely.parts_mah["looking at heat and tilt"] < deep.parts_mah["looking at heat and tilt"]
    assert Setting().asleep_look_s == next(
        default for name, _, _, default in waste_bin_controls.SETTINGS if name == "asleep_look_s"
    )
    assert budget(Setting(kind="traffic"), SF9) == budget(Setting(kind="traffic", sleep="light"), SF9)
    for setting in (Setting(processor="rp2040", sleep="deep"), Setting(kind="traffic", sleep="deep")):
        with pytest.raises(BoardError, match="no deep sleep"):
            budget(setting, SF9)
    with pytest.raises(BoardError, match="sleep"):
        budget(Setting(sleep="well"), SF9)


def test_a_traffic_sensor_that_looks_fifty_times_a_second_needs_the_mains_or_the_sun() -> None:
    day = budget(Setting(kind="traffic", interval_s=300), SF9)
    assert day.years < 0.1
    assert day.parts_mah["always awake"] > 0.9 * day.total_mah
    radar = budget(Setting(kind="traffic", interval_s=300, detector="radar"), SF9)
    assert radar.parts_mah["the detector"] > radar.parts_mah["always awake"]
    assert ROLES["traffic"].reading_bytes == bench_payload.ours("traffic", bench_payload.TYPICAL["traffic"])


def test_what_stops_a_traffic_sensor_and_what_would_help_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    setting = Setting(kind="traffic", interval_s=300)
    loops, light_sleep, keeps_memory = (day.years for _, day in remedies(setting, SF9))
    assert budget(setting, SF9).years < light_sleep < min(loops, keeps_memory)
    assert main(["battery", "--kind", "traffic", "--interval-min", "5"]) == 0
    told = capsys.readouterr().out
    assert "what stops it: always awake (648 mAh a day)" in told
    assert f"{loops:6.1f}  loop contacts that wake it" in told
    assert main(["battery", "--kind", "traffic", "--detector", "radar"]) == 0
    assert "what stops it: the detector (12600 mAh a day)" in capsys.readouterr().out
    assert main(["battery", "--kind", "traffic", "--detector", "eyes"]) == 1
    assert remedies(Setting(), SF9) == []


def test_every_figure_has_a_source() -> None:
    for table in (PROCESSORS, RADIOS, CELLS, ROLES, DETECTORS):
        assert all(entry.source for entry in table.values())  # type: ignore[attr-defined]


def test_the_command_says_years_for_each_data_rate(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["battery", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["years"]["30"]["SF9"] == round(budget(Setting(), SF9).years, 2)
    assert main(["battery", "--interval-min", "30", "--processor", "stm32l4"]) == 0
    assert "Stop 2" in capsys.readouterr().out


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(BoardError, match="processor"):
        budget(Setting(processor="abacus"), SF9)
    assert main(["battery", "--kind", "toaster"]) == 1
