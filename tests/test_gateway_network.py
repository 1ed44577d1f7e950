# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Joins, sessions and counters, with the real register and the real session file."""

import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.wire import maccommands
from firmware.wire.session import Session
from gateway import errors
from gateway.links import Uplink
from gateway.network.aes import ecb
from gateway.network.keyring import Keyring
from gateway.network.live import Joined, Opened
from gateway.network.register import KnownDevices
from gateway.network.server import NetworkServer
from gateway.network.sessions import SessionStore
from provisioning.register import moves
from provisioning.registry import Registry
from tests.gateway_rig import City, Device
from tests.outbox_rig import TestClock

NET_ID = 1


@dataclass
class Network:
    """A network server as the daemon builds it, that can be killed and opened again."""

    city: City
    clock: TestClock
    seed: int = 1

    def __post_init__(self) -> None:
        self.path = self.city.folder / "sessions.db"
        self.registry = Registry.open(self.city.url, self.city.kek)
        self.open()

    def open(self) -> None:
        self.store = SessionStore(self.path, Keyring(self.city.kek))
        devices = KnownDevices(self.registry, self.clock)
        self.server = NetworkServer(devices, self.store, NET_ID, random.Random(self.seed))

    def restart(self) -> None:
        """As after SIGKILL: what was not committed is gone, and so is all memory."""
        self.store.close()
        self.open()

    def close(self) -> None:
        self.store.close()
        self.registry.close()

    def hear(self, phy: bytes) -> Joined | Opened:
        """One frame, committed."""
        heard = self.receive(phy)
        self.server.commit()
        return heard

    def receive(self, phy: bytes) -> Joined | Opened:
        return self.server.receive(Uplink("bench", "port", phy, self.clock.wall_s()))

    def join(self, device: Device) -> None:
        heard = self.hear(device.join_request())
        assert isinstance(heard, Joined)
        device.take_accept(heard.accept)

    def opened(self, phy: bytes) -> Opened:
        heard = self.hear(phy)
        assert isinstance(heard, Opened)
        return heard

    def answer(self, heard: Opened, payload: bytes) -> bytes:
        return self.server.answer(heard.session, 4, payload, ack=False, fopts=b"")


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    return City(tmp_path_factory.mktemp("city"))


@pytest.fixture
def network(tmp_path: Path, city: City) -> Iterator[Network]:
    made = Network(City(tmp_path / "city"), TestClock())
    yield made
    made.close()
    made.city.registry.close()


def test_a_registered_device_joins_and_is_heard(network: Network) -> None:
    device = network.city.device()
    network.join(device)
    assert device.live.dev_addr >> 25 == NET_ID, "DevAddr begins with the NwkID (TS001 section 6.1.1)"
    heard = network.opened(device.readings(1, 2))
    assert (heard.session.dev_eui, heard.kind, heard.fport) == (device.dev_eui, "street_light", 1)


def test_an_answer_opens_at_the_device(network: Network) -> None:
    device = network.city.device()
    network.join(device)
    downlink = network.answer(network.opened(device.readings(1)), b"\xa1\x00\x01")
    assert device.take(downlink).fport == 4
    assert device.held == {1}


def test_a_dev_nonce_is_used_once_and_only_grows_even_after_a_kill(network: Network) -> None:
    device = network.city.device()
    request = device.join_request()
    network.hear(request)
    network.restart()
    with pytest.raises(errors.WrongNonce, match="after 0"):
        network.hear(request)
    device.dev_nonce = 41
    network.hear(device.join_request())
    device.dev_nonce = 10
    with pytest.raises(errors.WrongNonce, match="DevNonce 11 after 42"):
        network.hear(device.join_request())


def test_join_nonces_grow_even_when_the_session_file_is_lost(network: Network) -> None:
    device = network.city.device()
    nonces = []
    for _ in range(3):
        heard = network.hear(device.join_request())
        assert isinstance(heard, Joined)
        nonces.append(device.take_accept(heard.accept).join_nonce)
    network.store.close()
    for file in network.city.folder.glob("sessions.db*"):
        file.unlink()
    network.clock.sleep(3600)
    network.open()
    heard = network.hear(device.join_request())
    assert isinstance(heard, Joined)
    nonces.append(device.take_accept(heard.accept).join_nonce)
    assert nonces == sorted(set(nonces))


