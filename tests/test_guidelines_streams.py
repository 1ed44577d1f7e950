# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An audit is written as it goes: whatever the form, it holds a few devices and not the city."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from provisioning.cli import main
from provisioning.cli.guideline_options import Source
from provisioning.guidelines.engine import guidelines
from provisioning.guidelines.findings import Evaluation, Mode
from provisioning.guidelines.render_data import RENDERERS
from tests.guideline_rig import NOW, record, stock_of

COUNT = 60


class Alive:
    """Counts the evaluations that somebody still holds."""

    def __init__(self) -> None:
        self.now = self.most = self.made = 0

    def watch(self, found: Iterator[Evaluation]) -> Iterator[Evaluation]:
        alive = self

        class Counted(Evaluation):
            __slots__ = ()

            def __del__(self) -> None:
                alive.now -= 1

        for each in found:
            self.made += 1
            self.now += 1
            self.most = max(self.most, self.now)
            names = ("subject", "rulepack_version", "evaluated_at", "mode", "findings", "stale_waivers", "counted")
            yield Counted(*(getattr(each, name) for name in names))


def _source() -> tuple[Source, Any]:
    devices = [
        record("counter", {"/id": f"TRK-{number:04}", "/location/lat": 59 + number / 100, "/need": None})
        for number in range(1, COUNT + 1)
    ]
    found = stock_of(devices=devices)
    source = Source(found.stock(), found.pack())
    return source, guidelines(source.stock, source.loaded, mode=Mode.AUDIT, now=NOW)


@pytest.mark.parametrize("form", sorted(RENDERERS))
def test_no_form_holds_the_whole_city(form: str) -> None:
    source, rules = _source()
    alive = Alive()
    pieces, early = [], 0
    for piece in RENDERERS[form](alive.watch(rules.audit()), source.frame(NOW), "en"):
        pieces.append(piece)
        early += alive.made < COUNT
    assert alive.made > COUNT
    assert alive.most <= 3
    text = "".join(pieces)
    if form == "json":
        assert len(json.loads(text)["devices"]) == alive.made
    elif form == "sarif":
        assert {each["ruleId"] for each in json.loads(text)["runs"][0]["results"]} >= {"GOV-3", "SEC-3"}
    elif form == "junit":
        assert len(ET.fromstring(text)) == alive.made  # noqa: S314 - our own
    elif form == "csv":
        assert sum(row["rule_id"] == "GOV-3" for row in csv.DictReader(io.StringIO(text))) == 2 * COUNT
    else:
        assert f"{COUNT} records: TRK-0001, TRK-0002, TRK-0003, TRK-0004 (+{COUNT - 4} more)" in text
        assert f"{alive.made} records: {COUNT} blocked" in text
    assert form == "text" or early > COUNT / 2


def test_an_import_tells_each_finding_once_for_all_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    city = tmp_path / "city"
    assert main(["init", str(city), "--city", "Lyktby"]) == 0
    rows = [
        record("bin", {"/name": f"bin {number}", "/identity/dev_eui": f"70b3d57ed{number:07x}"}) for number in (1, 2, 3)
    ]
    rows[1].pop("need")
    file = tmp_path / "bins.jsonl"
    file.write_text("".join(f"{json.dumps(each)}\n" for each in rows) + "{]\n")
    capsys.readouterr()
    assert main(["-C", str(city), "import", str(file)]) == 1
    told = capsys.readouterr().out
    assert [line for line in told.splitlines() if line.startswith("line ")] == [
        "line 1 bin 1: refused",
        "line 2 bin 2: refused",
        "line 3 bin 3: refused",
        "line 4: refused",
    ]
    assert told.count("  GOV-1 ") == 1
    assert "3 records: line 1, line 2, line 3" in told
    assert told.count("  GOV-3 ") == 2  # the summary and its reference are two cases, of one row
    assert main(["-C", str(city), "import", str(file), "--json"]) == 1
    assert [each["status"] for each in json.loads(capsys.readouterr().out)] == ["refused"] * 4
