# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The yearly figures counted by hand, pictures and workbooks that open, duplicates, what runs out, the public pages."""

import csv
import io
import json
import random
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest
from openpyxl import load_workbook

from provisioning.errors import AlreadyExists, ConfigError
from provisioning.guidelines import pack
from provisioning.guidelines.engine import Guidelines, guidelines
from provisioning.guidelines.findings import Mode
from provisioning.guidelines.signed_pack import LoadedPack
from provisioning.guidelines.texts import Language
from provisioning.model.device import DeviceRecord, Kind, SensingTech
from provisioning.model.memory import MemoryStock
from provisioning.model.organisations import Organisation
from provisioning.model.papers import Signature, Signed, Waiver
from provisioning.model.platforms import Platform
from provisioning.reports import duplicates, expiring, heard, kpi, pictures, public, public_words, render, scope
from provisioning.reports.figures import Cell
from provisioning.reports.scope import Service, Try
from tests import register_rig as rig

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KLASSA = {"K": 0, "R": 2, "T": 2, "date": "2026-10-02", "by": "x", "case_ref": "C-1"}


def device(number: int, stage: str = "operational", **changes: Any) -> DeviceRecord:
    stream = {
        "property": "traffic.flow.vehicle",
        "unit": "{veh}/min",
        "interval_s": 60,
        "klassa": KLASSA,
        "sinks": [{"platform_id": "INT-01", "kind": "integration"}],
        "openness": {"level": "open", "dataset_id": "FLOW"},
    }
    values = {"id": f"TRK-{number:04}", "lifecycle": {"stage": stage}, "streams": [stream], **changes}
    return rig.record(number, **values)


def _rules(stock: MemoryStock) -> Guidelines:
    return guidelines(stock, LoadedPack(pack.proposed()), mode=Mode.AUDIT, now=NOW)


def _cells(stock: MemoryStock, **options: Any) -> dict[tuple[str, str], Cell]:
    made = kpi.make(_rules(stock), city="Lyktby", year=2026, by_owner=False, **options)
    return {(figure.id, cell.name): cell for figure in made.parts[0].figures for cell in figure.cells}


def _stock() -> MemoryStock:
    waiver = rig.waiver(1, issued=NOW - timedelta(days=2), expires=NOW - timedelta(days=1))
    return MemoryStock(
        [
            device(1, co_owners=[{"org": "kommunstyrelsen", "share_pct": 30}], cost={"bearer": "aa", "saved_sek": 900}),
            device(2, asset={"id": "POLE-1", "type": "pole"}, kpi={"component": "traffic_point"}),
            device(3, stage="planned", platform={"id": "X", "kind": "local"}),
            device(4, stage="retired"),
            device(5, external=True),
            device(
                6,
                platform={"id": "INT-01", "kind": "common"},
                personal_data={"level": "possible", "dpia_ref": "D-1"},
                support={"until": "2027-03"},
                streams=[{"property": "noise.level", "openness": {"level": "restricted", "dataset_id": "NOISE"}}],
                lifecycle={"stage": "operational", "planned_end": "2026-01-01", "confirmed_at": "2023-01-01"},
                cost={"bearer": "bb", "run_sek_y": 600, "invest_sek": 9800, "funding_until": "2026-06-30"},
                project={"id": "P-1", "benefit_measure": "waiting time", "benefit_value": "12,5 s"},
            ),
        ],
        platforms=[
            Platform(id="INT-01", name="x", kind="common", responsible="kommunstyrelsen", capabilities=("integration",))
        ],
        role_holders=[rig.person("slk-1", "slk").holder],
        waivers=[Signed[Waiver](paper=waiver, signature=Signature(status="valid", role="ciso"))],
        revision=77,
    )


