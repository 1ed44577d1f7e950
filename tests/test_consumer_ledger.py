# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The durable consumer: each reading once, whatever order, repetition or kill; receipts that say what is held."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.errors import LedgerError
from consumer.ledger import open_ledger
from consumer.ledger.day_files import DayFiles
from consumer.receipts import ReceiptReader
from provisioning import pki
from tests.ledger_rig import Platform, loss
from tests.signing_gateway import DEVICE, TIME_S, pack

pytestmark = pytest.mark.xdist_group("postgres")


@pytest.fixture(params=["sqlite", "postgresql"])
def platform(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Platform]:
    url = f"sqlite:{tmp_path / 'ledger'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").url()
    made = Platform(url, tmp_path)
    yield made
    made.ledger.close()


def receipt(platform: Platform) -> Any:
    (given,) = platform.receiver.receipts()
    reader = ReceiptReader(given[0], [pki.load_certificate(platform.certificate.read_bytes())])
    return reader.read(given[2])


def test_readings_are_kept_once_and_receipted(platform: Platform) -> None:
    first, second = platform.gateway.sign_next(3), platform.gateway.sign_next(2)
    done = platform.take(first)
    assert [(urn, each.seq, each.record) for urn, each in done.readings] == [
        (f"urn:dev:mac:{platform.gateway.eui.hex()}", seq, seq) for seq in (1, 2, 3)
    ]
    platform.restart()
    again = platform.take(first, second, second)
    assert (len(again.readings), again.redelivered, again.duplicates) == (2, 2, 0)
    assert platform.seqs() == [1, 2, 3, 4, 5]
    found = receipt(platform)
    assert (found.platform, found.stream_id, found.held) == ("traffic-office", platform.gateway.stream_id, ((1, 5),))
    assert found.digest == platform.gateway.previous
    assert platform.receiver.receipts() == []  # said once
    (row,) = platform.rows("SELECT dev_eui, seq, time, measured, units FROM reading WHERE seq = 2")
    assert (row[0], row[1], row[2], json.loads(row[3])) == (DEVICE, 2, TIME_S + 1, {"lamp_on": True, "power": 41.5})
    assert json.loads(row[4]) == {"power": "W"}


def test_a_gap_is_in_the_receipt_until_it_is_filled(platform: Platform) -> None:
    messages = [platform.gateway.sign_next(2) for _ in range(4)]
    platform.take(messages[0], messages[3])
    assert receipt(platform).held == ((1, 2), (7, 8))
    platform.receiver.receipt_every_s = 0
    platform.take(messages[2])
    assert receipt(platform).held == ((1, 2), (5, 8))
    platform.take(messages[1])
    assert receipt(platform).held == ((1, 8),)


def test_what_a_gateway_gave_up_is_not_asked_for(platform: Platform) -> None:
    first = platform.gateway.sign_next(2)
    notice = loss(platform.gateway, 3)
    last = platform.gateway.sign_next(1)
    done = platform.take(last, notice, first, notice)
    assert any("gave up records 3 to 5: outbox_full" in problem for problem in done.problems)
    assert receipt(platform).held == ((1, 6),)
    assert platform.seqs() == [1, 2, 6]


def test_a_message_waits_on_disk_for_its_certificate(platform: Platform) -> None:
    message = platform.gateway.sign_next(2)
    assert platform.take(message, certificate=False).readings == []
    platform.restart()
    assert len(platform.take().readings) == 2
    platform.restart()  # the certificate is kept too
    assert len(platform.take(platform.gateway.sign_next(1), certificate=False).readings) == 1


def test_another_story_is_kept_as_evidence_and_changes_nothing(platform: Platform) -> None:
    first = platform.gateway.sign_next(2)
    other = platform.gateway.envelope(pack([(DEVICE, 7), (DEVICE, 8)]), [platform.gateway.stream_id, 1, 2, b""])
    platform.gateway.previous = bytes(32)
    unchained = platform.gateway.sign_next(1)
    done = platform.take(first, other, unchained)
    assert [problem.partition(":")[0] for problem in done.problems] == ["Forked", "Forked"]
    assert platform.seqs() == [1, 2]
    assert [bytes(row[0]) for row in platform.rows("SELECT message FROM fork ORDER BY first")] == [other, unchained]
    assert receipt(platform).held == ((1, 2),)


def test_one_reading_in_two_records_counts_once(platform: Platform) -> None:
    done = platform.take(platform.gateway.sign([(DEVICE, 1)]), platform.gateway.sign([(DEVICE, 1), (DEVICE, 2)]))
    assert (len(done.readings), done.duplicates) == (2, 1)
    assert platform.rows("SELECT record, seq FROM duplicate") == [(2, 1)]


