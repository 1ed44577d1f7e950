# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An acknowledgement means "on disk": what a device is told when the disk is full, and when its frame comes again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from firmware.wire import crypto, frame, maccommands, macnetwork
from gateway.links import Downlink
from gateway.network.duty import Priority
from gateway.network.options import Options
from gateway.network.quarantine import Quarantine
from gateway.network.scheduler import Planned
from gateway.operate.counters import Counters
from tests.gateway_rig import City, Device
from tests.outbox_rig import Disk, open_outbox
from tests.test_gateway_network_mac import QUIET, Radio


class Rig:
    """Everything from a frame to the answer that is planned for it."""

    def __init__(self, folder: Path, options: Options = QUIET) -> None:
        self.radio = Radio(City(folder / "city"), options)
        self.disk = Disk(open_outbox(folder / "outbox.db", self.radio.clock))
        self.counters = Counters()
        self.quarantine = Quarantine(1)
        self.intake = self.disk.intake(self.radio.server, self.counters, self.quarantine)
        self.device = self.radio.city.device()
        self.device.take_accept(self.answer(self.device.join_request()).phy)

    def hear(self, *phys: bytes) -> list[Downlink | Planned]:
        return self.intake.process([self.radio.uplink(phy) for phy in phys])

    def answer(self, phy: bytes) -> Planned:
        (planned,) = self.hear(phy)
        assert isinstance(planned, Planned)
        return planned


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.disk.outbox.close()
    made.radio.close()
    made.radio.city.registry.close()


def test_nothing_is_acknowledged_while_the_disk_is_full_and_the_repetition_is_once_it_is_not(rig: Rig) -> None:
    phy = rig.device.readings(1, confirmed=True)
    rig.disk.full = True
    assert rig.hear(phy) == []
    assert rig.hear(phy) == [], "the repetition brought the reading again, and again there was no room"
    rig.disk.full = False
    assert rig.device.take(rig.answer(phy).phy).ack
    assert rig.device.take(rig.answer(phy).phy).ack, "whose acknowledgement was lost asks again"
    assert rig.disk.outbox.receipt(rig.device.dev_eui).contiguous == 1
    assert rig.counters.snapshot()["readings"]["new"] == 1


def test_what_cannot_be_read_is_not_acknowledged(rig: Rig) -> None:
    live = rig.device.live
    for fport, payload in ((1, b"\xff\xff"), (1, b""), (77, b"of another maker"), (224, b"\x00")):
        assert rig.hear(live.seal_uplink(fport, payload, confirmed=True)) == []
    assert rig.device.take(rig.answer(live.seal_uplink(None, b"", confirmed=True)).phy).ack, "there is nothing to store"


def test_an_acknowledgement_is_for_the_last_confirmed_frame(rig: Rig) -> None:
    first, second = rig.device.readings(1, confirmed=True), rig.device.readings(2)
    (planned,) = rig.hear(first, second)
    assert rig.device.take(planned.phy).ack
    good = rig.device.readings(3, confirmed=True)
    bad = rig.device.live.seal_uplink(1, b"\xff", confirmed=True)
    assert rig.hear(good, bad) == [], "the device would take it for the last one's"


def test_receipts_fit_the_slowest_window(rig: Rig) -> None:
    for seq in range(2, 600, 2):
        rig.hear(rig.device.readings(seq))
    fopts = maccommands.link_check_req() + maccommands.device_time_req()
    payload = rig.device.readings(600, oldest=1)
    planned = rig.answer(payload)
    assert len(planned.phy) <= 51 + 13
    assert {way.window for way in planned.opportunities} >= {"rx1", "rx2"}
    rig.device.take(planned.phy)
    assert len(rig.device.held) > 100
    received = rig.device.take(rig.answer(rig.device.live.seal_uplink(None, b"", fopts=fopts)).phy)
    assert [cid for cid, _ in maccommands.parse(received.fopts, uplink=False)] == [2, 13]


@pytest.mark.parametrize(("fport", "priority"), [(1, Priority.REPLY), (2, Priority.ALARM)])
def test_alarms_come_first(rig: Rig, fport: int, priority: Priority) -> None:
    phy = rig.device.readings(1, oldest=1, fport=fport)
    assert rig.answer(phy).priority is priority
    assert rig.answer(phy).priority is priority, "and so does their repetition"


def test_a_device_that_asks_for_a_sign_of_life_gets_one(rig: Rig) -> None:
    phy = bytearray(rig.device.live.seal_uplink(None, b"", adr=True))
    assert rig.hear(bytes(phy)) == []
    asking = _with_adr_ack_req(rig.device)
    planned = rig.answer(asking)
    assert (planned.priority, rig.device.take(planned.phy).payload) == (Priority.REPLY, b"")


def _with_adr_ack_req(device: Device) -> bytes:
    """Seal a frame by hand: the test's device never asks."""
    live = device.live
    header = frame.encode_data_header(frame.UNCONFIRMED_UP, live.dev_addr, live.fcnt_up, adr=True, adr_ack_req=True)
    mic = crypto.data_mic(live._nwk, live.dev_addr, live.fcnt_up, crypto.UPLINK, header)
    live.fcnt_up += 1
    return header + mic


def test_a_battery_is_asked_with_what_goes_anyway_and_by_itself_only_when_that_takes_hours(tmp_path: Path) -> None:
    rig = Rig(tmp_path, replace(QUIET, status_every_s=86400))
    assert rig.hear(rig.device.live.seal_uplink(None, b"")) == []
    rig.radio.clock.sleep(6 * 3600)
    planned = rig.answer(rig.device.live.seal_uplink(None, b""))
    assert planned.priority is Priority.BACKGROUND
    assert rig.device.take(planned.phy).fopts == macnetwork.dev_status_req()
    rig.radio.clock.sleep(6 * 3600)
    assert rig.device.take(rig.answer(rig.device.readings(1, oldest=1)).phy).fopts == macnetwork.dev_status_req()
    rig.disk.outbox.close()
    rig.radio.close()
    rig.radio.city.registry.close()


def test_the_quarantine_is_bounded_and_says_how_often(rig: Rig) -> None:
    stranger = Device(bytes(8), rig.device.join_eui, bytes(16))
    for _ in range(3):
        rig.hear(stranger.join_request())
    (entry,) = rig.quarantine.entries()
    assert (entry.device, entry.reason, entry.frames) == ("00" * 8, "unknown_device", 3)
    for number in range(1, 400):
        rig.hear(Device(number.to_bytes(8, "big"), rig.device.join_eui, bytes(16)).join_request())
    assert len(rig.quarantine.entries()) == 256
    changed = rig.quarantine.changed()
    assert changed is not None
    assert changed[-1]["device"] == (399).to_bytes(8, "big").hex()
    assert rig.quarantine.changed() is None
