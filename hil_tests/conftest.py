# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Tests for a device in the hand: ``--rig virtual`` (the default) or the TOML file of a bench, the same on both."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hil_tests.lab.capture import RADIO
from hil_tests.lab.run import RUN, Run
from hil_tests.network import FASTEST, Network
from hil_tests.rigs import Needs, Rig, open_rig
from hil_tests.semtech_end import Uplink

AIR_S = 15.0
"""Air time after which a device is not given to another test: one may need 15 s, and a sub-band has 36 s in an hour."""
QUEUE_S = 7  # so long a downlink of a test that has failed may wait in the packet forwarder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rig", default="virtual", help="'virtual', or the TOML file that describes a lab")
    parser.addoption("--board", default=None, help="which board of the lab is tested by radio (default: the first)")
    parser.addoption("--report", default=None, help="folder for report.html, logs and captured frames")


def pytest_configure(config: pytest.Config) -> None:
    run = Run(config.getoption("--rig"), config.getoption("--report"))
    config.stash[RUN] = run
    if config.getoption("--report"):
        config.pluginmanager.register(run)


@pytest.fixture(scope="session")
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    options = request.config
    opened = open_rig(options.getoption("--rig"), tmp_path_factory.mktemp("rig"), options.getoption("--board"))
    capture = options.stash[RUN].capture(RADIO)

    def hear(uplink: Uplink) -> None:
        how = {"sf": uplink.sf, "freq_hz": uplink.freq_hz, "rssi_dbm": uplink.rssi_dbm, "snr_db": uplink.snr_db}
        capture.radio(uplink.phy, **how)

    opened.semtech.tell = hear
    opened.tell = capture.said
    yield opened
    opened.close()


class Devices:
    """The device of the rig: a fresh one, or the one that has joined and that no failed test has left behind."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._joined: tuple[Needs, Network] | None = None
        self._failed = False

    def fresh(self, device_class: str = "A", certification: bool = False) -> Network:
        """A device just switched on, without a session, and a network that knows nothing yet."""
        self._joined = None
        if self._failed:
            self._rig.semtech.clock.sleep(QUEUE_S)
            self._failed = False
        self._rig.fresh(Needs(device_class, certification))
        network = Network(self._rig)
        while not self._rig.semtech.uplinks.empty():
            self._rig.semtech.uplinks.get()
        return network

    def joined(self, device_class: str = "A") -> Network:
        """A device in a session at DR5 with the test port open; the one of the test before if there is one."""
        needs = Needs(device_class, True)
        if self._joined is not None and self._joined[0] == needs and self._joined[1].air_s < AIR_S:
            return self._joined[1]
        network = self.fresh(device_class, True)
        network.join_at(FASTEST)
        self._joined = needs, network
        return network

    def forget(self, failed: bool = False) -> None:
        """What the last test left is not to be relied on."""
        self._joined = None
        self._failed = failed


@pytest.fixture(autouse=True)
def _captured(request: pytest.FixtureRequest) -> None:
    """What the radio carries is kept under the test's name."""
    if "rig" in request.fixturenames:
        request.config.stash[RUN].capture(RADIO).begin(request.node.name)


@pytest.fixture(scope="session")
def devices(rig: Rig) -> Devices:
    return Devices(rig)


@pytest.fixture
def fresh(devices: Devices) -> Callable[..., Network]:
    return devices.fresh


@pytest.fixture
def joined(devices: Devices) -> Network:
    return devices.joined()


@pytest.fixture
def joined_c(devices: Devices) -> Network:
    return devices.joined("C")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a device come together: each new one has to join first. All come before what waits for less."""
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    ours.sort(key=lambda item: [name for name in ("joined", "joined_c") if name in getattr(item, "fixturenames", ())])
    items[:] = ours + [item for item in items if item not in ours]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    report: pytest.TestReport = yield
    devices = getattr(item, "funcargs", {}).get("devices")
    if report.failed and devices is not None:
        devices.forget(failed=True)
    return report
