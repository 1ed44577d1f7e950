# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Channels beyond the Join-Accept, RX2's data rate, and what differs from device to device: asked, answered, kept."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from firmware.node.lorawan.mac_engine import MacEngine
from firmware.wire import frame, maccommands, macdevice, macnetwork, region
from firmware.wire.maccommands import DL_CHANNEL, LINK_ADR, NEW_CHANNEL, RX_PARAM_SETUP
from gateway import errors
from gateway.network import channels
from gateway.network.duty import Priority
from gateway.network.live import Opened
from gateway.network.options import GATEWAY_CHANNELS, Channel, ProfileRule
from gateway.network.profiles import Profile, profile
from gateway.network.radio_state import RadioState
from tests.gateway_rig import City, Device
from tests.lent import code_stays_loaded
from tests.test_gateway_network_mac import QUIET, Radio

__all__ = ["code_stays_loaded"]  # a fixture of every test here

MORE = (
    *GATEWAY_CHANNELS,
    Channel(868_300_000, rx1_hz=869_525_000),
    Channel(865_100_000, 0, 3),
    Channel(866_300_000, 5, 6, rx1_hz=869_525_000),
)


@pytest.fixture
def radio(tmp_path: Path) -> Iterator[Radio]:
    made = Radio(City(tmp_path / "city"), replace(QUIET, channels=MORE))
    yield made
    made.close()
    made.city.registry.close()


class Node:
    """A device whose MAC commands are obeyed by the firmware's own engine."""

    def __init__(self, radio: Radio) -> None:
        self.radio = radio
        self.device = radio.city.device()
        accept = radio.join(self.device)
        self.engine = MacEngine()
        self.engine.start(0, accept.dl_settings, accept.rx_delay, accept.cf_list)

    def talk(self, room_bytes: int = 15) -> Opened:
        """One uplink with the answers that wait, and its downlink with what the network asks."""
        opened = self.radio.up(self.device, self.engine.pending(15))
        self.engine.sent()
        self.engine.take_in(self.radio.server.requests(opened, room_bytes), 0)
        return opened

    @property
    def channels(self) -> dict[int, tuple[int, int, int, int]]:
        return {index: each for index, each in enumerate(self.engine.plan.channels) if each is not None}


def agree(radio: Radio, opened: Opened, node: Node) -> None:
    """Network and device have the same channels, all of them on."""
    plan = opened.session.mac.plan
    for index, (freq_hz, min_dr, max_dr, rx1_hz) in node.channels.items():
        known = plan.channel(index)
        assert known is not None
        assert (known.freq_hz, known.min_dr, known.max_dr, known.downlink_hz) == (freq_hz, min_dr, max_dr, rx1_hz)
    assert opened.session.radio.channels == node.engine.plan.mask
    assert radio.store.plan(opened.session.row) == plan, "on disk"


def test_channels_beyond_the_cf_list_are_made_by_and_by(radio: Radio) -> None:
    node = Node(radio)
    assert len(node.channels) == 8
    for _ in range(6):
        opened = node.talk()
    assert node.channels[1] == (868_300_000, 0, 5, 869_525_000)
    assert node.channels[8] == (865_100_000, 0, 3, 865_100_000)
    assert node.channels[9] == (866_300_000, 5, 6, 869_525_000)
    agree(radio, opened, node)
    assert radio.server.requests(opened, 15) == b"", "nothing more to ask"
    radio.restart()
    opened = node.talk()
    agree(radio, opened, node)
    assert radio.server.requests(opened, 15) == b"", "nor after a restart"
    assert radio.server.refusals() == []


def test_rx1_follows_a_moved_downlink_channel(radio: Radio) -> None:
    node = Node(radio)
    for _ in range(6):
        opened = node.talk()
    moved = opened.uplink
    assert moved.radio is not None
    moved = replace(moved, radio=replace(moved.radio, freq_hz=868_300_000))
    phy = radio.server.answer(opened.session, None, b"", ack=True, fopts=b"")
    rx1, rx2 = radio.server.plan(replace(opened, uplink=moved), phy, Priority.REPLY).opportunities
    assert rx1.when is not None
    assert rx2.when is not None
    assert (rx1.when.freq_hz, rx1.when.power_dbm) == (869_525_000, 27)
    assert (rx2.when.freq_hz, rx2.when.sf) == (region.RX2_HZ, 9)