def test_noise_and_strangers_are_counted_and_cost_nothing(platform: Platform) -> None:
    message = bytearray(platform.gateway.sign_next(1))
    message[-1] ^= 1
    stranger = Platform(f"sqlite:{platform.folder / 'other'}", platform.folder).gateway
    platform.receiver.certificate(b"no certificate")
    done = platform.take(bytes(message), b"noise", stranger.sign_next(1))
    assert len(done.problems) == 3
    assert dict(platform.rows("SELECT reason, messages FROM refused")) == {"Malformed": 2, "NotAuthentic": 1}
    assert platform.receiver.receipts() == []
    assert platform.ledger.waiting()[0] == 1


@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_any_repetition_any_restart(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("any")
    platform = Platform(f"sqlite:{folder / 'ledger'}", folder)
    sizes = data.draw(st.lists(st.integers(-3, 4).filter(bool), min_size=1, max_size=12))
    messages = [platform.gateway.sign_next(n) if n > 0 else loss(platform.gateway, -n) for n in sizes]
    kept = [n > 0 for n in sizes for _ in range(abs(n))]
    order = data.draw(st.permutations(range(len(messages)))) + data.draw(
        st.lists(st.integers(0, len(messages) - 1), max_size=8)
    )
    files = DayFiles(platform.ledger, folder / "days")
    for index in order:
        platform.take(messages[index])
        match data.draw(st.sampled_from(["go on", "go on", "restart", "kill before the files"])):
            case "go on":
                files.write()
            case "restart":
                platform.restart()
                files = DayFiles(platform.ledger, folder / "days")
            case _:
                _half_written(folder / "days")
                platform.restart()
                files = DayFiles(platform.ledger, folder / "days")
    files.write()
    expected = [seq for seq, has in enumerate(kept, 1) if has]
    assert platform.seqs() == expected
    lines = [json.loads(line) for path in (folder / "days").iterdir() for line in path.read_text().splitlines()]
    assert sorted(line["seq"] for line in lines) == expected
    assert platform.rows("SELECT first, last FROM span") == [(1, len(kept))]
    assert not platform.rows("SELECT * FROM fork")
    platform.ledger.close()


def _half_written(folder: Path) -> None:
    """What a kill leaves: lines that no commit knows of."""
    for path in folder.glob("*.jsonl"):
        with path.open("ab") as file:
            file.write(b'{"seq": 99')


def test_a_file_that_was_shortened_is_not_written_on(platform: Platform) -> None:
    platform.take(platform.gateway.sign_next(3))
    folder = platform.folder / "days"
    assert DayFiles(platform.ledger, folder).write() == 3
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(LedgerError, match="shorter than what was written"):
        DayFiles(platform.ledger, folder)


def test_what_is_no_ledger_is_refused_with_its_name(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "other")
    other.execute("CREATE TABLE customers (name TEXT)")
    other.commit()
    other.close()
    (tmp_path / "noise").write_bytes(b"no database" * 100)
    for url, said in (
        (f"sqlite:{tmp_path / 'other'}", "tables of something else .customers."),
        (f"sqlite:{tmp_path / 'noise'}", "not a database"),
        (f"sqlite:{tmp_path / 'none' / 'x'}", "unable to open"),
        ("mysql:x", "no ledger of the kind 'mysql'"),
        ("postgresql://lykta:secret@127.0.0.1:1/x", "cannot be opened"),
    ):
        with pytest.raises(LedgerError, match=said) as caught:
            open_ledger(url)
        assert "secret" not in str(caught.value)


def test_a_ledger_of_a_newer_version_is_refused(platform: Platform) -> None:
    platform.ledger.database.execute("UPDATE ledger SET version = 9")
    with pytest.raises(LedgerError, match="version 9"):
        open_ledger(platform.url)
    platform.ledger.database.execute("UPDATE ledger SET version = 1")


def test_a_disk_that_is_full_loses_nothing(tmp_path: Path) -> None:
    platform = Platform(f"sqlite:{tmp_path / 'ledger'}", tmp_path)
    first, second = platform.gateway.sign_next(3), platform.gateway.sign_next(400)
    platform.take(first)
    pages = platform.rows("PRAGMA page_count")[0][0]
    platform.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerError, match="full"):
        platform.take(second)
    assert platform.seqs() == [1, 2, 3]
    platform.receiver.forget()  # it was not acknowledged, so it comes again
    platform.rows("PRAGMA max_page_count = 1000000")
    assert len(platform.take(second).readings) == 400
