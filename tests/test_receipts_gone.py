# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A platform's receipt says that it lacks what nobody has any more: the log, the status and its exit say so."""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from consumer.receipts import Receipt
from gateway.operate import control
from provisioning.receiving import receipt_signer
from tests.conftest import Mosquitto
from tests.gateway_rig import GATEWAY_EUI, ROOT, City, Daemon, Port, until
from tests.mqtt_rig import Listener
from tests.test_gateway_daemon import deliver

pytestmark = [pytest.mark.apart, pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE_S = 120.0


class Office:
    """A platform that says, signed, what it holds."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        self._signer, self.certificate = receipt_signer("office", folder)
        self._broker = broker

    def holds(self, stream: str, *ranges: tuple[int, int]) -> None:
        receipt = Receipt(
            "office", f"urn:dev:mac:{GATEWAY_EUI.hex()}", bytes.fromhex(stream), ranges, b"", int(time.time())
        )
        publisher = Listener(self._broker.port, "none")
        topic = f"lykta/v1/{GATEWAY_EUI.hex()}/receipts/office/{stream}"
        publisher.publish(topic, self._signer.sign(receipt), retain=True)
        publisher.stop()


def status(daemon: Daemon) -> str:
    command = [sys.executable, "-m", "gateway", "status", "--config", str(daemon.config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout, done.stderr
    return done.stdout


def lacks(daemon: Daemon) -> int:
    found: dict[str, Any] = control.ask(daemon.state_dir, "status")
    (number,) = [each["lacks_gone"] for each in found["platforms"] if each["name"] == "city"]
    return int(number)


def oldest(daemon: Daemon) -> int:
    """The first record that the gateway still has."""
    with closing(sqlite3.connect(f"file:{daemon.state_dir}/outbox.db?mode=ro", uri=True)) as outbox:
        return int(outbox.execute("SELECT coalesce(min(first), 0) FROM envelope").fetchone()[0])


def test_what_a_platform_lacks_and_nobody_has_is_said_until_it_is_mended(
    tmp_path: Path, city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    office = Office(tmp_path / "keys", mosquitto)
    device = city.device()
    daemon = Daemon(
        city.config(
            port.path, mosquitto.port, records="max_batch = 1", outbox="max_bytes = 262144",
            platform=f'receipts = ["{office.certificate}"]\nresend_after_s = 1.0\n',
        )
    ).ready()  # fmt: skip
    daemons.append(daemon)
    port.join(device)
    top = 100
    deliver(port, device, range(1, top + 1))
    (stream,) = daemon.stats().streams
    office.holds(stream, (1, top))
    until(lambda: daemon.counters("platforms").get("city_receipts", 0) >= 1, "the receipt", PATIENCE_S)
    receipted = top
    while oldest(daemon) <= receipted:  # a full outbox lets go what is receipted
        assert top < 2000, "the outbox never let anything go"
        deliver(port, device, range(top + 1, top + 41))
        top += 40
    assert lacks(daemon) == 0
    assert not daemon.saw("records_gone")

    office.holds(stream, (1, 10), (41, receipted))  # restored from a backup
    gone = daemon.wait_for("records_gone", timeout_s=PATIENCE_S)
    assert (gone["platform"], gone["records"], gone["level"]) == ("city", 30, "error")
    until(lambda: lacks(daemon) == 30, "the status", PATIENCE_S)
    said = status(daemon)
    assert "platform city lacks records that are gone" in said
    assert "it lacks 30 that this gateway does not have any more" in said
    assert "restore them there from a backup" in said

    office.holds(stream, (1, receipted))  # it found them elsewhere
    until(lambda: lacks(daemon) == 0, "nothing is lacking", PATIENCE_S)
    assert "lacks records" not in status(daemon)
    assert daemon.stop() == 0
