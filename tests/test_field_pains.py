# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What users of other gateways suffered from, each as a test: reconnect storms, certificates, memory, stuck clients."""

import asyncio
import random
import re
import socket
import threading
from collections import Counter
from pathlib import Path

import psutil
import pytest

from gateway.cli import main
from gateway.operate import control
from gateway.platforms._backoff import BackOff
from tests.conftest import Mosquitto
from tests.gateway_rig import City, Daemon, Port, Subscriber, until
from tests.test_gateway_mqtt import _tls_files

ROOT = Path(__file__).resolve().parent.parent
FLEET = 5000
RETRY_MAX_S = 15.0
OUTAGE_S = 600


@pytest.mark.parametrize(
    ("page", "heading", "least"),
    [("operating.md", "## What other gateways", 30), ("bench.md", "## What users of other tools", 30)],
    ids=["gateway", "bench"],
)
def test_the_guide_names_a_test_for_each_pain_and_every_one_exists(page: str, heading: str, least: int) -> None:
    guide = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(heading)[2]
    rows = [line.strip("|").split("|") for line in guide.splitlines() if line.startswith("| ")][2:]
    pains = [(what, shown) for what, shown in rows if not what.strip().startswith("**")]
    assert len(pains) >= least
    defined = {
        name
        for folder in ("tests", "hil_tests")
        for path in (ROOT / folder).rglob("*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.M)
    }
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    for what, shown in pains:
        named = re.findall(r"`([^`]+)`", shown)
        assert named, what
        for name in named:
            kind, _, target = name.partition(" ")
            there = target in targets if kind == "make" else name in defined or (ROOT / name).is_file()
            assert there, f"{what.strip()}: there is no {name}"


def test_five_thousand_gateways_do_not_come_back_in_the_same_second(rng: random.Random) -> None:
    """A broker that was away for ten minutes meets a fleet spread over the longest pause, not a wave."""
    tries: Counter[int] = Counter()
    for _ in range(FLEET):
        pauses = BackOff(0.5, RETRY_MAX_S, random.Random(rng.random()))
        at_s = 0.0
        while at_s < OUTAGE_S:
            tries[int(at_s)] += 1
            at_s += pauses.pause_s()
    settled = [tries[second] for second in range(120, OUTAGE_S)]
    fair = FLEET / (0.75 * RETRY_MAX_S)
    assert max(settled) < 1.5 * fair, "a wave"
    assert min(settled) > 0.5 * fair, "a lull that a wave follows"


def test_a_broker_that_takes_connections_and_drops_them_is_not_hammered(city: City, port: Port) -> None:
    """The pause grows until something was really delivered: an accepted connection is no success."""
    accepted = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                accepted.append(connection.recv(64))
                connection.sendall(b"\x20\x03\x00\x00\x00")  # CONNACK, and gone
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        config = city.config(port.path, server.getsockname()[1])
        config.write_text(config.read_text().replace("retry_max_s = 0.5", "retry_max_s = 600.0"))
        daemon = Daemon(config).ready()
        try:
            until(lambda: daemon.counters("platforms").get("city_connection_failed", 0) >= 4, "four tries")
            announced = [each["retry_in_s"] for each in daemon.saw("broker_absent")]
            assert announced[0] > 0
            assert len(accepted) <= 8, "it came back at once again and again"
            assert daemon.stop() == 0
        finally:
            daemon.kill()
            server.shutdown(socket.SHUT_RDWR)
            server.close()
            thread.join(timeout=10)


def test_a_certificate_that_was_wrong_is_put_right_without_a_restart(
    city: City, port: Port, mosquitto: Mosquitto, capsys: pytest.CaptureFixture[str]
) -> None:
    """Others needed a restart, or never came back after a first connection that failed for TLS."""
    device = city.device()
    mosquitto.stop()
    _tls_files(city.folder)
    lines = f"certfile {city.folder}/broker.pem\nkeyfile {city.folder}/broker.key\n"
    mosquitto.config.write_text(mosquitto.config.read_text() + lines)
    mosquitto.start()
    (city.folder / "trust.pem").write_bytes(city.certificate_pem)  # an authority, but not the broker's
    daemon = Daemon(city.config(port.path, mosquitto.port, platform='[platforms.tls]\nca = "trust.pem"')).ready()
    try:
        port.join(device)
        port.send(device.readings(1, 2, 3, oldest=1))
        device.take(port.receive() or b"")
        assert device.held == {1, 2, 3}, "TLS trouble is no reason to take nothing"
        assert "CERTIFICATE_VERIFY_FAILED" in daemon.wait_for("broker_absent")["why"]
        pid = daemon.process.pid
        (city.folder / "trust.pem").write_text("half a cert")
        assert main(["reload", "--config", str(daemon.config)]) == 1
        assert "do not load" in capsys.readouterr().err
        (city.folder / "trust.pem").write_bytes((city.folder / "broker.pem").read_bytes())
        assert main(["reload", "--config", str(daemon.config)]) == 0
        until(lambda: daemon.stats().published.get("city") == 3, "what waited to be delivered")
        assert daemon.process.pid == pid
        assert daemon.stop() == 0
    finally:
        daemon.kill()


def test_memory_does_not_hold_what_the_disk_holds(city: City, port: Port, mosquitto: Mosquitto) -> None:
    """A broker that is away for long fills the disk, within its bound; not the memory."""
    device = city.device()
    subscriber = Subscriber(mosquitto.port).start()
    mosquitto.stop()
    daemon = Daemon(city.config(port.path, mosquitto.port)).ready()
    try:
        port.join(device)
        process = psutil.Process(daemon.process.pid)

        def deliver(first: int, last: int) -> None:
            for seq in range(first, last + 1, 4):
                port.send(device.readings(*range(seq, seq + 4)))
            until(lambda: daemon.stats().durable == last, f"{last} readings on disk", 60)

        deliver(1, 800)
        before = process.memory_info().rss
        deliver(801, 4000)
        assert process.memory_info().rss - before < 12 << 20
        mosquitto.start()
        until(lambda: daemon.stats().waiting.get("city") == 0, "all of it delivered", 60)
        assert process.memory_info().rss - before < 24 << 20
        assert daemon.stop() == 0
    finally:
        subscriber.stop()
        daemon.kill()


def test_a_client_of_the_control_socket_that_says_nothing_holds_up_nobody(
    city: City, port: Port, mosquitto: Mosquitto, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon = Daemon(city.config(port.path, mosquitto.port)).ready()
    try:

        async def crowd() -> None:
            with control._short_path(daemon.state_dir / control.SOCKET_FILE) as path:  # fits into sun_path
                opened = [await asyncio.open_unix_connection(path) for _ in range(40)]
            for number, (_, writer) in enumerate(opened):
                writer.write(b"x" * (number * 100))
            assert await asyncio.to_thread(main, ["status", "--config", str(daemon.config)]) in {0, 4}
            for _, writer in opened:
                writer.close()

        asyncio.run(crowd())
        assert "gateway" in capsys.readouterr().out
        assert daemon.stop() == 0
    finally:
        daemon.kill()
