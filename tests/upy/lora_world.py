# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A node on a radio in simulated time: every moment is exact, and a day passes in seconds."""

from tests.upy.sim_time import clock  # noqa: I001  before anything that knows the time

import asyncio
import time

from firmware.node.app import Node
from firmware.node.links.lora import LoraLink
from firmware.node.lorawan.layer import Layer
from firmware.node.radio import RadioError, Reception
from firmware.wire import region
from firmware.wire.airtime import symbol_us, time_on_air_us
from firmware.wire.frame import JOIN_REQUEST
from tests.upy.node_world import RamFlash, Random, Role, mount, settings, stop
from tests.upy.small_network import Server

NEEDED_SYMBOLS = 5  # of the preamble, for a receiver to lock


class Uplink:
    """A frame as it was on air. Moments in us of the simulated clock, which never wraps."""

    def __init__(self, begun_us, end_us, freq_hz, sf, bw_hz, power_dbm, data):
        self.begun_us = begun_us
        self.end_us = end_us
        self.freq_hz = freq_hz
        self.sf = sf
        self.bw_hz = bw_hz
        self.power_dbm = power_dbm
        self.data = data

    @property
    def joining(self):
        return self.data[0] >> 5 == JOIN_REQUEST


class Window:
    def __init__(self, at_us, prepared_us, freq_hz, sf, symbols):
        self.at_us = at_us
        self.prepared_us = prepared_us
        self.freq_hz = freq_hz
        self.sf = sf
        self.symbols = symbols


