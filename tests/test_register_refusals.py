# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the rules refuse leaves a trace in the log, and nothing else anywhere; the yearly report counts it (K14)."""

import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from provisioning.errors import RefusedByRules
from provisioning.model.device import DeviceRecord
from provisioning.model.stock import Stock
from provisioning.model.verdict import Verdict
from provisioning.register import desk, files, heads, log, moves, records, refusals
from provisioning.register.batch import import_rows
from provisioning.register.registration import Options
from provisioning.registry import Registry
from provisioning.reports import service
from tests.register_rig import Place, Ruling, fill, record

pytestmark = pytest.mark.xdist_group("postgres")
YEAR = datetime.now(UTC).year


@pytest.fixture
def registry(database: Place) -> Iterator[Registry]:
    with database.create() as created:
        fill(created)
        yield created


def _by_contact(found: Sequence[DeviceRecord], _stock: Stock) -> Sequence[Verdict]:
    return [Ruling("ok" if each.owner is not None and each.owner.contact is not None else "blocked") for each in found]


OPTIONS = Options(_by_contact)
BAD = {"owner": {"org_id": "trafiknamnden"}}


def _refused(registry: Registry) -> list[log.Entry]:
    with registry.reading() as connection:
        heads.check_records(connection)
        log.verify(connection)
        return [each for each in log.entries(connection) if each.action == refusals.REFUSED]


def test_a_refused_registration_is_logged_and_registers_nothing(registry: Registry) -> None:
    with pytest.raises(RefusedByRules):
        desk.register_one(registry, record(1, **BAD), OPTIONS)
    (entry,) = _refused(registry)
    assert entry.subject == "70b3d57ed0000001"
    assert entry.body == {
        "kind": "traffic_counter",
        "rules": ["OWN-1"],
        "rulepack_version": "test-1",
        "name": "counter 1",
        "dev_eui": "70b3d57ed0000001",
        "owner": "trafiknamnden",
    }
    assert registry.devices() == []
    # the id that it would have had is another's
    made = desk.register_one(registry, record(2), OPTIONS).record
    assert made is not None
    assert made.id == "TRK-0001"


@pytest.mark.parametrize("partial", [False, True])
def test_an_import_logs_each_row_that_the_rules_refused(registry: Registry, tmp_path: Path, partial: bool) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [record(1), record(2, **BAD), record(3, **BAD, identity=None), record(4)]
    file.write_text("".join(json.dumps(records.dump(each)) + "\n" for each in rows))
    reports = import_rows(registry, list(files.read(file, "jsonl")), OPTIONS, partial=partial)
    assert [each.status == "refused" for each in reports] == [False, True, True, False]
    assert [entry.subject for entry in _refused(registry)] == ["70b3d57ed0000002", "counter 3"]
    assert len(registry.devices()) == (2 if partial else 0)


def test_who_is_refused_a_next_stage_is_logged_under_its_own_name(registry: Registry) -> None:
    made = desk.register_one(registry, record(1), OPTIONS).record
    assert made is not None
    assert made.id is not None
    with pytest.raises(RefusedByRules), registry.change() as change:
        moves.move(change, made.id, "installed", judge=lambda found, _stock: [Ruling("blocked")] * len(found))
    with pytest.raises(RefusedByRules), registry.change() as change:
        moves.amend(change, made.id, record(1, **BAD), judge=_by_contact)
    assert [(entry.subject, entry.body["device_id"]) for entry in _refused(registry)] == [(made.id, made.id)] * 2
    assert desk.show(registry, made.id).lifecycle.stage == "approved"


def test_the_report_knows_first_tries_and_the_rules_that_refuse_most(registry: Registry) -> None:
    for number, tries in ((1, 0), (2, 1), (3, 2)):
        for _ in range(tries):
            with pytest.raises(RefusedByRules):
                desk.register_one(registry, record(number, **BAD), OPTIONS)
        desk.register_one(registry, record(number), OPTIONS)
    with pytest.raises(RefusedByRules):
        desk.register_one(registry, record(4, **BAD, identity=None, name=None), OPTIONS)
    with registry.reading() as connection:
        found = service.read(connection, YEAR)
        assert service.read(connection, YEAR - 1).tries == []
    assert [each.first for each in found.tries if each.device_id is not None] == [True, False, False]
    assert [each.rules for each in found.tries if each.device_id is None] == [("OWN-1",)] * 4
    assert {each.owner for each in found.tries} == {"trafiknamnden"}


def test_days_to_service_are_from_the_log(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    made = desk.register_one(registry, record(1), OPTIONS).record
    assert made is not None
    assert made.id is not None
    now_s = time.time()
    for day, stage in ((2, "installed"), (5, "operational"), (9, "suspended"), (10, "operational")):
        monkeypatch.setattr("provisioning.registry.time.time", lambda day=day: now_s + day * 86400 + 60)
        with registry.change() as change:
            moves.move(change, made.id, stage, judge=None)  # type: ignore[arg-type]
    with registry.reading() as connection:
        assert service.read(connection, YEAR).days[made.id] == pytest.approx(5, abs=0.01)


def test_a_refusal_that_cannot_be_kept_is_still_a_refusal(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from provisioning.errors import RegisterError

    def full(*_arguments: object) -> None:
        raise RegisterError("The disk is full.")

    monkeypatch.setattr(refusals, "log", full)
    with pytest.raises(RefusedByRules):
        desk.register_one(registry, record(1, **BAD), OPTIONS)
    assert "The disk is full" in caplog.text
    monkeypatch.undo()
    assert _refused(registry) == []
