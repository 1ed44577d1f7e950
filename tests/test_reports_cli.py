# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The reports by their commands, from a register that holds two counters of two boards in one place."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from provisioning.city import City, create_city
from provisioning.cli import main
from provisioning.guidelines import city_pack, signed_pack
from provisioning.guidelines.pack import proposed_text
from provisioning.model.datasets import Dataset
from provisioning.model.device import DeviceRecord
from provisioning.model.organisations import Organisation
from provisioning.register import moves, papers
from provisioning.register.registration import Options, register
from tests.guideline_rig import record
from tests.register_rig import fill, person
from tests.test_reports_catalogue import dataset

TODAY = datetime.now(UTC).date().isoformat()


PLACE = {"/location/lat": 59.33, "/location/lon": 18.05, "/location/segment_id": "S-1", "/location/direction": "N"}


def _record(number: int, **changes: Any) -> DeviceRecord:
    values = {
        **PLACE,
        "/streams/0/openness/dataset_id": "FLOW",
        "/lifecycle/stage": "operational",
        "/name": f"c {number}",
    }
    values |= {"/lifecycle/installed_at": "2026-10-01T08:00:00Z", "/lifecycle/confirmed_at": TODAY}
    values |= {"/identity/dev_eui": f"70b3d57ed{number:07x}", "/credentials/fingerprint": None, **changes}
    values |= {"/streams/0/klassa/date": TODAY, "/asset/id": f"POLE-{number}"}
    return DeviceRecord.model_validate_json(json.dumps(record("counter", values)))


@pytest.fixture
def city(tmp_path: Path) -> City:
    made = create_city(tmp_path / "city", "Lyktby")
    slk = person("slk-1", "slk")
    with made.registry() as registry:
        fill(registry)
        with registry.change() as change:
            papers.put(change, slk.holder)
            papers.put(change, Organisation(id="parknamnden", name="Parknämnden", kind="namnd"))
            papers.put(change, Dataset.model_validate(dataset()))
            papers.put(change, dataset("LIGHT"))
            inputs = [_record(1), _record(2, **{"/location/lat": 59.3301, "/owner/org_id": "parknamnden"})]
            results = register(change, registry.keys(), inputs, Options(keep_stage=True))
            assert all(result.error is None for result in results)
        pack = tmp_path / "pack.cose"
        pack.write_bytes(signed_pack.sign(proposed_text(), slk.key, "slk-1", datetime.now(UTC)))
        with registry.stock() as stock:
            city_pack.install(made.home, pack, stock)
    return made