def test_the_figures_are_what_a_person_counts() -> None:
    tries = [
        Try("trafiknamnden", None, first=False, rules=("OWN-1", "SEC-1")),
        Try("parknamnden", None, first=False, rules=("SEC-1",)),
        Try("trafiknamnden", "TRK-0001", first=False),
        Try("trafiknamnden", "TRK-0002", first=True),
        Try("trafiknamnden", "TRK-0003", first=True),
    ]
    cells = _cells(_stock(), service=Service({"TRK-0001": 4.0, "TRK-0002": 8.0}, tries))
    expected = {
        ("K1", "components"): (2, None),  # two counters share a pole
        ("K3", "devices with two owners or users"): (1, 4),
        ("K3", "saved"): (900, None),
        ("K4", "clusters"): (0, None),
        ("K5", "on common platforms (PLAT-1)"): (1, 4),
        ("K5", "on local platforms with an approval that counts (PLAT-2)"): (0, 1),
        ("K6", "streams through integration platforms only (PLAT-3)"): (3, 4),
        ("K7", "streams decided to be open"): (3, 4),
        ("K7", "of these ready to be published (OPEN-1 to 6, PRIV)"): (0, 3),
        ("K7", "of these in real time, with an interface (OPEN-3)"): (0, 3),
        ("K7", "published datasets (U4SSC EC:ICT:PS:1A)"): (0, 2),
        ("K8", "segments with a counter"): (1, None),
        ("K10", "streams classified, and not too long ago (SEC-1)"): (3, 4),
        ("K10", "support ends within 12 months"): (1, 4),
        ("K10", "waivers in use"): (0, None),
        ("K10", "waivers expired or not valid, with their rule broken (GOV-2)"): (1, None),
        ("K11", "devices with personal data possible or certain"): (1, 4),
        ("K11", "of these screened, and assessed where it must be (PRIV-2)"): (0, 1),
        ("K11", "of these with a sign where people pass (PRIV-5)"): (0, 1),
        ("K12", "past their planned end (LIFE-3)"): (1, 4),
        ("K12", "not confirmed in time (LIFE-3)"): (1, 4),
        ("K12", "retired with all that is to be done (LIFE-4)"): (0, 1),
        ("K13", "running cost"): (600, None),
        ("K13", "not funded to their planned end (COST-2)"): (3, 4),  # the fourth is past its planned end
        ("K13", "whose funding has ended"): (1, 4),
        ("K14", "median from registration to operation"): (6.0, None),
        ("K14", "registered at the first try"): (2, 3),
        ("K14", "refused tries"): (2, 5),
        ("K14", "refused by SEC-1"): (2, 2),
        ("K14", "refused by OWN-1"): (1, 2),
        ("K16", "P-1: waiting time by no date"): (12.5, None),
    }
    found = {key: (cells[key].value, cells[key].of) for key in expected}
    assert found == expected
    assert {key[0] for key in cells} == {f"K{number}" for number in range(1, 17)}
    for key, cell in cells.items():
        assert (cell.value is None) == bool(cell.ask), key  # empty, and somebody named; never both


def test_numbers_from_outside_come_with_their_source(tmp_path: Path) -> None:
    facts = tmp_path / "facts.toml"
    facts.write_text(
        '[[fact]]\nid = "streets.major_km"\nvalue = 400.0\ndate = 2026-01-01\nsource = "road network"\n'
        '[[fact]]\nid = "streets.monitored_km"\nvalue = 100.0\ndate = 2026-01-01\nsource = "traffic office"\n'
    )
    cells = _cells(_stock(), facts=scope.read_facts(facts))
    monitored = cells["K8", "major streets monitored (U4SSC EC:ICT:T:2C)"]
    assert (monitored.percent, monitored.source) == (25.0, "traffic office (2026-01-01)")
    with pytest.raises(ConfigError, match="year"):
        kpi.make(_rules(_stock()), city="x", year=2027, by_owner=False)


def test_what_came_is_taken_from_a_file_of_deliveries(tmp_path: Path) -> None:
    delivery = tmp_path / "delivery.csv"
    delivery.write_text("dev_eui,expected,received\n70b3d57ed0000001,100,90\n70b3d57ed0000002,100,89\n")
    cells = _cells(_stock(), heard=heard.read_file(delivery))
    found = cells["K2", "delivering at least 90 % of what is expected"]
    assert (found.value, found.of, found.source) == (1, 3, "file of deliveries")
    assert cells["K2", "never heard in the period"].value == 1
    for wrong in ("dev_eui,expected\n70b3d57ed0000001,many\n", "dev_eui,expected,received\n70b3d57ed0000001,1,-1\n"):
        delivery.write_text(wrong)
        with pytest.raises(ConfigError, match="deliveries"):
            heard.read_file(delivery)


