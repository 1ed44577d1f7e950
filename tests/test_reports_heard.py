# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a receiver's store says of delivery, silence, energy and dimming, counted by hand."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from consumer.ledger import Ledger, open_ledger
from provisioning.cli import main
from provisioning.model.device import DeviceRecord
from provisioning.reports.heard import Delivery, Heard, as_csv, read_file, read_store
from tests.register_rig import record

pytestmark = pytest.mark.xdist_group("postgres")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
END = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
HOUR = 3600.0
LAMP, BIN, OLD = "70b3d57ed0000001", "70b3d57ed0000002", "70b3d57ed0000003"


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    url = f"sqlite:{tmp_path / 'received.sqlite'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").url()
    opened = open_ledger(url.replace("postgresql+psycopg", "postgresql"))
    yield opened
    opened.close()


def _put(ledger: Ledger, dev_eui: str, rows: list[tuple[int, float, dict[str, Any]]], stream: int = 1) -> None:
    for seq, at_s, values in rows:
        ledger.database.execute(
            "INSERT INTO reading (dev_eui, seq, time, time_source, measured, units, stream, record) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (dev_eui, seq, at_s, "device", json.dumps(values, separators=(",", ":")), "{}", stream, seq),
        )


def test_a_lamp_a_bin_and_one_of_last_year(ledger: Ledger) -> None:
    lamp = [
        (10, BEGIN + 0 * HOUR, {"energy": 1000, "dim": 0.5, "lamp_on": True}),
        (11, BEGIN + 1 * HOUR, {"energy": 1040, "dim": 1, "lamp_on": True}),  # the hour before was dimmed
        (12, BEGIN + 2 * HOUR, {"battery": 3.3}),  # its daily word about itself says nothing of the lamp
        (13, BEGIN + 3 * HOUR, {"energy": 1140, "dim": 0.5, "lamp_on": False}),  # off is not dimmed
        (15, BEGIN + 4 * HOUR, {"energy": 5, "dim": 0.3, "lamp_on": True}),  # a new meter; 14 was lost
        (16, BEGIN + 100 * HOUR, {"energy": 25, "dim": 0, "lamp_on": False}),  # dimmed 2 h at most, then nobody knows
    ]
    _put(ledger, LAMP, lamp)
    _put(ledger, BIN, [(1, BEGIN + HOUR, {"level": 0.3}), (2, BEGIN + 2 * HOUR, {"level": 0.4})], stream=2)
    _put(ledger, OLD, [(1, BEGIN - 1, {"level": 0.3})], stream=3)
    found = read_store(ledger, BEGIN, END, 2.0).of
    assert found == {
        LAMP: Delivery(7, 6, BEGIN, BEGIN + 100 * HOUR, 40 + 100 + 5 + 20, 1 + 2),
        BIN: Delivery(2, 2, BEGIN + HOUR, BEGIN + 2 * HOUR, None, None),
    }
    before = read_store(ledger, BEGIN - 365 * 24 * HOUR, BEGIN, 2.0).of
    assert before == {OLD: Delivery(1, 1, BEGIN - 1, BEGIN - 1, None, None)}


def test_today_s_silence_is_not_that_of_a_past_period(ledger: Ledger) -> None:
    _put(ledger, BIN, [(1, BEGIN - 10, {}), (2, BEGIN + 10 * HOUR, {})])
    assert read_store(ledger, BEGIN - HOUR, BEGIN, 2.0).of[BIN].last_s == BEGIN + 10 * HOUR


def _device(**changes: Any) -> DeviceRecord:
    return record(1, identity={"dev_eui": LAMP}, **changes)


@pytest.mark.parametrize(
    ("delivery", "changes", "share"),
    [
        (Delivery(10, 9), {"streams": []}, 0.9),
        (Delivery(10, 0), {"streams": []}, None),
        (None, {}, None),
        # every hour from the begin of the year, and half of it came
        (
            Delivery(50, 50, BEGIN, BEGIN + 50 * HOUR),
            {"streams": [{"property": "noise.level", "interval_s": 3600}]},
            0.5,
        ),
        # the longest interval counts, from when it was installed
        (
            Delivery(10, 10, BEGIN + 90 * HOUR, BEGIN + 99 * HOUR),
            {
                "streams": [{"property": "noise.level", "interval_s": 60}, {"property": "x.y", "interval_s": 3600}],
                "lifecycle": {"stage": "operational", "installed_at": "2026-01-04T18:00:00Z"},
            },
            1.0,
        ),
        # more than expected is all of it
        (Delivery(4, 8, BEGIN, BEGIN + 8 * HOUR), {"streams": []}, 1.0),
    ],
)
def test_what_is_expected(delivery: Delivery | None, changes: dict[str, Any], share: float | None) -> None:
    heard = Heard({} if delivery is None else {LAMP: delivery}, "a test")
    found = heard.share(_device(**changes), BEGIN, BEGIN + 100 * HOUR)
    assert found == (None if share is None else pytest.approx(share))


def test_the_file_says_what_the_store_says(ledger: Ledger, tmp_path: Path) -> None:
    _put(ledger, LAMP, [(1, BEGIN, {"energy": 1, "dim": 0.5}), (2, BEGIN + HOUR, {"energy": 3})])
    _put(ledger, BIN, [(1, BEGIN + HOUR, {"level": 0.3})], stream=2)
    heard = read_store(ledger, BEGIN, END, 2.0)
    file = tmp_path / "delivery.csv"
    file.write_text(as_csv(heard))
    assert read_file(file).of == heard.of


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "none.sqlite"
    assert main(["-C", str(tmp_path), "report", "delivery", f"sqlite:{store}"]) == 1
    assert "no store of received readings" in capsys.readouterr().err
    assert not store.exists()
    store.write_bytes(b"this is no database, and long enough to be sure of it" * 20)
    assert main(["-C", str(tmp_path), "report", "delivery", f"sqlite:{store}"]) == 1
    assert "received readings" in capsys.readouterr().err
