# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A frame's counter is on disk with what the frame brought, in one commit; the sessions' own file may be behind."""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.links import Downlink, Uplink
from gateway.network.keyring import Keyring
from gateway.network.quarantine import Quarantine
from gateway.network.register import KnownDevices
from gateway.network.server import NetworkServer
from gateway.network.sessions import SessionStore
from gateway.operate.counters import Counters
from gateway.outbox.devices import Arrival, DeviceState
from gateway.outbox.schema import VERSION, prepare
from provisioning.errors import RegisterError
from provisioning.registry import Registry
from tests.gateway_rig import City
from tests.outbox_rig import Disk, TestClock, arrival, open_outbox, published


@dataclass
class Gateway:
    """Sessions and outbox of one gateway, which can be killed."""

    city: City
    folder: Path
    registry: Registry

    def __post_init__(self) -> None:
        self.clock, self.device = TestClock(), self.city.device()
        self.open()
        (accept,) = self.hear(self.device.join_request())
        self.device.take_accept(accept.phy)

    def open(self) -> None:
        self.store = SessionStore(self.folder / "sessions.db", Keyring(self.city.kek))
        devices = KnownDevices(self.registry, self.clock)
        self.server = NetworkServer(devices, self.store, 1, random.Random(1))
        self.outbox = open_outbox(self.folder / "outbox.db", self.clock)
        self.disk, self.counters = Disk(self.outbox), Counters()
        self.intake = self.disk.intake(self.server, self.counters, Quarantine(1))

    def hear(self, *phys: bytes) -> list[Downlink]:
        uplinks = [Uplink("bench", "port", phy, self.clock.wall_s()) for phy in phys]
        return [each for each in self.intake.process(uplinks) if isinstance(each, Downlink)]

    def refused(self) -> dict[str, int]:
        return self.counters.snapshot().get("refused", {})

    def on_file(self) -> int:
        """The counter in the sessions' own file."""
        with closing(sqlite3.connect(self.folder / "sessions.db")) as file:
            return int(file.execute("SELECT max(fcnt_up) FROM session").fetchone()[0])

    def kill(self) -> None:
        """What was not committed is gone, and so is all memory."""
        self.store.close()
        self.outbox.close()
        self.open()

    def close(self) -> None:
        self.store.close()
        self.outbox.close()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    city = City(tmp_path / "city")
    with closing(Gateway(city, tmp_path, city.registry)) as made:
        yield made
    city.registry.close()


def _told(gateway: Gateway, phy: bytes) -> set[int]:
    for each in gateway.hear(phy):
        gateway.device.take(each.phy)
    return gateway.device.held


def test_a_frame_whose_reading_is_on_disk_is_a_replay_after_a_kill(gateway: Gateway) -> None:
    phys = [gateway.device.readings(seq, oldest=1) for seq in range(1, 4)]
    assert _told(gateway, phys[0]) == {1}  # the first confirms the session, so it is in both files
    for phy in phys[1:]:
        gateway.hear(phy)
    assert gateway.on_file() == 1, "two batches were on disk without a commit of the sessions' own file"
    gateway.kill()
    assert gateway.hear(*phys) == []
    assert gateway.refused() == {"replayed": 3}
    assert _told(gateway, gateway.device.readings(4, oldest=1)) == {1, 2, 3, 4}
    assert [seq for _, seq in published(gateway.outbox)] == [1, 2, 3, 4]


def test_the_own_file_catches_up(gateway: Gateway) -> None:
    gateway.hear(gateway.device.readings(1))
    gateway.hear(gateway.device.readings(2), gateway.device.readings(3))
    gateway.server.catch_up()
    assert gateway.on_file() == 3
    gateway.hear(gateway.device.readings(4))
    gateway.hear(gateway.device.live.seal_uplink(None, b""))
    assert gateway.on_file() == 5, "a frame that brings nothing has its counter there only"


def test_what_the_outbox_does_not_take_counts_all_the_same(gateway: Gateway) -> None:
    gateway.hear(gateway.device.readings(1))
    gateway.disk.full = True
    phy = gateway.device.readings(2, oldest=1)
    assert gateway.hear(phy) == []
    assert gateway.on_file() == 2
    gateway.kill()
    gateway.disk.full = False
    assert gateway.hear(phy) == []
    assert gateway.refused() == {"replayed": 1}