def test_every_form_holds_the_same_numbers(tmp_path: Path) -> None:
    report = kpi.make(_rules(_stock()), city="Lyktby", year=2026, by_owner=True)
    assert [part.name for part in report.parts] == ["Lyktby", "trafiknamnden"]
    wanted = [["" if value is None else str(value) for value in row] for row in render.rows(report)]
    read = list(csv.reader(io.StringIO(render.as_csv(report))))
    assert read == [render.COLUMNS, *wanted]
    values = json.loads(render.as_json(report))
    assert values["revision"] == 77
    assert len(values["parts"][0]["figures"]) == 16
    text = render.as_markdown(report)
    for part in ("## Analysis", "## Conclusions", "## Plan", "K16 Effect of projects", "ask: "):
        assert part in text
    render.write_workbook(report, tmp_path / "kpi.xlsx")
    book = load_workbook(tmp_path / "kpi.xlsx")
    assert len(book.sheetnames) == 2
    cells = list(book[book.sheetnames[0]].iter_rows(min_row=2, values_only=True))
    figures = [row for row in render.rows(report) if row[0] == "Lyktby" and row[1]]
    assert [list(row) for row in cells] == [[None if value == "" else value for value in row] for row in figures]
    drawn = pictures.draw(report, tmp_path / "pictures")
    assert {path.stem for path in drawn} >= {"K1", "K7", "K12"}
    for path in drawn:
        assert ElementTree.parse(path).getroot().tag.endswith("svg")  # noqa: S314 - our own file
    png = pictures.draw(report, tmp_path / "png", "png")
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in png)


def test_a_formula_in_a_name_stays_text(tmp_path: Path) -> None:
    stock = MemoryStock([device(1, project={"id": "P-1", "benefit_measure": "=1+1"}, owner={"org_id": "a-b"})])
    report = kpi.make(_rules(stock), city="=cmd", year=2026, by_owner=True)
    render.write_workbook(report, tmp_path / "kpi.xlsx")
    book = load_workbook(tmp_path / "kpi.xlsx")
    assert {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row} <= {"s", "n", "inlineStr"}


def test_duplicates_are_what_comparing_all_pairs_finds(rng: random.Random) -> None:
    devices = [
        device(
            number,
            owner={"org_id": rng.choice(["park", "road"])},
            location={
                "lat": rng.uniform(59.330, 59.333),
                "lon": rng.uniform(18.05, 18.056),
                "segment_id": rng.choice(["S-1", "S-2"]),
                "direction": rng.choice(["N", "S"]),
            },
            streams=[{"property": rng.choice(["traffic.flow.vehicle", "noise.level"])}],
        )
        for number in range(1, 60)
    ]
    stock = MemoryStock(devices)
    found = duplicates.of_city(_rules(stock))
    linked = {frozenset(pair) for pair in _pairs_by_brute_force(devices)}
    clustered = {each.id for cluster in found for each in cluster.devices}
    assert clustered == {each for pair in linked for each in pair}
    assert clustered
    for cluster in found:
        assert len(cluster.owners) == 2
        ids = {each.id for each in cluster.devices}
        assert all(any({one} < pair <= ids for pair in linked) for one in ids)
    assert [len(each.devices) for each in found] == sorted((len(each.devices) for each in found), reverse=True)


def _pairs_by_brute_force(devices: list[DeviceRecord]) -> list[tuple[str | None, str | None]]:
    from provisioning.model.geo import distance_m

    pairs = []
    limits = {"traffic.flow.vehicle": 150.0, "noise.level": 50.0}
    for one in devices:
        for other in devices:
            here, there, name = one.location, other.location, one.streams[0].property
            if here is None or there is None or one.owner_org == other.owner_org or name != other.streams[0].property:
                continue
            near = distance_m(here.lat, here.lon, there.lat, there.lon) <= limits[name]
            same_way = (here.segment_id, here.direction) == (there.segment_id, there.direction)
            if near and (name == "noise.level" or same_way):
                pairs.append((one.id, other.id))
    return pairs


