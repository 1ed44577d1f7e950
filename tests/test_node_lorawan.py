# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The pure parts of LoRaWAN on the board: MAC engine against a model, ADR's table, receive windows."""

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.node.errors import ConfigError
from firmware.node.lorawan.adr import AdrBackoff
from firmware.node.lorawan.layer import Layer
from firmware.node.lorawan.mac_engine import MacEngine
from firmware.node.lorawan.windows import receive_window
from firmware.wire import cbor, maccommands, macnetwork, region
from tests.lent import code_stays_loaded

__all__ = ["code_stays_loaded"]  # a fixture of every test here

HZ = st.sampled_from(
    [0, 863100000, 865000000, 867100000, 867300000, 868100000, 868650000, 869300000, 869525000, 870000000, 870100000]
) | st.integers(0, 0xFFFFFF).map(lambda steps: 100 * steps)
INDEX = st.integers(0, 18)


@st.composite
def link_adr(draw: st.DrawFn) -> bytes:
    mask = draw(st.sampled_from([0, 1, 7, 0x0F, 0xFF, 0xFFFF]) | st.integers(0, 0xFFFF))
    control = draw(st.sampled_from([0, 0, 6, 6, 5]))
    rate = draw(st.sampled_from([0, 3, 5, 15]) | st.integers(0, 15))
    power = draw(st.sampled_from([0, 3, 7, 15]) | st.integers(0, 15))
    return macnetwork.link_adr_req(rate, power, mask, control, draw(st.sampled_from([0, 1, 3, 15])))


NEW_CHANNEL = st.builds(macnetwork.new_channel_req, INDEX, HZ, st.integers(0, 15), st.integers(0, 15))
REQUEST = st.one_of(
    link_adr(),
    NEW_CHANNEL,
    NEW_CHANNEL,
    st.builds(macnetwork.dl_channel_req, INDEX, HZ),
    st.builds(macnetwork.rx_param_setup_req, st.integers(0, 7), st.integers(0, 15), HZ),
    st.builds(macnetwork.rx_timing_setup_req, st.integers(0, 15)),
    st.builds(macnetwork.duty_cycle_req, st.integers(0, 15)),
    st.builds(macnetwork.tx_param_setup_req, st.booleans(), st.booleans(), st.integers(0, 15)),
    st.just(macnetwork.dev_status_req()),
)


