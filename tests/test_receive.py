# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta receive` and `lykta prove` as a platform uses them: killed at any moment, each reading kept once."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from provisioning.city import City as Register
from provisioning.register import moves
from tests.city import City, running_city, wait_until
from tests.conftest import Mosquitto

pytestmark = [pytest.mark.apart, pytest.mark.timeout(240)]


@contextmanager
def receiving(city: City, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "provisioning.cli", "-C", str(city.folder / "city"), "receive"]
    where = ["--broker", f"127.0.0.1:{city.broker_port}", "--name", "office", "--keys", str(city.folder / "keys")]
    with (city.folder / "receive.out").open("w") as out, (city.folder / "receive.err").open("a") as err:
        process = subprocess.Popen([*command, *where, *store(city), *options], stdout=out, stderr=err)
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


def store(city: City) -> list[str]:
    return ["--store", f"sqlite:{city.folder / 'received.sqlite'}"]


def kept(city: City) -> list[int]:
    try:
        with closing(sqlite3.connect(f"file:{city.folder / 'received.sqlite'}?mode=ro", uri=True)) as connection:
            return [seq for (seq,) in connection.execute("SELECT seq FROM reading ORDER BY seq")]
    except sqlite3.OperationalError:  # not made yet
        return []


def test_killed_again_and_again_it_keeps_each_reading_once(tmp_path: Path, mosquitto: Mosquitto, seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    with running_city(tmp_path, mosquitto.port, interval_ms=100, seed=seed) as city:
        days = ["--files", str(tmp_path / "days")]
        with receiving(city, *days):
            wait_until(lambda: (tmp_path / "keys" / "office.cert.pem").exists(), "the platform's key")
            wait_until(lambda: "connected" in (tmp_path / "receive.err").read_text(), "a session at the broker")
            city.start_gateway()
            city.start_board()
            wait_until(lambda: len(kept(city)) >= 3, "the first readings")
        for _ in range(4):
            goal = len(kept(city)) + 1
            with receiving(city, *days):
                wait_until(lambda goal=goal: len(kept(city)) >= goal, "more readings")  # type: ignore[misc]
                time.sleep(rng.uniform(0, 0.5))  # the random instant is the point of this test
        city.stop("board")
        wait_until(lambda: city.stats()["waiting"] == {"city": 0}, "the outbox to be empty")
        durable = city.stats()["durable"]
        said = tmp_path / "receive.err"
        before = said.read_text().count("connected to")
        with receiving(city, *days, "--json") as process:
            wait_until(lambda: said.read_text().count("connected to") > before, "its session at the broker")
            wait_until(lambda: len(kept(city)) >= durable, "everything that the gateway holds")
            process.terminate()
            assert process.wait(30) == 0
        assert kept(city) == list(range(1, durable + 1))
        lines = [json.loads(line) for path in (tmp_path / "days").iterdir() for line in path.read_text().splitlines()]
        assert [line["seq"] for line in lines] == kept(city)
        proof = json.loads(city.lykta("prove", "--from", "2026-01-01", *store(city), "--json"))
        assert proof["whole"]
        assert proof["counts"] == {}
        assert sum(stream["records"] for stream in proof["streams"]) == durable
        _the_yearly_report_counts_them(city, durable)


def _the_yearly_report_counts_them(city: City, durable: int) -> None:
    """K2, K12 and K15 from what a real gateway delivered: of the store itself, and of the file made from it."""
    with Register.open(city.folder / "city").registry() as registry, registry.change() as change:
        for stage in ("installed", "operational"):
            moves.move(change, city.dev_eui, stage)  # type: ignore[arg-type]
    file = city.folder / "delivery.csv"
    (url,) = store(city)[1:]
    city.lykta("report", "delivery", url, "--out", str(file))
    for option in (("--received", url), ("--delivery", str(file))):
        report = json.loads(city.lykta("report", "kpi", "--format", "json", *option))
        cells = {
            (figure["id"], cell["name"]): (cell["value"], cell["of"])
            for figure in report["parts"][0]["figures"]
            for cell in figure["cells"]
        }
        assert cells["K2", "delivering at least 90 % of what is expected"] == (1, 1)
        assert cells["K12", "silent for 30 days (LIFE-6)"] == (0, 1)
        assert cells["K15", "lights that were metered"] == (1, 1)
    (line,) = [line for line in file.read_text().splitlines() if line.startswith(city.dev_eui)]
    assert line.split(",")[1:3] == [str(durable)] * 2


def test_a_period_without_records_is_not_proven(tmp_path: Path, free_port: int) -> None:
    with running_city(tmp_path, free_port) as city:
        said = city.lykta("prove", "--from", "2026-01-01", "--to", "2026-01-02T00:00Z", *store(city), code=1)
        assert "nothing is proven" in said
        city.lykta("prove", "--from", "yesterday", *store(city), code=64)
        city.lykta("prove", "--from", "2026-01-02", "--to", "2026-01-01", *store(city), code=64)
        refused = city.lykta("receive", "--broker", "127.0.0.1:1", "--name", "office", "--store", "mysql:x", code=1)
        assert refused == ""


def _forget(path: Path, record: int) -> None:
    """What a platform that was restored from a backup, or a broker that dropped a message, has lost."""
    with closing(sqlite3.connect(path)) as ledger, ledger:
        ((first, last),) = ledger.execute(
            "SELECT first, last FROM envelope WHERE first <= ? AND last >= ?", (record, record)
        ).fetchall()
        ledger.execute("DELETE FROM envelope WHERE first = ?", (first,))
        ledger.execute("DELETE FROM reading WHERE record BETWEEN ? AND ?", (first, last))
        ((begin, end),) = ledger.execute("SELECT first, last FROM span").fetchall()
        ledger.execute("DELETE FROM span")
        for low, high in ((begin, first - 1), (last + 1, end)):
            if low <= high:
                ledger.execute("INSERT INTO span (stream, first, last) VALUES (1, ?, ?)", (low, high))


def test_what_a_platform_lost_comes_again_because_its_receipts_say_so(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with running_city(tmp_path, mosquitto.port, interval_ms=100) as city:
        with receiving(city):
            wait_until(lambda: (tmp_path / "keys" / "office.cert.pem").exists(), "the platform's key")
            wait_until(lambda: "connected" in (tmp_path / "receive.err").read_text(), "a session at the broker")
            platform = f'receipts = ["{tmp_path}/keys/office.cert.pem"]\nresend_after_s = 1.0\n'
            text = city.config.read_text()
            assert text.count("[[platforms]]\n") == 1
            city.config.write_text(text.replace("[[platforms]]\n", f"[[platforms]]\n{platform}"))
            city.start_gateway()
            city.start_board()
            wait_until(lambda: len(kept(city)) >= 10, "readings")
        _forget(tmp_path / "received.sqlite", 5)
        assert 5 not in kept(city)
        with receiving(city):
            wait_until(lambda: 5 in kept(city), "what was lost")
        wait_until(lambda: city.counted("platforms", "city_receipts") >= 2, "the receipts' count")
        wait_until(lambda: city.counted("platforms", "city_sent_again") >= 1, "the count of what was sent again")
        assert city.counted("platforms", "city_receipts_refused") == 0
        proof = json.loads(city.lykta("prove", "--from", "2026-01-01", *store(city), "--json"))
        assert set(proof["counts"]) <= {"late"}
        assert proof["whole"]