def test_what_runs_out_is_listed_soonest_first() -> None:
    found = expiring.expiring(_stock(), pack.proposed(), 60, NOW)
    assert [(each.day, each.what) for each in found] == [
        (date(2024, 12, 31), "confirmation by its owner"),
        (date(2026, 1, 1), "planned use"),
        (date(2026, 6, 30), "funding"),
        (date(2026, 11, 21), "waiver"),
    ]
    later = {each.what for each in expiring.expiring(_stock(), pack.proposed(), 400, NOW)}
    assert later >= {"support", "classification of traffic.flow.vehicle"}


def test_the_public_pages_tell_what_stands_where_and_nothing_that_helps_an_attacker(tmp_path: Path) -> None:
    hidden = {"lat": 59.334567, "lon": 18.056789, "address": "Sveavägen 44", "district": "Norrmalm", "protected": True}
    stock = MemoryStock(
        [
            device(
                1,
                need={"summary": "<script>alert(1)</script>"},
                credentials={"kind": "otaa", "store_ref": "register:app_key"},
            ),
            device(2, location=hidden, personal_data={"level": "none"}, stage="installed"),
            device(3, stage="planned"),
            device(4, external=True),
            device(6, sensing_tech=["lidar"], personal_data={"level": "none"}),
        ],
        organisations=[Organisation(id="trafiknamnden", name="Trafiknämnden", kind="namnd")],
    )
    out = tmp_path / "public"
    assert public.write(_rules(stock), out, city="Lyktby", feedback="https://example.org/opinions") == 3
    collection = json.loads((out / "devices.geojson").read_text())
    first, second, third = collection["features"]
    # declared to see nobody, which a LiDAR cannot promise (PRIV-1): the page says what the rule says
    assert [each["properties"]["personal_data"] for each in (second, third)] == ["none", "possible"]
    assert first["properties"]["owner"] == "Trafiknämnden"
    assert first["properties"]["contact"] == "trafikdata@example.org"
    assert second["geometry"]["coordinates"] == [18.06, 59.33]
    assert second["properties"]["position"] == "rounded"
    everything = "".join(path.read_text() for path in out.rglob("*") if path.is_file())
    for secret in ("59.334567", "Sveavägen", "70b3d57ed", "POLE-", "register:app_key"):
        assert secret not in everything
    pages = "".join(path.read_text() for path in out.rglob("*.html"))
    assert "<script>" not in pages
    assert "&lt;script&gt;" in pages
    assert "3 enheter" in pages and "Trafikräknare <small>" in pages and "antal fordon" in pages
    with pytest.raises(AlreadyExists):
        public.write(_rules(stock), out, city="Lyktby", feedback="x")


@pytest.mark.parametrize("language", get_args(Language))
def test_a_person_in_the_street_reads_words_and_no_names_of_ours(language: Language) -> None:
    names = [*get_args(Kind), *(each.name for each in pack.proposed().tables.properties), *get_args(SensingTech)]
    international = {"radar", "lidar", "camera", "thermometer"} if language == "en" else set()
    assert [name for name in names if name not in public_words.WORDS[language] and name not in international] == []


def test_without_the_extra_packages_a_command_says_how_to_get_them() -> None:
    script = """
import sys
for name in ("openpyxl", "matplotlib", "rdflib"):
    sys.modules[name] = None
from pathlib import Path
from provisioning.errors import NotInstalled
from provisioning.reports import catalogue, kpi, pictures, render
from provisioning.guidelines import city_pack
from provisioning.guidelines.engine import guidelines
from provisioning.model.memory import MemoryStock
report = kpi.make(guidelines(MemoryStock(), city_pack.proposed()), city="x", year=2026, by_owner=False)
about = catalogue.Catalogue(base="https://example.org", title_sv="x", description_sv="x", publisher="ab")
for action in (lambda: render.write_workbook(report, Path("x.xlsx")), lambda: pictures.draw(report, Path("x")),
               lambda: catalogue.write(about, [], {}, licences=[about.license])):
    try:
        action()
    except NotInstalled as error:
        print(error.next_step)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "make extra\n" * 3), done.stderr