def test_nothing_of_a_join_stays_when_it_was_not_committed(network: Network) -> None:
    device = network.city.device()
    request = device.join_request()
    network.receive(request)
    network.server.rollback()
    assert isinstance(network.hear(request), Joined), "the nonce was not used up"


def test_strangers_are_refused(network: Network) -> None:
    known = network.city.device(1)
    stranger = Device(bytes(8), known.join_eui, known.app_key)
    with pytest.raises(errors.UnknownDevice, match="0000000000000000"):
        network.hear(stranger.join_request())
    wrong_join = Device(known.dev_eui, bytes(8), known.app_key)
    with pytest.raises(errors.UnknownDevice, match="JoinEUI"):
        network.hear(wrong_join.join_request())
    wrong_key = Device(known.dev_eui, known.join_eui, bytes(16))
    with pytest.raises(errors.FrameNotAuthentic):
        network.hear(wrong_key.join_request())
    network.join(known)
    wrong_session = Session(ecb, known.live.dev_addr, bytes(16), bytes(16))
    with pytest.raises(errors.FrameNotAuthentic):
        network.hear(wrong_session.seal_uplink(1, b"\xa1\x00\x01"))
    with pytest.raises(errors.UnknownAddress):
        network.hear(Session(ecb, 0x12345678, bytes(16), bytes(16)).seal_uplink(1, b""))
    network.opened(known.readings(1))


def test_a_lost_accept_does_not_orphan_the_device(network: Network) -> None:
    device = network.city.device()
    network.join(device)
    old = device.live
    network.opened(device.readings(1))
    network.hear(device.join_request())  # its accept is lost
    network.hear(device.join_request())  # and once more
    network.restart()
    assert network.opened(old.seal_uplink(1, b"\xa1\x00\x02")).fport == 1
    network.join(device)
    network.opened(device.readings(2))
    with pytest.raises(errors.UnknownAddress):
        network.hear(old.seal_uplink(1, b"\xa1\x00\x03"))
    with sqlite3.connect(network.path) as raw:
        assert raw.execute("SELECT count(*) FROM session").fetchone() == (1,), "what ended is gone"
    raw.close()


def test_a_replay_is_refused_now_and_after_a_kill(network: Network) -> None:
    device = network.city.device()
    network.join(device)
    frames = [device.readings(seq) for seq in range(1, 4)]
    for phy in frames:
        network.opened(phy)
    for phy in frames[:2]:
        with pytest.raises(errors.ReplayedFrame):
            network.hear(phy)
    network.restart()
    for phy in frames:
        with pytest.raises(errors.ReplayedFrame):
            network.hear(phy)
    network.opened(device.readings(4))


def test_the_last_frame_once_more_may_ask_for_its_answer_a_few_times(network: Network) -> None:
    device = network.city.device()
    network.join(device)
    phy = device.readings(1, oldest=1)
    network.opened(phy)
    repeats = 0
    with pytest.raises(errors.ReplayedFrame):
        for _ in range(20):
            heard = network.opened(phy)
            assert (heard.repeated, heard.payload) == (True, b"")
            repeats += 1
    assert 0 < repeats < 15


def test_a_frame_whose_counter_was_not_committed_may_come_again(network: Network) -> None:
    device = network.city.device()
    network.join(device)
    phy = device.readings(1)
    network.receive(phy)
    network.server.rollback()
    assert not network.opened(phy).repeated


def test_downlink_counters_are_never_used_twice_whenever_the_kill_comes(network: Network, rng: random.Random) -> None:
    device = network.city.device()
    network.join(device)
    seen = []
    for seq in range(1, 301):
        heard = network.opened(device.readings(seq))
        for _ in range(rng.randrange(4)):
            seen.append(device.live.open_downlink(network.answer(heard, b"\xa1\x00\x00")).fcnt)
        if rng.random() < 0.05:
            network.restart()
    assert seen == sorted(set(seen))
    assert seen[-1] < 10_000