def test_a_batch_that_is_abandoned_takes_no_counter_back(gateway: Gateway) -> None:
    first, second = gateway.device.readings(1), gateway.device.readings(2)
    gateway.hear(first)
    gateway.hear(second)
    gateway.intake.abandon()
    assert gateway.hear(first, second) == []
    assert gateway.refused() == {"replayed": 2}
    gateway.hear(gateway.device.readings(3))
    gateway.server.catch_up()
    assert gateway.on_file() == 3


def test_a_new_session_begins_at_its_own_counter(gateway: Gateway) -> None:
    for seq in range(1, 6):
        gateway.hear(gateway.device.readings(seq))
    (accept,) = gateway.hear(gateway.device.join_request())
    gateway.device.take_accept(accept.phy)
    gateway.kill()
    assert _told(gateway, gateway.device.readings(6, oldest=1)) == {*range(1, 7)}


def test_a_register_that_cannot_be_asked_stops_no_device_that_was_heard_just_now(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.hear(gateway.device.readings(1))

    def away() -> object:
        raise RegisterError("the register is away")

    monkeypatch.setattr(gateway.registry, "version", away)
    gateway.clock.sleep(2.0)
    assert _told(gateway, gateway.device.readings(2, oldest=1)) == {1, 2}
    gateway.clock.sleep(20.0)
    assert gateway.hear(gateway.device.readings(3)) == []
    counts = gateway.counters.snapshot()
    assert (counts["refused"], counts["frames"].get("abandoned")) == ({"register_unavailable": 1}, None)


def test_lost_sessions_are_not_mixed_up_with_new_ones_of_the_same_number(gateway: Gateway) -> None:
    for seq in range(1, 6):
        gateway.hear(gateway.device.readings(seq))
    gateway.close()
    for name in ("sessions.db", "sessions.db-wal", "sessions.db-shm"):
        (gateway.folder / name).unlink(missing_ok=True)
    gateway.open()
    (accept,) = gateway.hear(gateway.device.join_request())
    gateway.device.take_accept(accept.phy)
    gateway.kill()
    assert _told(gateway, gateway.device.readings(6, oldest=1)) == {*range(1, 7)}


def test_every_bit_of_a_counter_is_guarded() -> None:
    state = DeviceState.from_row(
        DeviceState.from_row((b"12345678", 5, b"\x80", 5, 0, 0, b"", 0, None)).to_row(b"12345678")
    )
    state.session, state.fcnt_up = b"abcdefgh", 6
    row = state.to_row(b"12345678")
    assert DeviceState.from_row(row).to_row(b"12345678") == row
    for at, other in (
        (0, b"12345679"),
        (1, 4),
        (3, 4),
        (4, 1),
        (5, 1),
        (6, b"abcdefgi"),
        (6, b""),
        (7, 7),
        (7, 2**70),
        (8, 1),
    ):
        with pytest.raises(ValueError, match="row of"):
            DeviceState.from_row([*row[:at], other, *row[at + 1 :]])


def test_an_outbox_of_the_version_before_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with closing(open_outbox(path)) as outbox:
        outbox.accept([arrival(1, 1, 2, 4)])
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("ALTER TABLE device DROP COLUMN session")
        file.execute("ALTER TABLE device DROP COLUMN fcnt_up")
        file.execute("PRAGMA user_version = 3")
    shutil.copy(path, tmp_path / "old.db")
    with closing(open_outbox(path)) as outbox:
        receipt = outbox.receipt(arrival(1).dev_eui)
        assert (receipt.contiguous, receipt.above, outbox.counter(arrival(1).dev_eui)) == (2, [4], (b"", 0))
        outbox.accept([Arrival(arrival(1).dev_eui, arrival(1, 3).payload, b"abcdefgh", 9)])
        assert outbox.counter(arrival(1).dev_eui) == (b"abcdefgh", 9)
    with closing(sqlite3.connect(tmp_path / "old.db", isolation_level=None)) as file:
        prepare(file)
        prepare(file)
        assert file.execute("PRAGMA user_version").fetchone() == (VERSION,)
