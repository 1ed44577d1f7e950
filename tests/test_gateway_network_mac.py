# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""MAC commands and radio state of a session, with the real register and session file, frames given by hand."""

import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from firmware.wire import joining, maccommands, macdevice
from firmware.wire.maccommands import DEV_STATUS, LINK_ADR, LINK_CHECK, RX_TIMING_SETUP
from gateway import errors
from gateway.links import Uplink
from gateway.network.downlinks import Item
from gateway.network.duty import Priority
from gateway.network.keyring import Keyring
from gateway.network.live import Joined, Opened
from gateway.network.options import Options
from gateway.network.radio_state import RadioState
from gateway.network.register import KnownDevices
from gateway.network.server import NetworkServer
from gateway.network.sessions import SessionStore
from gateway.radio import Reception
from provisioning.registry import Registry
from tests.gateway_rig import City, Device
from tests.outbox_rig import TestClock

GATEWAYS = [bytes([0xAA] * 7 + [number]) for number in range(3)]
QUIET = Options(adr=False, status_every_s=0)


@dataclass
class Radio:
    """A network server that hears by radio."""

    city: City
    options: Options = QUIET
    clock: TestClock = field(default_factory=TestClock)
    sf: int = 12
    snr_db: float = 5.0

    def __post_init__(self) -> None:
        self.registry = Registry.open(self.city.url, self.city.kek)
        self.open(self.options)

    def open(self, options: Options) -> None:
        self.options = options
        self.store = SessionStore(self.city.folder / "sessions.db", Keyring(self.city.kek))
        devices = KnownDevices(self.registry, self.clock)
        self.server = NetworkServer(devices, self.store, 1, random.Random(1), options)

    def restart(self, options: Options | None = None) -> None:
        self.store.close()
        self.open(options or self.options)

    def uplink(self, phy: bytes, gateways: int = 1) -> Uplink:
        self.clock.sleep(10)
        heard = [
            Uplink(
                "air", eui.hex(), phy, self.clock.wall_s(),
                Reception(eui, 5, 868_100_000, self.sf, 125_000, -100.0, self.snr_db - number),
                self.clock.monotonic_s(),
            )
            for number, eui in enumerate(GATEWAYS[:gateways])
        ]  # fmt: skip
        return replace(heard[0], others=tuple(heard[1:]))

    def hear(self, phy: bytes, gateways: int = 1) -> Opened:
        heard = self.server.receive(self.uplink(phy, gateways))
        self.server.commit()
        assert isinstance(heard, Opened)
        return heard

    def join(self, device: Device) -> joining.JoinAccept:
        heard = self.server.receive(self.uplink(device.join_request()))
        self.server.commit()
        assert isinstance(heard, Joined)
        return device.take_accept(heard.accept)

    def up(self, device: Device, fopts: bytes = b"", gateways: int = 1) -> Opened:
        return self.hear(device.live.seal_uplink(None, b"", adr=True, fopts=fopts), gateways)

    def asked(self, heard: Opened, room_bytes: int = 15) -> dict[int, bytes]:
        requests = self.server.requests(heard, room_bytes)
        return dict(maccommands.parse(requests, uplink=False))

    def close(self) -> None:
        self.store.close()
        self.registry.close()


@pytest.fixture
def radio(tmp_path: Path) -> Iterator[Radio]:
    made = Radio(City(tmp_path / "city"))
    yield made
    made.close()
    made.city.registry.close()


def test_a_join_by_radio_brings_the_five_channels_of_every_gateway(radio: Radio) -> None:
    accept = radio.join(radio.city.device())
    assert (accept.rx_delay, accept.dl_settings) == (1, 3)
    channels = [macdevice.frequency_hz(accept.cf_list[at : at + 3]) for at in range(0, 15, 3)]
    assert channels == [867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000]
    assert accept.cf_list[15] == 0


def test_a_link_check_tells_the_real_margin_and_how_many_heard(radio: Radio) -> None:
    device = radio.city.device()
    radio.join(device)
    radio.sf, radio.snr_db = 10, 4.9
    heard = radio.up(device, maccommands.link_check_req(), gateways=3)
    assert maccommands.parse(heard.mac_answers, uplink=False) == [(LINK_CHECK, bytes([19, 3]))]
    radio.snr_db = -17.0
    heard = radio.up(device, maccommands.link_check_req())
    assert maccommands.parse(heard.mac_answers, uplink=False) == [(LINK_CHECK, bytes([0, 1]))]


def test_a_good_signal_raises_the_rate_once_the_device_agrees(radio: Radio) -> None:
    device = radio.city.device()
    radio.restart(Options(status_every_s=0))
    radio.join(device)
    heard = radio.up(device)
    dr, tx_power, mask, control, nb_trans = macdevice.link_adr(radio.asked(heard)[LINK_ADR])
    assert (dr, tx_power, mask, control, nb_trans) == (4, 0, 0x00FF, 0, 1), "(5 + 20 - 10 - 2.5) dB are 4 steps of 3"
    assert heard.session.radio.dr == 0, "asking changes nothing"
    assert LINK_ADR in radio.asked(radio.up(device)), "the request was lost: it is asked again"
    heard = radio.up(device, macdevice.answer(LINK_ADR, 0x07))
    assert heard.session.radio.dr == 4
    radio.sf = 8
    heard = radio.up(device)
    radio.restart()
    assert radio.store.radio(heard.session.row).dr == 4, "on disk"


