# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An output that the register refuses holds a full outbox up for nobody: what waits for it alone goes first, aloud."""

import json
import random
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gateway.outbox import stats
from gateway.outbox.lanes import END, Lanes
from gateway.records.reading import Rank
from tests.conftest import Mosquitto
from tests.gateway_rig import ROOT, City, Daemon, Device, Port, Subscriber, until
from tests.outbox_rig import TestClock
from tests.test_gateway_daemon import deliver, proven
from tests.test_outbox_losses import ranked, signing, verifier

PATIENCE_S = 120.0
BOTH = ("city", "open")


def test_what_only_a_refused_platform_waits_for_goes_before_all_else(tmp_path: Path, rng: random.Random) -> None:
    path = tmp_path / "o.db"
    with closing(signing(path, TestClock(), BOTH, max_bytes=300_000, when_full="drop", max_batch=1)) as outbox:
        outbox.refuse("open", True)
        ranks = [rng.choices(list(Rank), [6, 2, 1, 1])[0] for _ in range(150)]
        for seq, rank in enumerate(ranks, 1):
            outbox.accept([ranked(1, seq, rank)])
        taken = outbox.last()
        outbox.published("city", Lanes([[taken, END]]), taken)
        while not outbox.given_up:
            ranks.append(Rank.OPEN)
            outbox.accept([ranked(1, len(ranks), Rank.OPEN)])
        check = verifier()
        kept = {each.seq for row in outbox.read(0, 10**6) for each in check.check(row.message).readings}
        lost = set(range(1, len(ranks) + 1)) - kept
        assert max(lost) <= taken, "although what the city waits for is of the lowest rank"
        assert max(ranks[seq - 1] for seq in lost) <= min((ranks[seq - 1] for seq in kept if seq <= taken), default=9)
        report = check.report()
        assert (report.lost, report.missing, report.refused) == (len(lost), 0, {}), "said aloud, and signed"
        while max(lost) <= taken:  # nothing of that is left: then as always
            ranks.append(Rank.OPEN)
            outbox.accept([ranked(1, len(ranks), Rank.OPEN)])
            lost = {seq for row in outbox.read(0, 10**6) if not row.readings for seq in _lost(row.message)}
    found = stats.read(path)
    assert found.dropped["open"] > found.dropped["city"] > 0


def _lost(message: bytes) -> range:
    verified = verifier().check(message)
    return range(verified.first, verified.last + 1)


def test_who_is_let_in_again_is_an_output_like_others(tmp_path: Path) -> None:
    with closing(signing(tmp_path / "o.db", TestClock(), BOTH, max_bytes=300_000, when_full="drop")) as outbox:
        outbox.refuse("open", True)
        outbox.refuse("open", False)
        for seq in range(1, 101):
            outbox.accept([ranked(1, seq, Rank.ALARM)])
        outbox.published("city", Lanes([[outbox.last(), END]]), 100)
        top = 100
        while not outbox.given_up:
            top += 1
            outbox.accept([ranked(1, top, Rank.OPEN)])
        check = verifier()
        kept = {each.seq for row in outbox.read(0, 10**6) for each in check.check(row.message).readings}
    assert set(range(1, 101)) <= kept, "alarms last"


REFUSED = """
[[platforms]]
type = "ngsi_ld"
name = "open"
url = "http://127.0.0.1:9"
[platforms.release]
platform_id = "INT-99"
"""


def alarms(port: Port, device: Device, top: int) -> None:
    left = list(range(1, top + 1))
    while left:
        for start in range(0, len(left), 4):
            port.send(device.readings(*left[start : start + 4], oldest=left[0], fport=2))
        while left and (phy := port.receive(2.0)) is not None:
            device.take(phy)
            left = [seq for seq in left if seq not in device.held]


@pytest.mark.apart
@pytest.mark.slow  # make outputs-test
@pytest.mark.timeout(600)
def test_the_city_loses_nothing_to_an_output_that_the_register_refuses(
    tmp_path: Path, city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    device = city.device()
    subscriber = Subscriber(mosquitto.port).start()
    outbox = 'max_bytes = 262144\nwhen_full = "drop"\n'
    daemon = Daemon(city.config(port.path, mosquitto.port, REFUSED, records="max_batch = 1", outbox=outbox)).ready()
    daemons.append(daemon)
    refused = daemon.wait_for("output_refused", timeout_s=PATIENCE_S)
    assert "PLAT-1" in refused["why"]
    port.join(device)
    alarms(port, device, 100)  # the city takes them, and they wait for the other one
    until(lambda: daemon.stats().waiting.get("city", 1) == 0, "the city has them", PATIENCE_S)
    mosquitto.stop()
    top = 100
    while not daemon.stats().dropped.get("open"):
        assert top < 2000, "the outbox was never full"
        deliver(port, device, range(top + 1, top + 21))  # of the lowest rank, and the city lacks it
        top += 20
    given_up = daemon.wait_for("given_up", timeout_s=PATIENCE_S)
    assert given_up["level"] == "error"
    mosquitto.start()
    until(lambda: daemon.stats().waiting.get("city", 1) == 0, "the city has everything", PATIENCE_S)
    found = daemon.stats()
    assert (found.dropped["city"], found.dropped["open"]) == (0, 100)
    until(lambda: daemon.counters("readings").get("given_up") == 100, "the count", PATIENCE_S)
    shown = subprocess.run(
        [sys.executable, "-m", "gateway", "status", "--json", "--config", str(daemon.config)],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip
    states = {each["name"]: each["refused"] for each in json.loads(shown.stdout)["platforms"]}
    assert "PLAT-1" in states["open"]
    assert daemon.stop() == 0
    seen = {device.dev_eui.hex()}
    until(lambda: len(set(subscriber.messages)) >= top, "all of it at the city", PATIENCE_S)
    subscriber.stop()
    proven(city, subscriber, {(eui, seq) for eui in seen for seq in range(1, top + 1)})