def test_a_channel_that_is_configured_no_more_is_removed(radio: Radio) -> None:
    node = Node(radio)
    for _ in range(6):
        node.talk()
    radio.restart(replace(QUIET, channels=GATEWAY_CHANNELS[:4]))
    for _ in range(8):
        opened = node.talk()
    assert sorted(node.channels) == [0, 1, 2, 3, 4, 5, 6]
    agree(radio, opened, node)


def test_what_a_device_refuses_is_counted_kept_and_not_asked_again(radio: Radio) -> None:
    device = radio.city.device()
    radio.join(device)
    asked = radio.asked(radio.up(device), room_bytes=6)
    assert list(asked) == [DL_CHANNEL]
    asked = radio.asked(radio.up(device, macdevice.answer(DL_CHANNEL, 0x02)), room_bytes=6)
    assert list(asked) == [NEW_CHANNEL]
    refused = macdevice.answer(NEW_CHANNEL, 0x01)
    radio.asked(radio.up(device, refused), room_bytes=6)
    opened = radio.up(device, refused)
    assert radio.asked(opened) == {}
    assert radio.server.refusals() == ["dl_channel", "new_channel", "new_channel"]
    assert radio.server.refusals() == []
    assert opened.session.mac.plan.rx1_hz(868_300_000) == 868_300_000
    radio.restart()
    assert radio.asked(radio.up(device)) == {}, "remembered"


def test_answers_to_what_was_not_asked_change_no_channel(radio: Radio) -> None:
    device = radio.city.device()
    radio.join(device)
    before = radio.up(device).session.mac.plan.copy()
    opened = radio.up(device, macdevice.answer(NEW_CHANNEL, 3) + macdevice.answer(DL_CHANNEL, 3))
    assert opened.session.mac.plan == before


def test_a_device_that_took_no_cf_list_is_asked_for_its_channels(radio: Radio) -> None:
    radio.restart(replace(QUIET, adr=True, channels=GATEWAY_CHANNELS))
    node = Node(radio)
    node.engine.start(0, 3, 1, b"")
    for _ in range(12):
        opened = node.talk()
    agree(radio, opened, node)
    assert sorted(node.channels) == list(range(8))


def test_a_plan_survives_its_file() -> None:
    plan, cf_list = channels.at_join(MORE)
    assert [macdevice.frequency_hz(cf_list[at : at + 3]) for at in (0, 12)] == [867_100_000, 867_900_000]
    for request in channels.requests(plan, MORE):
        channels.settle(plan, request, accepted=request.index != 8)
    assert plan.refused
    assert channels.ChannelPlan.from_json(plan.to_json()) == plan
    odd, cf_list = channels.at_join((Channel(867_100_000, 0, 3), Channel(867_300_000)))
    assert [macdevice.frequency_hz(cf_list[at : at + 3]) for at in (0, 3)] == [0, 867_300_000]
    assert sorted(odd.channels) == [4]


def test_devices_that_joined_before_are_told_the_data_rate_of_rx2_and_may_refuse(radio: Radio) -> None:
    radio.restart(replace(QUIET, rx2_dr=0))
    obeys, refuses = Node(radio), radio.city.device(2)
    assert obeys.engine.rx2_dr == 0
    radio.join(refuses)
    radio.restart(replace(QUIET, rx2_dr=3))
    obeys.talk()
    opened = obeys.talk()
    assert (obeys.engine.rx2_dr, opened.session.radio.rx2_dr) == (3, 3)
    assert radio.asked(radio.up(refuses)).keys() == {RX_PARAM_SETUP}
    opened = radio.up(refuses, macdevice.answer(RX_PARAM_SETUP, 0x05))
    assert (radio.asked(opened), opened.session.radio.rx2_dr) == ({}, 0)
    assert radio.server.refusals() == ["rx_param_setup"]


def test_a_join_accept_brings_the_data_rate_of_rx2_and_itself_goes_at_the_regions(radio: Radio) -> None:
    device = radio.city.device()
    joined = radio.server.receive(radio.uplink(device.join_request()))
    assert not isinstance(joined, Opened)
    rx2 = radio.server.plan_join(joined).opportunities[-1]
    assert rx2.when is not None
    assert (rx2.window, rx2.when.sf) == ("rx2", 12), "before it has joined a device knows nothing else"
    assert macdevice.dl_settings(device.take_accept(joined.accept).dl_settings) == (0, 3)
    radio.server.commit()
    assert radio.up(device).session.radio.rx2_dr == 3