def test_a_retired_device_is_refused_within_seconds(network: Network) -> None:
    device = network.city.device()
    network.join(device)
    network.opened(device.readings(1))
    with network.registry.change() as change:
        moves.retire(change, device.dev_eui.hex(), by="test")
    network.clock.sleep(20)
    with pytest.raises(errors.RetiredDevice):
        network.hear(device.readings(2))
    with pytest.raises(errors.RetiredDevice):
        network.hear(device.join_request())


def test_time_and_link_check_are_answered(network: Network) -> None:
    device = network.city.device()
    network.join(device)
    fopts = maccommands.link_check_req() + maccommands.device_time_req()
    heard = network.opened(device.live.seal_uplink(None, b"", fopts=fopts))
    answers = dict(maccommands.parse(heard.mac_answers, uplink=False))
    assert maccommands.decode_device_time_ans(answers[maccommands.DEVICE_TIME]) == network.clock.wall_s() * 1000
    assert answers[maccommands.LINK_CHECK][1] == 1
    on_port_0 = network.opened(device.live.seal_uplink(0, maccommands.link_check_req()))
    assert maccommands.parse(on_port_0.mac_answers, uplink=False)[0][0] == maccommands.LINK_CHECK


def test_a_gateway_that_does_not_know_the_time_does_not_tell_it(network: Network) -> None:
    device = network.city.device()
    network.clock.wall = 3600.0
    network.join(device)
    heard = network.opened(device.live.seal_uplink(None, b"", fopts=maccommands.device_time_req()))
    assert heard.mac_answers == b""


def test_session_keys_are_not_on_disk_in_clear(network: Network) -> None:
    device = network.city.device()
    network.join(device)
    heard = network.opened(device.readings(1))
    stored = network.store.by_address(device.live.dev_addr)
    assert stored is not None
    network.store.close()
    disk = b"".join(file.read_bytes() for file in network.city.folder.glob("sessions.db*"))
    assert stored.dev_eui in disk
    assert stored.nwk_skey not in disk
    assert stored.app_skey not in disk
    assert heard.session.row == stored.row
    network.open()


def test_keys_under_another_kek_refuse_frames_and_break_nothing(network: Network) -> None:
    device = network.city.device()
    network.join(device)
    network.store.close()
    network.store = SessionStore(network.path, Keyring(b"another kek"))
    network.server = NetworkServer(
        KnownDevices(network.registry, network.clock), network.store, NET_ID, random.Random(1)
    )
    with pytest.raises(errors.UnreadableSession):
        network.hear(device.readings(1))
    network.join(device)


def test_a_damaged_session_file_is_set_aside_and_devices_join_again(network: Network) -> None:
    device = network.city.device()
    network.join(device)
    network.store.close()
    for sidecar in network.city.folder.glob("sessions.db-*"):
        sidecar.unlink()
    network.path.write_bytes(b"\xff" * 9000)
    network.clock.sleep(120)
    network.open()
    assert (network.city.folder / "sessions.db.corrupt-1").read_bytes() == b"\xff" * 9000
    with pytest.raises(errors.UnknownAddress):
        network.hear(device.readings(1))
    network.join(device)


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_by_a_type_of_ours(city: City, phy: bytes) -> None:
    network = Network(city, TestClock())
    try:
        with pytest.raises(errors.Refused):
            network.hear(phy)
    finally:
        network.close()


def test_every_truncation_and_every_flipped_bit_of_a_frame_is_refused(network: Network) -> None:
    device = network.city.device()
    request = device.join_request()
    for phy in _spoiled(request):
        with pytest.raises(errors.Refused):
            network.hear(phy)
    network.join(device)
    for phy in _spoiled(device.readings(1)):
        with pytest.raises(errors.Refused):
            network.hear(phy)
    network.opened(device.readings(2))


def _spoiled(phy: bytes) -> list[bytes]:
    flipped = [phy[:at] + bytes([phy[at] ^ 1 << bit]) + phy[at + 1 :] for at in range(len(phy)) for bit in range(8)]
    return [phy[:length] for length in range(len(phy))] + [phy + b"\x00"] + flipped