@pytest.mark.parametrize(("status", "max_dr", "max_tx_power"), [(0x05, 4, 7), (0x03, 5, 6), (0x06, 5, 7)])
def test_what_a_device_refuses_is_not_asked_again(radio: Radio, status: int, max_dr: int, max_tx_power: int) -> None:
    device = radio.city.device()
    radio.restart(Options(status_every_s=0))
    radio.join(device)
    radio.snr_db = 40.0
    assert macdevice.link_adr(radio.asked(radio.up(device))[LINK_ADR])[:2] == (5, 7)
    heard = radio.up(device, macdevice.answer(LINK_ADR, status))
    assert (heard.session.radio.dr, heard.session.radio.tx_power) == (0, 0), "all three bits or nothing"
    dr, tx_power, mask, _, _ = macdevice.link_adr(radio.asked(heard)[LINK_ADR])
    assert (dr, tx_power) == (max_dr, max_tx_power)
    assert mask == (0x0007 if status == 0x06 else 0x00FF), "a device that took no CFList has the default channels"


def test_a_device_that_never_answers_is_not_asked_with_every_frame(radio: Radio) -> None:
    device = radio.city.device()
    radio.restart(Options(status_every_s=0))
    radio.join(device)
    asked = [LINK_ADR in radio.asked(radio.up(device)) for _ in range(60)]
    assert asked[:4] == [True, True, True, False]
    assert sum(asked) == 6


def test_a_device_that_falls_back_is_believed(radio: Radio) -> None:
    device = radio.city.device()
    radio.restart(Options(status_every_s=0))
    radio.join(device)
    radio.snr_db = 40.0
    radio.asked(radio.up(device))
    heard = radio.up(device, macdevice.answer(LINK_ADR, 0x07))
    assert (heard.session.radio.dr, heard.session.radio.tx_power) == (5, 7)
    radio.sf = 9
    heard = radio.up(device)
    assert (heard.session.radio.dr, heard.session.radio.tx_power) == (3, 0)


def test_adr_is_left_alone_when_the_device_or_the_operator_does_not_want_it(radio: Radio) -> None:
    device = radio.city.device()
    radio.restart(Options(status_every_s=0))
    radio.join(device)
    assert radio.asked(radio.hear(device.live.seal_uplink(None, b"", adr=False))) == {}
    assert LINK_ADR in radio.asked(radio.up(device))
    radio.restart(QUIET)
    assert radio.asked(radio.up(device)) == {}


def test_battery_and_margin_are_asked_once_a_day_and_kept(radio: Radio) -> None:
    device = radio.city.device()
    radio.restart(Options(adr=False))
    radio.join(device)
    assert DEV_STATUS in radio.asked(radio.up(device))
    assert radio.asked(radio.up(device)) == {}, "not with every frame"
    heard = radio.up(device, macdevice.dev_status_ans(200, -7))
    radio.restart()
    state = radio.store.radio(heard.session.row)
    assert (state.battery, state.margin_db, state.status_at) == (200, -7, radio.clock.wall_s())
    assert radio.asked(radio.up(device)) == {}
    radio.clock.sleep(86400)
    assert DEV_STATUS in radio.asked(radio.up(device))


def test_a_new_delay_is_agreed_with_devices_that_joined_before(radio: Radio) -> None:
    device = radio.city.device()
    radio.join(device)
    radio.restart(replace(QUIET, rx1_delay_s=5))
    heard = radio.up(device)
    assert macdevice.rx_delay_s(radio.asked(heard)[RX_TIMING_SETUP][0]) == 5
    assert heard.session.radio.rx1_delay_s == 1, "until the device agrees its windows stay"
    heard = radio.up(device, bytes([RX_TIMING_SETUP]))
    assert heard.session.radio.rx1_delay_s == 5
    assert radio.asked(heard) == {}


def test_answers_that_nobody_asked_for_change_nothing(radio: Radio) -> None:
    device = radio.city.device()
    radio.join(device)
    before = replace(radio.up(device).session.radio)
    unasked = macdevice.answer(LINK_ADR, 7) + bytes([RX_TIMING_SETUP]) + macdevice.answer(0x05, 7)
    assert radio.up(device, unasked).session.radio == before


def test_requests_keep_to_the_room_that_is_left(radio: Radio) -> None:
    device = radio.city.device()
    radio.restart(Options())
    radio.join(device)
    heard = radio.up(device)
    for room_bytes in range(16):
        assert len(radio.server.requests(heard, room_bytes)) <= room_bytes


def test_the_last_frame_late_is_a_replay_and_soon_a_repetition(radio: Radio) -> None:
    device = radio.city.device()
    radio.join(device)
    phy = device.readings(1, confirmed=True)
    assert not radio.hear(phy).repeated
    assert radio.hear(phy).repeated
    radio.clock.sleep(301)
    with pytest.raises(errors.ReplayedFrame):
        radio.hear(phy)


