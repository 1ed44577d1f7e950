# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How far a gateway is heard: the formula against figures worked without it, and rings against distances."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.model.geo import distance_m
from provisioning.reports.coverage import Grid, Site
from provisioning.reports.coverage_map import ring
from provisioning.reports.radio_range import SENSITIVITY_DBM, Budget, extrapolated, loss_db

CASES = json.loads((Path(__file__).parent / "vectors/coverage/hata.json").read_text(encoding="utf-8"))["cases"]
LATITUDES = st.floats(-80, 80)
RADII = st.floats(1, 20_000)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_loss_is_hata_s(case: dict[str, Any]) -> None:
    found = loss_db(
        case["frequency_mhz"], case["gateway_height_m"], case["device_height_m"], 1000 * case["distance_km"]
    )
    assert found == pytest.approx(case["loss_db"], abs=0.001)


def test_the_range_is_where_the_loss_is_what_the_link_bears() -> None:
    budget = Budget()
    assert budget.highest_loss_db(12) == pytest.approx(14 + 2.15 + 136 - 10)
    assert budget.highest_loss_db(7, indoor=True) == pytest.approx(14 + 2.15 + 123 - 10 - 15)
    assert budget.lora_range_m(20.0) == pytest.approx(3031, abs=1)
    assert Budget(sf=7).lora_range_m(20.0) == pytest.approx(1331, abs=1)
    assert budget.lora_range_m(20.0, sf_max=7) == Budget(sf=7).lora_range_m(20.0)
    assert Budget(sf=7).lora_range_m(20.0, sf_max=12) == Budget(sf=7).lora_range_m(20.0)
    assert Budget(erp_dbm=27, fade_margin_db=0).lora_range_m(200.0, 10.0) == 20_000
    for low, high in ((-400.0, 3.0), (200.0, 900.0)):
        assert budget.lora_range_m(low) == budget.lora_range_m(high)
    assert [extrapolated(*each) for each in ((30, 1000), (29, 1000), (30, 999), (201, 5000))] == [False, *[True] * 3]


@given(st.sampled_from(sorted(SENSITIVITY_DBM)), st.floats(3, 200), st.floats(1, 10), st.booleans())
def test_at_the_range_the_loss_is_met(sf: int, gateway_m: float, device_m: float, indoor: bool) -> None:
    budget = Budget(sf=sf)
    range_m = budget.lora_range_m(gateway_m, device_m, indoor=indoor)
    if range_m < 20_000:
        loss = loss_db(budget.frequency_mhz, gateway_m, device_m, range_m)
        assert loss == pytest.approx(budget.highest_loss_db(sf, indoor=indoor), abs=1e-6)


@given(LATITUDES, st.floats(-170, 170), RADII, st.integers(0, 63), st.floats(0, 1), st.floats(0, 1))
def test_what_is_inside_the_ring_is_within_range(
    lat: float, lon: float, radius_m: float, edge: int, along: float, outward: float
) -> None:
    corners = ring(lat, lon, radius_m)
    assert corners is not None
    assert corners[0] == corners[-1]
    assert len(corners) == 65
    flat = [(each[0] - lon, each[1] - lat) for each in corners]
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(flat))
    assert area > 0  # against the clock: RFC 7946, 3.1.6
    for east, north in corners:
        assert distance_m(lat, lon, north, east) == pytest.approx(radius_m, abs=0.2)
    a, b = corners[edge], corners[edge + 1]
    rim = [a[each] + along * (b[each] - a[each]) for each in (0, 1)]
    east, north = lon + outward * (rim[0] - lon), lat + outward * (rim[1] - lat)
    assert distance_m(lat, lon, north, east) <= radius_m + 0.2
    assert distance_m(lat, lon, rim[1], rim[0]) >= 0.99 * radius_m - 0.2


def test_no_ring_over_a_pole_or_the_date_line() -> None:
    assert ring(89.9, 0, 20_000) is None
    assert ring(-88.9, 0, 20_000) is None
    assert ring(60, 179.99, 3000) is None
    assert ring(60, -179.99, 3000) is None
    assert ring(60, 179.9, 3000) is not None


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2)), max_size=12),
    st.sampled_from([(59.3, 18.0), (0.0, 179.95), (-89.95, 20.0)]),
    RADII,
)
def test_the_grid_finds_what_a_scan_finds(
    offsets: list[tuple[float, float]], near: tuple[float, float], radius_m: float
) -> None:
    sites = []
    for number, (north, east) in enumerate(offsets):
        site = Site(f"G-{number}", "", "operational")
        site.lat, site.lon = max(near[0] + north, -90.0), (near[1] + east + 180) % 360 - 180
        sites.append(site)
    scan = {each.id for each in sites if each.distance_m(*near) <= radius_m}
    found = Grid(sites).within(*near, radius_m)
    assert {each.id for _, each in found} == scan
    assert [far for far, _ in found] == sorted(far for far, _ in found)
    best = min((each.distance_m(*near) for each in sites), default=None)
    first = Grid(sites).near(*near, lambda _height_m: radius_m)
    assert (first[0][0] == best) if first else (best is None or best > 20_000)