@dataclass
class Model:
    """What TS001 and RP002 say, written the long way: every field on its own, channels as dictionaries."""

    channels: dict[int, tuple[int, int, int]] = field(
        default_factory=lambda: {i: (hz, 0, 5) for i, hz in enumerate(region.DEFAULT_CHANNELS_HZ)}
    )
    on: set[int] = field(default_factory=lambda: {0, 1, 2})
    rx1: dict[int, int] = field(default_factory=lambda: dict(enumerate(region.DEFAULT_CHANNELS_HZ)))
    dr: int = 0
    power: int = 0
    copies: int = 1
    duty: int = 0
    rx_params: tuple[int, int, int] = (0, 0, 869525000)
    delay: int = 1

    def answer(self, requests: list[bytes]) -> list[bytes]:
        answers: list[bytes] = []
        while requests:
            block = [requests.pop(0)]
            while block[0][0] == maccommands.LINK_ADR and requests and requests[0][0] == maccommands.LINK_ADR:
                block.append(requests.pop(0))
            answers += self._answer(block)
        return answers

    def _answer(self, block: list[bytes]) -> list[bytes]:
        cid, body = block[0][0], block[0][1:]
        match cid:
            case maccommands.LINK_ADR:
                return [bytes([cid, self._link_adr(block)])] * len(block)
            case maccommands.NEW_CHANNEL:
                return [bytes([cid, self._new_channel(body)])]
            case maccommands.DL_CHANNEL:
                hz = int.from_bytes(body[1:4], "little") * 100
                status = (863000000 <= hz <= 870000000) | (body[0] in self.channels) << 1
                if status == 3:
                    self.rx1[body[0]] = hz
                return [bytes([cid, status])]
            case maccommands.RX_PARAM_SETUP:
                hz, offset, dr = int.from_bytes(body[1:4], "little") * 100, body[0] >> 4, body[0] & 15
                status = (863000000 <= hz <= 870000000) | (dr <= 6) << 1 | (offset <= 5) << 2
                if status == 7:
                    self.rx_params = (offset, dr, hz)
                return [bytes([cid, status])]
            case maccommands.RX_TIMING_SETUP:
                self.delay = max(1, body[0])
                return [bytes([cid])]
            case maccommands.DUTY_CYCLE:
                self.duty = body[0]
                return [bytes([cid])]
            case maccommands.DEV_STATUS:
                return [bytes([cid, 255, 5])]
        return []

    def _new_channel(self, body: bytes) -> int:
        index, hz = body[0], int.from_bytes(body[1:4], "little") * 100
        low, high = body[4] & 15, body[4] >> 4
        if index < 3 or index > 15:
            return 0
        if hz == 0:
            self.channels.pop(index, None)
            self.rx1.pop(index, None)
            self.on.discard(index)
            self._keep_valid()
            return 3
        status = self._may_send(hz) | (low <= high <= 6) << 1
        if status == 3:
            self.channels[index], self.rx1[index] = (hz, low, high), hz
            self.on.add(index)
            self._keep_valid()
        return status

    @staticmethod
    def _may_send(hz: int) -> bool:
        bands = [(863.0, 868.6), (868.7, 869.2), (869.4, 869.65), (869.7, 870.0)]
        return any(low <= hz / 1e6 <= high for low, high in bands)

    def _keep_valid(self) -> None:
        self.on = self.on or {0, 1, 2}
        if not self._usable(self.dr, self.on):
            usable = [dr for dr in range(7) if self._usable(dr, self.on)]
            lower = [dr for dr in usable if dr < self.dr]
            self.dr = max(lower) if lower else min(usable)

    def _usable(self, dr: int, on: set[int]) -> bool:
        return any(self.channels[i][1] <= dr <= self.channels[i][2] for i in on)

    def _link_adr(self, block: list[bytes]) -> int:
        on: set[int] | None = set(self.on)
        for request in block:
            control = request[4] >> 4
            wanted = {i for i in range(16) if int.from_bytes(request[2:4], "little") >> i & 1}
            if control == 6:
                wanted = set(self.channels)
            elif control != 0 or not wanted <= set(self.channels):
                on = None
            on = None if on is None else wanted
        dr, power, copies = block[-1][1] >> 4, block[-1][1] & 15, block[-1][4] & 15
        dr = self.dr if dr == 15 else dr
        power = self.power if power == 15 else power
        status = bool(on) | self._usable(dr, on or self.on) << 1 | (power <= 7) << 2
        if status == 7 and on:
            self.on, self.dr, self.power, self.copies = on, dr, power, max(1, copies)
        return status


@settings(max_examples=400)
@given(st.lists(st.lists(REQUEST, max_size=8), max_size=6))
def test_any_requests_leave_a_valid_plan_and_answers_of_the_model(downlinks: list[list[bytes]]) -> None:
    engine, model = MacEngine(), Model()
    for requests in downlinks:
        engine.take_in(b"".join(requests), 5)
        assert engine.answers == model.answer(list(requests))
        assert {i for i in range(16) if engine.plan.mask >> i & 1} == model.on
        assert {i: c[:3] for i, c in enumerate(engine.plan.channels) if c} == model.channels
        assert {i: c[3] for i, c in enumerate(engine.plan.channels) if c} == model.rx1
        assert (engine.dr, engine.tx_power, engine.nb_trans) == (model.dr, model.power, model.copies)
        assert (engine.rx1_offset, engine.rx2_dr, engine.rx2_hz) == model.rx_params
        assert (engine.rx_delay_s, engine.max_duty_cycle) == (model.delay, model.duty)
        assert engine.plan.enabled(engine.dr)
        for i in engine.plan.enabled(engine.dr):
            channel = engine.plan.channels[i]
            assert channel is not None
            assert region.band_of(channel[0]) is not None


@given(st.lists(st.lists(REQUEST, max_size=8), max_size=4))
def test_the_state_outlives_a_reboot(downlinks: list[list[bytes]]) -> None:
    engine = MacEngine()
    for requests in downlinks:
        engine.take_in(b"".join(requests), 5)
    engine.sent()
    again = MacEngine()
    again.restore(cbor.loads(cbor.dumps(engine.state()), max_items=256))
    assert vars(again.plan) == vars(engine.plan)
    assert {**vars(again), "plan": 0, "changed": 0} == {**vars(engine), "plan": 0, "changed": 0}


