# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta report coverage` by its command: a city with gateways that stand, are planned, or have no place."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.ledger import open_ledger
from provisioning.city import City, create_city
from provisioning.cli import main
from provisioning.model.device import DeviceRecord
from provisioning.model.memory import MemoryStock
from provisioning.register.registration import Options, register
from provisioning.reports import coverage, coverage_map
from provisioning.reports.radio_range import Budget
from tests.register_rig import fill, record

ROOF = {"lat": 59.335, "lon": 18.06, "height_m": 20.0, "district": "Norrmalm"}
NEW = {"lat": 59.5, "lon": 18.3}
FIBRE = {"type": "fibre"}
STANDS = {"stage": "operational", "installed_at": "2026-10-01T08:00:00Z"}
PLANNED = {"stage": "planned"}
GATEWAY = "70b3d57ed0000100"


def _gateway(number: int, place: dict[str, Any] | None, **more: Any) -> DeviceRecord:
    values: dict[str, Any] = {"network": FIBRE, "radio": {"plan": "EU868"}, "streams": [], "lifecycle": STANDS}
    return record(number, **{**values, "kind": "gateway", "role": "gateway", "location": place, **more})


def _device(number: int, lat: float, lon: float, **more: Any) -> DeviceRecord:
    place = {"lat": lat, "lon": lon, "segment_id": "S-1", "district": "Norrmalm", **more.pop("place", {})}
    return record(number, **{"location": place, "lifecycle": STANDS, **more})


def _records() -> list[DeviceRecord]:
    near_new = {"lifecycle": PLANNED, "place": {"district": "Nystad"}}
    return [
        _gateway(0x100, ROOF),
        _gateway(0x101, NEW, lifecycle=PLANNED, interfaces=[{"type": "ble", "enabled": True}]),
        _gateway(0x102, None, name="pier", identity=None),
        _device(1, 59.355, 18.06),  # 2224 m north of the roof
        _device(2, 59.365, 18.06),  # 3336 m
        _device(3, 59.501, 18.3, **near_new),
        _device(4, 59.335, 18.06, network={"type": "nbiot"}),
        record(5, location=None, lifecycle=STANDS),
        _device(6, 59.355, 18.06, place={"indoor": True}),
        _device(7, 57.7, 11.97),  # another city
        _device(8, 59.5002, 18.3, interfaces=[{"type": "ble", "enabled": True}], network=FIBRE, **near_new),
        _device(9, 59.355, 18.06, radio={"plan": "EU868", "sf_max": 7}),
        _device(10, 59.335, 18.06, external=True),
        _device(11, 59.355, 18.06, lifecycle={"stage": "retired"}),
        _device(12, 59.3549, 18.0649, place={"protected": True, "address": "Dolda gatan 1", "segment_id": "S-HID"}),
    ]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    made = create_city(tmp_path_factory.mktemp("coverage") / "city", "Lyktby")
    with made.registry() as registry:
        fill(registry)
        with registry.change() as change:
            results = register(change, registry.keys(), _records(), Options(keep_stage=True))
            assert [each.error for each in results if each.error is not None] == []
        end = datetime(2030, 1, 1, tzinfo=UTC)
        for number, name in ((0x999, "kiosk"), (0x100, "the roof"), (0x998, "pier")):
            eui = bytes.fromhex(f"70b3d57ed{number:07x}")
            registry.add_gateway(
                eui, name, certificate_pem="x", certificate_sha256=number.to_bytes(32, "big"), not_after=end
            )
    return made