def test_a_repetition_brings_again_what_was_not_taken(radio: Radio) -> None:
    device = radio.city.device()
    radio.join(device)
    phy = device.readings(1, confirmed=True)
    first = radio.hear(phy)
    first.session.taken = False  # the disk was full
    again = radio.hear(phy)
    assert (again.repeated, again.fport, again.payload) == (True, 1, first.payload)


def test_class_c_gets_its_queue_at_once_even_after_a_restart(radio: Radio) -> None:
    device = radio.city.device()
    radio.join(device)
    radio.up(device)
    radio.restart()
    radio.server.queue.put(Item(device.dev_eui, 3, b"on", confirmed=True))
    (planned,) = radio.server.plan_at_once(radio.clock.monotonic_s())
    assert [(way.window, way.link, way.address) for way in planned.opportunities] == [("rxc", "air", GATEWAYS[0].hex())]
    received = device.take(planned.phy)
    assert (received.fport, received.payload, received.confirmed) == (3, b"on", True)
    radio.server.settle(planned, radio.clock.monotonic_s(), sent=True)
    radio.hear(device.live.seal_uplink(None, b"", ack=True))
    assert [fate for _, fate in radio.server.fates()] == ["confirmed"]


def test_a_device_on_a_line_gets_its_queue_at_once(radio: Radio) -> None:
    device = radio.city.device()
    radio.join(device)
    phy = device.live.seal_uplink(None, b"")
    radio.server.receive(Uplink("bench", "port", phy, radio.clock.wall_s(), heard_at_s=radio.clock.monotonic_s()))
    radio.server.commit()
    radio.server.queue.put(Item(device.dev_eui, 3, bytes(100)))
    (planned,) = radio.server.plan_at_once(radio.clock.monotonic_s())
    assert [(way.window, way.link, way.when) for way in planned.opportunities] == [("line", "bench", None)]
    assert device.take(planned.phy).payload == bytes(100)


def test_class_c_waits_while_the_device_listens_to_rx1_and_rx2(radio: Radio) -> None:
    device = radio.city.device()
    radio.join(device)
    radio.up(device)
    radio.server.queue.put(Item(device.dev_eui, 3, b"on"))
    assert radio.server.plan_at_once(radio.clock.monotonic_s() + 2.9) == []
    assert len(radio.server.plan_at_once(radio.clock.monotonic_s() + 3.0)) == 1


def test_class_a_waits_for_the_device_to_speak(radio: Radio) -> None:
    device = radio.city.device()
    radio.restart(replace(QUIET, class_c=frozenset()))
    radio.join(device)
    radio.up(device)
    radio.server.queue.put(Item(device.dev_eui, 3, b"on"))
    assert radio.server.plan_at_once(radio.clock.monotonic_s() + 100) == []


def test_acknowledgements_and_mac_commands_never_go_by_class_c(radio: Radio) -> None:
    device = radio.city.device()
    radio.join(device)
    heard = radio.up(device)
    for ack, fopts, windows in ((False, b"", "rx1 rx2 rxc"), (True, b"", "rx1 rx2"), (False, b"\x06", "rx1 rx2")):
        phy = radio.server.answer(heard.session, 4, b"x", ack=ack, fopts=fopts)
        ways = radio.server.plan(heard, phy, Priority.REPLY).opportunities
        assert " ".join(way.window for way in ways) == windows


def test_random_dev_nonces_are_taken_once_each_where_a_kind_needs_them(radio: Radio) -> None:
    device = radio.city.device()
    radio.restart(replace(QUIET, random_dev_nonce=frozenset({"street_light"})))
    for dev_nonce in (60_000, 3, 41_000):
        device.dev_nonce = dev_nonce - 1
        radio.join(device)
    radio.restart()
    device.dev_nonce = 2
    with pytest.raises(errors.WrongNonce, match="3 again"):
        radio.server.receive(radio.uplink(device.join_request()))
    radio.server.rollback()
    radio.restart(QUIET)
    device.dev_nonce = 99
    with pytest.raises(errors.WrongNonce, match="must grow"):
        radio.server.receive(radio.uplink(device.join_request()))


def test_a_session_file_of_before_the_radio_is_taken_over(radio: Radio) -> None:
    device = radio.city.device()
    radio.join(device)
    radio.up(device)
    radio.store.close()
    with sqlite3.connect(radio.city.folder / "sessions.db") as old:
        old.executescript("DROP TRIGGER session_radio_ends; DROP TABLE session_radio; DROP TABLE random_nonce;")
    old.close()
    radio.open(QUIET)
    heard = radio.up(device)
    assert heard.session.radio == RadioState(link="air", address=GATEWAYS[0].hex())
    radio.join(device)
    radio.up(device)
    radio.store.close()
    with sqlite3.connect(radio.city.folder / "sessions.db") as new:
        assert new.execute("SELECT count(*) FROM session_radio").fetchone() == (1,), "it ends with its session"
    new.close()
    radio.open(QUIET)