class FakeRadio:
    """The interface of firmware/node/radio. *on_uplink(uplink)* may ``send_down`` frames."""

    def __init__(self, on_uplink):
        self.on_uplink = on_uplink
        self.uplinks = []
        self.windows = []
        self.listening = []  # [from, to or None, frequency, SF]
        self.down = []  # [begun_us, freq_hz, sf, bw_hz, data, snr_db]
        self.late_us = 0
        self.lateness_us = 0  # how late windows open
        self.broken = 0  # so many transmissions fail
        self.inits = 0
        self.sleeps = 0
        self._prepared = None
        self._holder = None  # what the radio is in the middle of
        self.conflicts = []  # what it was disturbed in

    async def init(self):
        self.inits += 1

    async def transmit(self, freq_hz, sf, bw_hz, power_dbm, payload):
        self._take_hold()
        self._holder = "transmission"
        try:
            return await self._transmit(freq_hz, sf, bw_hz, power_dbm, payload)
        finally:
            self._holder = None

    def _take_hold(self):
        if self._holder is not None:
            self.conflicts.append(self._holder)
        self._end_listening()

    async def _transmit(self, freq_hz, sf, bw_hz, power_dbm, payload):
        assert region.band_of(freq_hz) is not None
        if self.broken:
            self.broken -= 1
            raise RadioError("radio: broken on purpose")
        begun_us = clock.now_us
        air_us = time_on_air_us(sf, bw_hz, len(payload))
        await asyncio.sleep_ms(air_us // 1000)
        clock.now_us = max(clock.now_us, begun_us + air_us)
        self.uplinks.append(Uplink(begun_us, begun_us + air_us, freq_hz, sf, bw_hz, power_dbm, bytes(payload)))
        end_ticks = clock.ticks_us() - (clock.now_us - begun_us - air_us)
        self.on_uplink(self.uplinks[-1])
        return end_ticks

    def prepare_receive(self, freq_hz, sf, bw_hz, symbols):
        self._take_hold()
        self._prepared = (clock.now_us, freq_hz, sf, bw_hz, symbols)

    async def receive(self, at_us):
        self._take_hold()
        self._holder = "window"
        try:
            return await self._receive(at_us)
        finally:
            self._holder = None

    async def _receive(self, at_us):
        prepared_us, freq_hz, sf, bw_hz, symbols = self._prepared
        ahead_us = time.ticks_diff(at_us, clock.ticks_us())
        at_us = clock.now_us + ahead_us
        if ahead_us > 0:
            await asyncio.sleep_ms(ahead_us // 1000)
        self.late_us = max(0, clock.now_us - at_us) + self.lateness_us
        opened_us = max(clock.now_us, at_us) + self.lateness_us
        clock.now_us = opened_us
        self.windows.append(Window(opened_us, prepared_us, freq_hz, sf, symbols))
        ts_us = symbol_us(sf, bw_hz)
        closes_us = opened_us + symbols * ts_us
        for frame in self.down:
            heard_us = min(closes_us, frame[0] + 8 * ts_us) - max(opened_us, frame[0])
            if frame[1:4] == [freq_hz, sf, bw_hz] and heard_us >= NEEDED_SYMBOLS * ts_us:
                return await self._take(frame)
        await _until(closes_us)
        return None

    async def receive_continuous(self, freq_hz, sf, bw_hz):
        self._take_hold()
        self.listening.append([clock.now_us, None, freq_hz, sf, bw_hz])

    async def next_frame(self):
        from_us, _, freq_hz, sf, bw_hz = self.listening[-1]
        while True:
            for frame in self.down:
                if frame[1:4] == [freq_hz, sf, bw_hz] and frame[0] >= from_us:
                    return await self._take(frame)
            await asyncio.sleep_ms(5)

    def stop(self):
        self._take_hold()

    def sleep(self):
        self._take_hold()
        self.sleeps += 1

    def send_down(self, begun_us, freq_hz, dr, data, snr_db=7.5):
        self.down.append([begun_us, freq_hz, region.DATA_RATES[dr][0], region.DATA_RATES[dr][1], data, snr_db])

    async def _take(self, frame):
        end_us = frame[0] + time_on_air_us(frame[2], frame[3], len(frame[4]), crc=False)
        await _until(end_us)
        self.down.remove(frame)
        return Reception(frame[4], -90, frame[5], clock.ticks_us() - (clock.now_us - end_us), True)

    def _end_listening(self):
        if self.listening and self.listening[-1][1] is None:
            self.listening[-1][1] = clock.now_us


async def _until(at_us):
    if at_us > clock.now_us:
        await asyncio.sleep_ms((at_us - clock.now_us) // 1000)
        clock.now_us = max(clock.now_us, at_us)


class LoraServer(Server):
    """A network that also sends, once each: ``mac`` in FOpts, ``mac_on_port_0``, ``app`` (port, payload)."""

    def __init__(self):
        super().__init__()
        self.mac = b""
        self.mac_on_port_0 = b""
        self.app = None
        self.on_port = lambda port, payload: None
        self.on_fopts = lambda fopts: None

    def _answer(self, received):
        self.on_fopts(received.fopts)
        self.on_port(received.fport, received.payload)
        if self.app is not None:
            (port, payload), self.app = self.app, None
            return [self.session.seal_downlink(port, payload)]
        if self.mac_on_port_0:
            commands, self.mac_on_port_0 = self.mac_on_port_0, b""
            return [self.session.seal_downlink(0, commands)]
        if self.mac:
            commands, self.mac = self.mac, b""
            return [self.session.seal_downlink(None, b"", fopts=commands)]
        return super()._answer(received)


class LoraWorld:
    """A node on a fake radio and a network that answers in RX1 or RX2.

    ``answer_in``: 1, 2 or 0 for not at all; ``mac`` are requests for the next downlink; ``answers`` are all uplinks.
    """

    def __init__(self, seed=1, server=None, files=None, role=None, lorawan=None, **changed):
        self.random = Random(seed)
        self.files = files or mount(RamFlash())
        self.server = server or LoraServer()
        self.answer_in = 1
        self.answered = []  # (uplink, moment of the answer)
        self.rx1_delay_s = 1
        self.rx2 = (region.RX2_HZ, region.RX2_DR)
        self.mangle_down = lambda phy: phy
        self.radio = FakeRadio(self._uplink)
        self.link = LoraLink(self.radio, Layer(lorawan or {}))
        self.role = role or Role()
        self._lorawan = lorawan
        self._changed = changed
        self._task = None
        values = {"interval_ms": 60000, "receipt_every": 4}
        values.update(changed)
        self.node = Node(self.files, settings(**values), self.role, self.link, None)

    @property
    def layer(self):
        return self.link.layer

    @property
    def engine(self):
        return self.link.layer.engine

    def data_uplinks(self):
        return [uplink for uplink in self.radio.uplinks if not uplink.joining]

    def _uplink(self, uplink):
        delay_s = 5 if uplink.joining else self.rx1_delay_s
        for phy in self.server.uplink(uplink.data):
            phy = self.mangle_down(phy)
            if phy is None or not self.answer_in:
                continue
            dr = region.dr_of(uplink.sf, uplink.bw_hz)
            if self.answer_in == 1:
                at_us = uplink.end_us + delay_s * 1000000
                self.radio.send_down(at_us, uplink.freq_hz, dr, phy)
            else:
                at_us = uplink.end_us + (delay_s + 1) * 1000000
                where = (region.RX2_HZ, region.RX2_DR) if uplink.joining else self.rx2
                self.radio.send_down(at_us, where[0], where[1], phy)
            self.answered.append((uplink, at_us))

    async def until(self, condition, what, limit_s=200000):
        """Let the node work until *condition()*, at most so many simulated seconds. It goes on working afterwards."""
        end_us = clock.now_us + limit_s * 1000000
        if self._task is None:
            self._task = asyncio.create_task(self.node.run())
        while not condition():
            assert not self.radio.conflicts, self.radio.conflicts
            if clock.now_us > end_us:
                raise AssertionError("never: " + what)
            await asyncio.sleep_ms(250)

    async def run_for(self, seconds):
        """Let the node work so long."""
        end_us = clock.now_us + seconds * 1000000
        await self.until(lambda: clock.now_us >= end_us, "the end", seconds + 10)

    async def reboot(self):
        """The power goes and comes: return the world after it."""
        await stop(self.node, self._task)
        await self.link._stop_listening()
        after = LoraWorld(0, self.server, self.files, self.role, self._lorawan, **self._changed)
        after.random, after.answer_in = self.random, self.answer_in
        after.rx1_delay_s, after.rx2 = self.rx1_delay_s, self.rx2
        return after

    def check_duty(self):
        """No sliding hour has more air time in a band than is allowed."""
        for band in range(len(region.BANDS)):
            sent = [up for up in self.radio.uplinks if region.band_of(up.freq_hz) == band]
            for i, last in enumerate(sent):
                used_us = 0
                for up in sent[: i + 1]:
                    used_us += max(0, up.end_us - max(up.begun_us, last.end_us - 3600000000))
                assert used_us <= 3600000000 // region.BANDS[band][2], (band, used_us)