@given(st.binary(max_size=60))
def test_any_bytes_at_all_leave_a_valid_plan(commands: bytes) -> None:
    engine = MacEngine()
    engine.take_in(commands, -40)
    assert engine.plan.enabled(engine.dr)
    assert 1 <= engine.nb_trans <= 15
    assert engine.pending_len() <= 222
    maccommands.parse(engine.pending(222), True)


def test_repeated_answers_stop_at_the_next_downlink_and_others_go_once() -> None:
    engine = MacEngine()
    engine.take_in(
        macnetwork.rx_timing_setup_req(3) + macnetwork.dev_status_req() + macnetwork.dl_channel_req(0, 869525000), 0
    )
    assert engine.pending(15) == b"\x08" + b"\x06\xff\x00" + b"\x0a\x03"
    engine.sent()
    assert engine.pending(15) == b"\x08\x0a\x03"
    engine.sent()
    assert engine.pending(15) == b"\x08\x0a\x03"
    engine.take_in(b"", 0)
    assert engine.pending(15) == b""


def test_answers_are_not_cut_in_two() -> None:
    engine = MacEngine()
    engine.take_in(macnetwork.dev_status_req() * 6, -40)
    assert engine.pending(15) == b"\x06\xff\x20" * 5
    assert engine.pending(14) == b"\x06\xff\x20" * 4
    assert engine.pending_len() == 18


@pytest.mark.parametrize(
    ("dr", "power", "mask", "status"),
    [(5, 3, 2, 1), (0, 3, 2, 3), (15, 3, 2, 3), (5, 0, 2, 5), (0, 15, 2, 7), (15, 15, 2, 7), (15, 15, 8, 6)],
)
def test_a_device_without_adr_takes_the_mask_only(dr: int, power: int, mask: int, status: int) -> None:
    """And says so: what it would not do, NbTrans among it, is not acknowledged (TS001 section 4.3.1.1)."""
    engine = MacEngine()
    engine.adr_on = False
    engine.take_in(macnetwork.link_adr_req(dr, power, mask, 0, 4), 0)
    assert engine.answers == [bytes([3, status])]
    assert (engine.plan.mask, engine.dr, engine.tx_power, engine.nb_trans) == (2 if status & 1 else 7, 0, 0, 1)


def test_a_power_below_what_the_radio_can_is_refused() -> None:
    engine = MacEngine(min_dbm=5)
    engine.take_in(macnetwork.link_adr_req(5, 7, 0x0007) + macnetwork.dev_status_req(), 0)
    assert engine.answers[0] == b"\x03\x03"
    engine.take_in(macnetwork.link_adr_req(5, 5, 0x0007), 0)
    assert engine.answers[0] == b"\x03\x07"


def test_a_join_accept_brings_channels_and_windows() -> None:
    engine = MacEngine()
    cf_list = macnetwork.encode_cf_list([867100000, 867300000, 867500000, 867700000, 867900000])
    engine.start(3, macnetwork.encode_dl_settings(2, 3), 5, cf_list)
    assert (engine.dr, engine.rx1_offset, engine.rx2_dr, engine.rx_delay_s) == (3, 2, 3, 5)
    assert engine.plan.enabled(5) == list(range(8))
    assert engine.plan.channels[7] == (867900000, 0, 5, 867900000)


@pytest.mark.parametrize("cf_list", [b"", bytes(16), bytes(15) + b"\x01", b"\xff" * 16])
def test_other_cf_lists_leave_the_default_channels(cf_list: bytes) -> None:
    engine = MacEngine()
    engine.start(0, 0, 1, cf_list)
    assert engine.plan.enabled(0) == [0, 1, 2]


def test_the_only_channel_that_is_on_may_go_and_the_default_ones_come_back() -> None:
    engine = MacEngine()
    engine.take_in(macnetwork.new_channel_req(5, 867100000, 0, 6) + macnetwork.link_adr_req(6, 0, 1 << 5), 0)
    assert (engine.plan.mask, engine.dr) == (1 << 5, 6)
    engine.take_in(macnetwork.new_channel_req(5, 0), 0)
    assert (engine.plan.mask, engine.dr) == (7, 5)


@dataclass
class Step:
    """A line of TS001 table 9, carried on to the lowest data rate."""

    first: int
    request: bool
    dr: int
    power: int
    copies: int
    mask: int