def _run(city: City, capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> tuple[str, str]:
    found = main(["-C", str(city.home), *map(str, arguments)])
    printed = capsys.readouterr()
    assert found == code, printed.out + printed.err
    return printed.out, printed.err


def test_reports_by_their_commands(city: City, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (cluster,) = json.loads(_run(city, capsys, "report", "duplicates", "--json")[0])
    assert cluster["devices"] == ["TRK-0001", "TRK-0002"]
    assert cluster["owners"] == ["parknamnden", "trafiknamnden"]
    out, err = _run(
        *(city, capsys, "report", "kpi", "--by", "owner", "--format", "json", "--pictures", tmp_path / "pictures")
    )
    report = json.loads(out)
    assert [part["name"] for part in report["parts"]] == ["Lyktby", "parknamnden", "trafiknamnden"]
    clusters = next(figure for figure in report["parts"][0]["figures"] if figure["id"] == "K4")["cells"][0]
    assert clusters["value"] == 1
    assert "K1.svg" in err
    _run(city, capsys, "report", "kpi", "--format", "xlsx", "--out", tmp_path / "kpi.xlsx")
    assert "never overwritten" in "".join(
        _run(city, capsys, "report", "kpi", "--format", "xlsx", "--out", tmp_path / "kpi.xlsx", code=1)
    )
    assert "--out kpi.xlsx" in _run(city, capsys, "report", "kpi", "--format", "xlsx", code=1)[1]
    ends = json.loads(_run(city, capsys, "report", "expiring", "--days", "500", "--json")[0])
    assert {each["what"] for each in ends} == {"signing key", "classification of traffic.flow.vehicle"}


def test_what_is_open_and_public_by_their_commands(
    city: City, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    about = tmp_path / "about.toml"
    about.write_text(
        'base = "https://data.example.org"\ntitle_sv = "Öppna data"\n'
        'description_sv = "Data"\npublisher = "trafiknamnden"\n'
    )
    out, err = _run(city, capsys, "catalogue", "export", about)
    assert "dataset/FLOW" in out
    assert "LIGHT" not in out
    assert "held back: LIGHT" in err
    _run(city, capsys, "catalogue", "export", about, "--format", "json-ld", "--out", tmp_path / "catalogue.jsonld")
    assert json.loads((tmp_path / "catalogue.jsonld").read_text())
    _run(city, capsys, "public", tmp_path / "public", "--feedback", "https://example.org/opinions")
    page = (tmp_path / "public" / "device" / "TRK-0001.html").read_text()
    for text in (
        'lang="sv"',
        "Trafikräknare",
        '<a href="https://example.org/opinions">',
        "mailto:funktion.trafikdata@",
    ):
        assert text in page
    _run(city, capsys, "public", tmp_path / "english", "--feedback", 'me "and" <you>@x', "--lang", "en")
    page = (tmp_path / "english" / "device" / "TRK-0001.html").read_text()
    assert "Traffic counter" in page
    assert "me &quot;and&quot; &lt;you&gt;@x" in page
    found = json.loads((tmp_path / "public" / "devices.geojson").read_text())
    assert [each["properties"]["owner"] for each in found["features"]] == ["Trafiknämnden", "Parknämnden"]


def test_what_stands_around_a_place_is_found_also_when_it_is_planned(
    city: City, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with city.registry() as registry, registry.change() as change:
        planned = _record(
            3, **{"/lifecycle/stage": "planned", "/lifecycle/installed_at": None, "/location/lat": 59.3305}
        )
        assert register(change, registry.keys(), [planned], Options(keep_stage=True))[0].error is None
        moves.retire(change, "TRK-0002", by="Anna")
    snapshot = tmp_path / "snapshot.json"
    _run(city, capsys, "snapshot", snapshot)
    place = ("search", "59.33", "18.05", "--json")
    for more in ((), ("--property", "traffic"), ("--property", "traffic.flow.vehicle"), ("--snapshot", snapshot)):
        found = json.loads(_run(city, capsys, *place, *more)[0])
        assert [(each["id"], each["distance_m"], each["stage"]) for each in found] == [
            ("TRK-0001", 0, "operational"),
            ("TRK-0003", 56, "planned"),
        ]
    assert json.loads(_run(city, capsys, *place, "--property", "traffic.flow.v")[0]) == []
    assert json.loads(_run(city, capsys, *place, "--radius-m", "10")[0])[0]["id"] == "TRK-0001"
    assert "nothing within 300 m" in _run(city, capsys, "search", "10", "10")[1]
    _run(city, capsys, "search", "91", "10", code=64)


def test_each_owner_gets_a_file_with_the_three_levels(
    city: City, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out, _ = _run(city, capsys, "report", "kpi", "--folder", tmp_path / "kpi")
    files = [Path(line) for line in out.splitlines()]
    year = datetime.now(UTC).year
    assert [each.name for each in files] == [
        f"kpi-{year}-{name}.md" for name in ("city", "parknamnden", "trafiknamnden")
    ]
    text = files[1].read_text()
    places = [text.index(f"**{level}**") for level in ("Target image", "Change work", "Effect of projects")]
    assert places == sorted(places)
    assert "### parknamnden" in text
    assert "### trafiknamnden" not in text
    _run(city, capsys, "report", "kpi", "--folder", tmp_path / "kpi", code=1)
    _run(city, capsys, "report", "kpi", "--folder", tmp_path / "x", "--out", tmp_path / "y", code=64)