# Profiles


class Entry:
    """A device as the register may come to give it."""

    def __init__(self, device: Device, kind: str = "street_light", **lorawan: object) -> None:
        self.dev_eui, self.join_eui, self.kind, self.state = device.dev_eui, device.join_eui, kind, "registered"
        self.lorawan = lorawan


DEVICE = Device(bytes.fromhex("70b3d57ed0000001"), bytes.fromhex("0011223344556677"), bytes(16))


def test_a_profile_comes_from_options_kind_matches_and_the_register_in_this_order() -> None:
    rules = (
        ProfileRule("70b3d57ed0000001", {"max_dr": 2}),
        ProfileRule("70b3", {"class_c": False, "rx2_dr": 1, "max_dr": 4}),
        ProfileRule("0011", {"rx1_delay_s": 5}),
        ProfileRule("beef", {"adr": False}),
    )
    options = replace(QUIET, adr=True, profiles=rules, rx2_dr=3)
    found = profile(Entry(DEVICE), options)
    assert found == Profile(rx1_delay_s=5, rx2_dr=1, max_dr=2, status_every_s=0)
    assert profile(Entry(DEVICE, rx2_dr=0), options).rx2_dr == 0
    assert profile(Entry(DEVICE), QUIET).class_c, "the kind's"


@pytest.mark.parametrize(
    ("lorawan", "said"),
    [
        ({"rx1_delay_s": 16}, "rx1_delay_s is 16; 1 to 15"),
        ({"rx2_dr": "fast"}, "rx2_dr is 'fast'"),
        ({"rx2_hz": 869_300_000}, "nobody may send"),
        ({"max_eirp_dbm": 20}, "2 to 16"),
        ({"colour": "red"}, "'colour' is nothing that a profile has"),
    ],
)
def test_a_record_that_cannot_be_is_refused_with_what_can(lorawan: dict[str, object], said: str) -> None:
    with pytest.raises(errors.WrongProfile, match=said):
        profile(Entry(DEVICE, **lorawan), QUIET)


def test_a_device_is_treated_by_its_profile(radio: Radio) -> None:
    slow = ProfileRule(
        "70b3d57ed0000002",
        {"class_c": False, "rx1_delay_s": 5, "rx2_dr": 0, "max_dr": 2, "max_eirp_dbm": 11, "random_dev_nonce": True},
    )
    radio.restart(replace(QUIET, adr=True, profiles=(slow,)))
    usual, other = radio.city.device(1), radio.city.device(2)
    accepts = [radio.join(each) for each in (usual, other)]
    assert [(each.rx_delay, each.dl_settings) for each in accepts] == [(1, 3), (5, 0)]
    radio.snr_db = 40.0
    settings = [macdevice.link_adr(radio.asked(radio.up(each))[LINK_ADR])[:2] for each in (usual, other)]
    assert settings == [(5, 7), (2, 7)]
    other.dev_nonce = 40
    radio.join(other)
    other.dev_nonce = 20
    radio.join(other)
    opened = radio.up(other)
    phy = radio.server.answer(opened.session, 4, b"x", ack=False, fopts=b"")
    assert [way.window for way in radio.server.plan(opened, phy, Priority.REPLY).opportunities] == ["rx1", "rx2"]


def test_a_device_with_too_much_power_is_told_so_even_where_it_needs_it(radio: Radio) -> None:
    radio.restart(replace(QUIET, adr=True, profiles=(ProfileRule("70b3", {"max_eirp_dbm": 13}),)))
    device = radio.city.device()
    radio.join(device)
    radio.snr_db = -20.0
    assert macdevice.link_adr(radio.asked(radio.up(device))[LINK_ADR])[:2] == (0, 2), "16 dBm - 2 x 2 dB is 12 dBm"


def test_a_session_of_before_knows_no_plan_and_is_asked(radio: Radio) -> None:
    node = Node(radio)
    radio.store._db.execute("DELETE FROM session_more")
    radio.restart()
    for _ in range(6):
        opened = node.talk()
    agree(radio, opened, node)
    assert frame.mtype(opened.uplink.phy) == frame.UNCONFIRMED_UP
    assert maccommands.parse(radio.server.requests(opened, 15), uplink=False) == []
    assert opened.session.radio != RadioState()
    assert macnetwork.encode_cf_list([each.freq_hz for each in GATEWAY_CHANNELS])[15] == 0