TABLE = [
    Step(0, False, 2, 4, 3, 0b10000),
    Step(64, True, 2, 4, 3, 0b10000),
    Step(96, True, 2, 0, 3, 0b10000),
    Step(128, True, 1, 0, 3, 0b10000),
    Step(160, True, 0, 0, 3, 0b10000),
    Step(192, True, 0, 0, 1, 0b10111),
    Step(400, True, 0, 0, 1, 0b10111),
]


def backed_off() -> tuple[MacEngine, AdrBackoff]:
    engine = MacEngine()
    setup = macnetwork.new_channel_req(4, 867100000) + macnetwork.link_adr_req(2, 4, 0b10000, 0, 3)
    engine.take_in(setup, 0)
    return engine, AdrBackoff(engine)


def test_adr_backs_off_as_the_table_says() -> None:
    engine, adr = backed_off()
    for count in range(420):
        request = adr.before_uplink()
        line = [step for step in TABLE if step.first <= count][-1]
        seen = (request, engine.dr, engine.tx_power, engine.nb_trans, engine.plan.mask)
        assert seen == (line.request, line.dr, line.power, line.copies, line.mask), count
        assert adr.before_uplink() == request  # asking again changes nothing
        assert seen[1:] == (engine.dr, engine.tx_power, engine.nb_trans, engine.plan.mask)
        adr.after_uplink()


@given(st.lists(st.integers(1, 200), min_size=1, max_size=4))
def test_every_class_a_downlink_starts_the_count_anew(runs: list[int]) -> None:
    engine, adr = backed_off()
    for run in runs:
        adr.on_downlink()
        before = engine.dr
        requests = []
        for _ in range(run):
            requests.append(adr.before_uplink())
            adr.after_uplink()
        assert requests == [False] * min(run, 64) + [True] * max(0, run - 64)
        assert engine.dr == max(0, before - max(0, (run - 1 - 96) // 32))


def test_without_adr_nothing_is_counted() -> None:
    engine, adr = backed_off()
    engine.adr_on = False
    for _ in range(200):
        assert not adr.before_uplink()
        adr.after_uplink()
    assert (engine.dr, adr.count) == (2, 0)


def test_a_reboot_does_not_take_a_step_twice() -> None:
    engine, adr = backed_off()
    adr.restore(128)
    assert adr.before_uplink()
    assert engine.dr == 2


# err 10, 20, 100 ms; wake 1 ms; symbols and start in whole ms, rounded up as certified stacks do
WINDOWS = {
    12: ((6, 32), (6, 32), (11, -50)),
    11: ((6, 16), (7, 8), (17, -74)),
    10: ((7, 4), (9, -5), (29, -87)),
    9: ((9, -3), (14, -13), (53, -93)),
    8: ((14, -7), (24, -17), (102, -97)),
    7: ((24, -9), (44, -19), (200, -99)),
}


@pytest.mark.parametrize("sf", WINDOWS)
def test_windows_are_those_of_certified_stacks(sf: int) -> None:
    for error_ms, expected in zip((10, 20, 100), WINDOWS[sf], strict=True):
        symbols, offset_us = receive_window(sf, 125000, 1000 * error_ms, 1000)
        assert (symbols, math.ceil(offset_us / 1000)) == expected


@given(
    st.integers(7, 12),
    st.sampled_from([125000, 250000]),
    st.integers(0, 100000),
    st.integers(0, 5000),
    st.floats(-1, 1),
)
def test_a_preamble_off_by_the_error_is_heard(sf: int, bw_hz: int, error_us: int, wake_us: int, off: float) -> None:
    symbols, offset_us = receive_window(sf, bw_hz, error_us, wake_us)
    ts = (1 << sf) * 1000000 / bw_hz
    opens = offset_us + wake_us
    preamble = off * error_us
    heard = min(opens + symbols * ts, preamble + 8 * ts) - max(opens, preamble)
    assert heard >= 6 * ts - 4  # microseconds are rounded


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"class": "B"}, "A and C are possible"),
        ({"klass": "A"}, "known are adr, antenna_dbi, certification, class"),
        ({"certification": 1}, "must be of type bool"),
        ({"max_dbm": True}, "must be of type int"),
    ],
)
def test_options_that_are_none_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Layer(options)


def test_adr_is_off_where_provisioning_says_so() -> None:
    assert not Layer({"adr": False}).engine.adr_on
    assert Layer({}).engine.adr_on