@pytest.fixture
def received(tmp_path: Path) -> str:
    """What a receiver was told: the roof heard 2, and 5 of no known place; a stranger 7; the pier, known by name, 6."""
    url = f"sqlite:{tmp_path / 'received.sqlite'}"
    ledger = open_ledger(url)
    streams = ((1, f"urn:dev:mac:{GATEWAY}"), (2, "urn:dev:mac:70b3d57ed0000777"), (3, "urn:dev:mac:70b3d57ed0000998"))
    for number, gateway in streams:
        ledger.database.execute("INSERT INTO stream VALUES (?, ?, ?)", (number, gateway, b"x"))
    for number, stream in ((2, 1), (5, 1), (7, 2), (6, 3)):
        row = (f"70b3d57ed{number:07x}", 1, 1e9, "device", "{}", "{}", stream, number)
        ledger.database.execute("INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    ledger.close()
    return url


def _run(city: City, capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> tuple[str, str]:
    found = main(["-C", str(city.home), "report", "coverage", *map(str, arguments)])
    printed = capsys.readouterr()
    assert found == code, printed.out + printed.err
    return printed.out, printed.err


def _by_number(out: str) -> dict[int, tuple[Any, ...]]:
    found = json.loads(out)["devices"]
    names = ("status", "basis", "gateways", "nearest", "distance_m")
    return {int(each["id"][-4:]): tuple(each[name] for name in names) for each in found}


def test_every_device_is_told_by_whom_it_is_covered(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = _run(city, capsys, "--format", "json")
    assert _by_number(out) == {
        1: ("covered", "estimated", ["GWY-0001"], "GWY-0001", 2224),
        2: ("not covered", "estimated", [], "GWY-0001", 3336),
        3: ("gateway not in use", "estimated", ["GWY-0002"], "GWY-0002", 111),
        4: ("other network", "", [], "", None),
        5: ("no position", "", [], "", None),
        6: ("not covered", "estimated", [], "GWY-0001", 2224),
        7: ("not covered", "estimated", [], "", None),
        8: ("gateway not in use", "estimated", ["GWY-0002"], "GWY-0002", 22),
        9: ("not covered", "estimated", [], "GWY-0001", 2224),
        12: ("covered", "estimated", ["GWY-0001"], "GWY-0001", 1668),  # of the rounded place
    }
    found = json.loads(out)
    assert [(each["id"], each["stage"], each["links"]) for each in found["gateways"]] == [
        ("GWY-0001", "operational", ["lora"]),
        ("GWY-0002", "planned", ["lora", "ble"]),
        ("GWY-0003", "operational", ["lora"]),
        ("kiosk", "enrolled", []),
    ]
    assert round(found["gateways"][0]["range_m"]["lora"]) == 3031  # worked with bc, as the vectors
    assert found["summary"]["groups"]["Nystad"]["gateway not in use"] == 2
    assert found["summary"]["groups"]["not stated"]["no position"] == 1
    assert found["about"]["basis"] == ["estimated"]
    assert found["about"]["figures"]["erp_dbm"] == 14.0
    assert "no promise" in err
    assert "no position, so no area: GWY-0003, kiosk" in err
    assert "70b3d5" not in out


def test_options_are_the_figures_of_the_estimate(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    assert _by_number(_run(city, capsys, "--format", "json", "--fade-margin-db", "5")[0])[2][0] == "covered"
    assert _by_number(_run(city, capsys, "--format", "json", "--indoor-loss-db", "0")[0])[6][0] == "covered"
    assert _by_number(_run(city, capsys, "--format", "json", "--sf", "7")[0])[1][0] == "not covered"
    assert _by_number(_run(city, capsys, "--format", "json", "--ble-range-m", "5")[0])[8][0] == "not covered"
    for wrong in (("--sf", "13"), ("--erp-dbm", "40"), ("--by", "colour"), ("--out", "map.geojson")):
        _run(city, capsys, *wrong, code=64)
    _run(city, capsys, "--received", "sqlite:nowhere.sqlite", code=1)


def test_who_was_heard_is_measured(city: City, capsys: pytest.CaptureFixture[str], received: str) -> None:
    out, err = _run(city, capsys, "--format", "json", "--received", received)
    rows = _by_number(out)
    assert rows[2] == ("covered", "measured", ["GWY-0001"], "GWY-0001", 3336)
    assert rows[5] == ("covered", "measured", ["GWY-0001"], "", None)
    assert rows[6] == ("covered", "measured", ["GWY-0003"], "GWY-0001", 2224)
    assert rows[7][0] == "not covered"  # whose gateway is not of this register
    assert rows[1][1] == "estimated"
    assert [round(each["measured_m"] or 0) for each in json.loads(out)["gateways"]] == [3336, 0, 0, 0]
    assert "Measured:" in err
    areas = json.loads(_run(city, capsys, "--format", "geojson", "--received", received)[0])["features"]
    found = {each["id"]: each["properties"]["range_m"] for each in areas if each["properties"]["what"] == "coverage"}
    assert found["GWY-0001/any/measured"] == 3336
    assert found["GWY-0001/lora/estimated"] == 3031


def test_the_map_is_geojson(city: City, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out, _ = _run(city, capsys, "--format", "geojson", "--out", tmp_path / "map.geojson")
    assert out == ""
    _run(city, capsys, "--format", "geojson", "--out", tmp_path / "map.geojson", code=1)
    text = (tmp_path / "map.geojson").read_text(encoding="utf-8")
    found = json.loads(text)
    assert found["type"] == "FeatureCollection"
    assert found["gateways_without_position"] == ["GWY-0003", "kiosk"]
    by_id = {each["id"]: each for each in found["features"]}
    assert len(by_id) == len(found["features"]) == 2 + 3 + 9
    assert by_id["GWY-0001"]["geometry"] == {"type": "Point", "coordinates": [18.06, 59.335]}
    (corners,) = by_id["GWY-0001/lora/estimated"]["geometry"]["coordinates"]
    assert corners[0] == corners[-1]
    assert all(18 < east < 18.2 and 59.3 < north < 59.4 for east, north in corners)
    assert "no promise" in by_id["GWY-0001/lora/estimated"]["properties"]["notice"]
    hidden = next(each for each in found["features"] if each["properties"].get("position") == "rounded")
    assert hidden["geometry"]["coordinates"] == [18.06, 59.35]
    for secret in ("Dolda", "S-HID", "59.3549", "18.0649"):
        assert secret not in text
    assert "59.3549" in _run(city, capsys, "--format", "geojson", "--exact")[0]


def test_the_tables_are_for_reading(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = _run(city, capsys, "--by", "owner")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "GWY-0001 operational lora 59.335 18.06 lora 3031 m" in lines
    assert "TRK-0001 traffic_counter trafiknamnden operational covered estimated GWY-0001 GWY-0001 2224" in lines
    assert "trafiknamnden 2 2 4 1 1" in lines
    assert "no promise" in err


@settings(max_examples=40)
@given(st.tuples(*[st.floats(-0.0049, 0.0049)] * 4), st.booleans())
def test_a_protected_place_moves_and_nothing_shows_it(moved: tuple[float, ...], by_ear: bool) -> None:
    def told(north: float, east: float, gateway_north: float, gateway_east: float) -> list[str]:
        hidden = {"place": {"protected": True, "segment_id": f"S-{north}", "address": f"{east}"}}
        roof = {**ROOF, "lat": 59.35 + gateway_north, "lon": 18.08 + gateway_east, "protected": True}
        records = [
            _device(1, 59.34 + north, 18.06 + east, **hidden),
            _device(2, 59.341, 18.061),
            _gateway(0x100, roof),
            _gateway(0x101, ROOF),
        ]
        numbered = [each.model_copy(update={"id": f"X-{number}"}) for number, each in enumerate(records)]
        heard = {"70b3d57ed0000001": {GATEWAY}} if by_ear else None
        found = coverage.make(MemoryStock(devices=numbered), Budget(), heard)
        return [coverage_map.as_geojson(found), *(coverage_map.as_json(found, by) for by in ("segment", "district"))]

    assert told(*moved) == told(0.0, 0.0, 0.0, 0.0)
