# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Any vendor's LoRaWAN sensor: no numbers and no receipts of its own, and still nothing is lost or taken twice."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from firmware.wire import frame, maccommands
from gateway.network.options import ProfileRule
from gateway.network.quarantine import Quarantine
from gateway.network.scheduler import Planned
from gateway.operate.counters import Counters
from gateway.outbox.store import Limits, Outbox
from tests.frame_gateway import sealer
from tests.gateway_rig import APP_KEY, City, Device
from tests.outbox_rig import Disk, TestClock
from tests.test_gateway_network_mac import QUIET, Radio

RULES = (ProfileRule("a84041", {"decoder": "cayenne_lpp"}), ProfileRule("a84041000000ffff", {"decoder": "raw"}))
WARM = bytes.fromhex("03670110")


class Rig:
    """The stages on disk; ``restart`` begins them anew on what the disk has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.city = City(folder / "city")
        clock = TestClock(wall=time.time())  # within the certificate's time
        self.radio = Radio(self.city, replace(QUIET, profiles=RULES), clock)
        self.counters = Counters()
        self.quarantine = Quarantine(1)
        self.disk = Disk(Outbox(folder / "outbox.db", sealer(self.city, clock), ("city",), Limits(), clock))
        self._stages()

    def _stages(self) -> None:
        self.intake = self.disk.intake(self.radio.server, self.counters, self.quarantine)

    def restart(self) -> None:
        self.radio.restart()
        self._stages()

    def close(self) -> None:
        self.disk.outbox.close()
        self.radio.close()
        self.city.registry.close()

    def sensor(self, dev_eui: str = "a840410000000001") -> Device:
        device = Device(
            bytes.fromhex(dev_eui), bytes.fromhex("a000000000000100"), APP_KEY[:-2] + bytes.fromhex(dev_eui)[-2:]
        )
        self.city.registry.register_device(
            "foreign", dev_eui=device.dev_eui, join_eui=device.join_eui, app_key=device.app_key
        )
        self.join(device)
        return device

    def join(self, device: Device) -> None:
        (planned,) = self.hear(device.join_request())
        device.take_accept(planned.phy)

    def hear(self, phy: bytes) -> list[Planned]:
        planned = self.intake.process([self.radio.uplink(phy)])
        assert all(isinstance(each, Planned) for each in planned)
        return planned  # type: ignore[return-value]  # asserted

    def acked(self, device: Device, phy: bytes) -> bool:
        return any(device.take(each.phy).ack for each in self.hear(phy))

    def readings(self) -> list[tuple[int, dict[str, object]]]:
        """As a city platform verifies them."""
        verifier = self.city.verifier()
        rows = self.disk.outbox.read(0, 1000)
        found = [each for row in rows for each in verifier.check(row.message).readings]
        assert verifier.report().duplicates == 0
        return [(each.seq, dict(each.values)) for each in found]

    def count(self, group: str, name: str) -> int:
        return self.counters.snapshot().get(group, {}).get(name, 0)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


def up(device: Device, payload: bytes, fport: int = 2, *, confirmed: bool = False) -> bytes:
    return device.live.seal_uplink(fport, payload, confirmed=confirmed)


def test_a_vendors_sensor_reaches_the_city_without_a_receipt(rig: Rig) -> None:
    device = rig.sensor()
    assert rig.hear(up(device, WARM, fport=2)) == []
    assert rig.hear(up(device, WARM, fport=1)) == [], "its FPort 1 and 2 are its own"
    (first, values), (second, _) = rig.readings()
    assert values == {"temperature_3": 27.2}
    assert second == first + 1
    raw = rig.sensor("a84041000000ffff")
    rig.hear(up(raw, b"\x01\x02\xff", fport=85))
    assert rig.readings()[-1][1] == {"fport": 85, "payload": "AQL_"}


def test_numbers_grow_over_lost_frames_and_joins_and_nothing_is_called_lost(rig: Rig) -> None:
    device = rig.sensor()
    for lost in range(40):
        up(device, WARM)
        rig.hear(up(device, bytes([0, 0x65, 0, lost])))
    rig.join(device)
    rig.hear(up(device, WARM))
    seqs = [seq for seq, _ in rig.readings()]
    assert seqs == sorted(set(seqs))
    assert len(seqs) == 41
    assert rig.count("readings", "gone") == 0


def test_a_confirmed_frame_is_acknowledged_when_it_is_on_disk(rig: Rig) -> None:
    device = rig.sensor()
    phy = up(device, WARM, confirmed=True)
    rig.disk.full = True
    assert not rig.acked(device, phy)
    rig.disk.full = False
    assert rig.acked(device, phy), "the same frame again, as every vendor's device sends it"
    assert rig.acked(device, phy), "its acknowledgement was lost"
    assert len(rig.readings()) == 1


@pytest.mark.parametrize("stored", [False, True])
def test_a_crash_between_counter_and_reading_loses_nothing_and_takes_nothing_twice(rig: Rig, stored: bool) -> None:
    """The counter is on disk, the reading perhaps; the device repeats the frame that nobody acknowledged."""
    device = rig.sensor()
    rig.hear(up(device, WARM))
    phy = up(device, WARM, confirmed=True)
    rig.disk.full = not stored
    rig.hear(phy)
    rig.disk.full = False
    rig.restart()
    assert rig.acked(device, phy)
    assert rig.acked(device, phy)
    assert len(rig.readings()) == 2


def test_after_a_restart_only_the_last_frame_counts_again(rig: Rig) -> None:
    device = rig.sensor()
    before, last = up(device, WARM), up(device, WARM)
    rig.hear(before)
    rig.hear(last)
    rig.restart()
    rig.hear(before)
    assert rig.count("refused", "replayed") == 1
    flipped = bytearray(last)
    flipped[-1] ^= 1
    rig.hear(bytes(flipped))
    assert rig.count("refused", "not_authentic") == 1
    rig.hear(last)
    rig.hear(up(device, WARM))
    assert len(rig.readings()) == 3


def test_what_its_decoder_cannot_read_is_kept_acknowledged_and_not_published(rig: Rig) -> None:
    device = rig.sensor()
    assert rig.acked(device, up(device, b"\x03\xfe\x00", confirmed=True))
    assert rig.readings() == []
    assert rig.count("readings", "unreadable") == 1
    rig.hear(up(device, WARM))
    assert len(rig.readings()) == 1


def test_mac_commands_that_are_cut_short_cost_no_reading(rig: Rig) -> None:
    """TS001 section 5: what cannot be parsed ends the commands; the frame around them is authentic."""
    device = rig.sensor()
    fopts = maccommands.link_check_req() + bytes([maccommands.DEV_STATUS, 200])
    phy = device.live.seal_uplink(2, WARM, confirmed=True, fopts=fopts)
    (planned,) = rig.hear(phy)
    received = device.take(planned.phy)
    assert received.ack
    assert maccommands.parse(received.fopts, uplink=False)[0][0] == maccommands.LINK_CHECK
    assert len(rig.readings()) == 1
    assert rig.count("mac_refused", "malformed_commands") == 1


def test_ports_that_are_not_for_applications_bring_no_reading(rig: Rig) -> None:
    device = rig.sensor()
    assert not rig.acked(device, up(device, WARM, fport=224, confirmed=True))
    assert rig.count("refused", "unsupported_port") == 1
    assert rig.acked(device, device.live.seal_uplink(None, b"", confirmed=True)), "an empty frame has nothing to store"
    assert rig.readings() == []


def test_a_device_of_ours_under_the_same_gateway_is_read_as_before(rig: Rig) -> None:
    ours = rig.city.device()
    rig.join(ours)
    (receipt,) = rig.hear(ours.readings(1, oldest=1))
    ours.take(receipt.phy)
    assert ours.held == {1}
    assert frame.mtype(receipt.phy) == frame.UNCONFIRMED_DOWN
