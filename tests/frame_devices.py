# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Devices of class A reduced to their frames, by the thousand, in the virtual air and in simulated time.

They join, measure, ask for receipts, send again what a receipt lacks, and keep to their duty cycle: after each frame a
sub-band rests for as long as its limit asks (RP002-1.0.4 section 2.4).
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from boards.virtual.air.frames import (
    Channel,
    Event,
    Frame,
    FrameEnded,
    FrameHeard,
    HeaderHeard,
    Modulation,
    PreambleHeard,
)
from boards.virtual.air.link_budget import SNR_LIMIT_DB, PathLoss, noise_floor_dbm
from boards.virtual.air.medium import Medium
from firmware.wire import frame, kinds, maccommands, macdevice, readings, region
from firmware.wire.errors import NotAuthentic
from firmware.wire.session import Received
from tests.gateway_rig import Device

SECOND_US = 1_000_000
KIND = kinds.load("street_light")
POWER_DBM = 14.0
_LEAD_US = 5_000
"""Windows open this much before their moment."""
_OPEN_SYMBOLS = 8
_FOPTS_ROOM = 4
_RECEIPT_EVERY = 3
_BANDWIDTH_HZ = 125_000
_REST_PCT = 105
"""More than the limit asks, so that the first and the last frame of an hour fit into it too."""
_MAX_BACKOFF = 5
Seal = Callable[[], tuple[bytes, int | None, bytes, tuple[int, ...]]]
"""Makes the next frame: PHYPayload, FPort, payload in clear, numbers of the readings in it."""


class Timeline:
    """Simulated time: what the medium decides and what everyone does, one after the other."""

    def __init__(self, medium: Medium) -> None:
        self.medium = medium
        self.now_us = 0
        self.frames: list[Frame] = []
        """All that were on air."""
        self.heard: dict[str, Callable[[Event], None]] = {}
        """Who is told what which radio hears."""
        self._plans: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._stopped = False

    def at(self, at_us: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._plans, (at_us, next(self._order), act))

    def stop(self) -> None:
        """Nothing happens any more after this moment."""
        self._stopped = True

    def run(self) -> None:
        """Until nothing is planned any more."""
        while not self._stopped:
            moments = [at_us for at_us in (self.medium.next_decision_us,) if at_us is not None]
            if self._plans:
                moments.append(self._plans[0][0])
            if not moments:
                return
            self.now_us = max(self.now_us, min(moments))
            for event in self.medium.advance(self.now_us):
                if isinstance(event, FrameEnded):
                    self.frames.append(event.frame)
                else:
                    self.heard[event.radio](event)
            while self._plans and self._plans[0][0] <= self.now_us:
                heapq.heappop(self._plans)[2]()


@dataclass
class Measured:
    """One reading, and what was said of its time whenever it was sent."""

    values: dict[str, float]
    made_us: int
    times_s: set[int] = field(default_factory=set)


@dataclass
class Sent:
    """One frame of a device, in clear."""

    frame: Frame
    fport: int | None
    payload: bytes
    seqs: tuple[int, ...] = ()


@dataclass(frozen=True)
class Habits:
    """When devices start and stop, and how often they measure."""

    start_within_us: int
    end_us: int
    interval_us: int
    first_within_s: int = 60
    """After the join."""


class FrameDevice:
    """*wire* holds keys and session; *place* is in metres. Its radio's name is its DevEUI."""

    def __init__(
        self, timeline: Timeline, wire: Device, place: tuple[float, float], sf: int, habits: Habits, rng: Random
    ) -> None:
        self.wire = wire
        self.name = wire.dev_eui.hex()
        self.sf = sf
        self.sent: list[Sent] = []
        self.measured: dict[int, Measured] = {}
        self.opened: list[bytes] = []
        """Downlinks that were for this device."""
        self.strangers: list[tuple[int, int]] = []
        """From when to when it listened to a frame that was none of its own."""
        self.clock_offset_s: float | None = None
        self._timeline = timeline
        self._habits = habits
        self._rng = rng
        self._channels = list(region.DEFAULT_CHANNELS_HZ)
        self._rx2_dr = region.RX2_DR
        self._rests_until_us: dict[int | None, int] = {}
        self._fopts = b""
        self._missing: set[int] = set()
        self._asks = False
        """A receipt that was asked for did not come."""
        self._exchanging = False
        self._waits = False
        self._hearing: Frame | None = None
        self._with_header: Frame | None = None
        self._last_window = False
        self._answered = False
        timeline.medium.add_radio(self.name, *place)
        timeline.heard[self.name] = self._heard
        timeline.at(rng.randrange(habits.start_within_us), self._join)

    @property
    def joined(self) -> bool:
        return self.wire.session is not None

    @property
    def waiting(self) -> set[int]:
        """Readings that no receipt took off its hands."""
        return set(self.measured) - self.wire.held

    def _join(self) -> None:
        self._fopts = maccommands.device_time_req()
        self._send(lambda: (self.wire.join_request(), None, b"", ()), region.JOIN_ACCEPT_DELAY1_MS * 1000)

    def _measure(self) -> None:
        rng = self._rng
        values: dict[str, float] = {
            "lamp_on": rng.random() < 0.5,
            "power_w": rng.randrange(20000) / 10,
            "temperature_c": rng.randrange(-500, 1500) / 10,
        }
        self.measured[len(self.measured) + 1] = Measured(values, self._timeline.now_us)
        self._plan(self._habits.interval_us, self._measure)
        self._report()

    def _report(self) -> None:
        self._send(self._seal_readings, region.RECEIVE_DELAY1_MS * 1000)

    def _seal_readings(self) -> tuple[bytes, int | None, bytes, tuple[int, ...]]:
        """The newest reading, and of what a receipt lacked as much as there is room for."""
        dr = region.dr_of(self.sf, _BANDWIDTH_HZ)
        assert dr is not None
        room = region.DATA_RATES[dr][2] - _FOPTS_ROOM - 5
        newest = len(self.measured)
        packed: dict[int, bytes] = {}
        for seq in [newest, *sorted(self._missing - {newest})]:
            encoded = self._encode(seq)
            if sum(map(len, packed.values())) + len(encoded) > room:
                break
            packed[seq] = encoded
        self._asks = self._asks or newest % _RECEIPT_EVERY == 0
        oldest = min(self.waiting, default=newest) if self._asks else None
        payload = readings.pack(list(packed.values()), oldest)
        fopts, self._fopts = self._fopts, b""
        phy = self.wire.live.seal_uplink(readings.FPORT_READINGS, payload, fopts=fopts)
        return phy, readings.FPORT_READINGS, payload, tuple(packed)

    def _encode(self, seq: int) -> bytes:
        measured = self.measured[seq]
        if self.clock_offset_s is None:
            age_s = (self._timeline.now_us - measured.made_us) // SECOND_US
            return readings.encode_reading(KIND, seq, measured.values, age_s=age_s)
        time_s = round(measured.made_us / SECOND_US + self.clock_offset_s)
        measured.times_s.add(time_s)
        return readings.encode_reading(KIND, seq, measured.values, time_s=time_s)

    def _plan(self, wait_us: int, act: Callable[[], None]) -> None:
        if self._timeline.now_us + wait_us < self._habits.end_us:
            self._timeline.at(self._timeline.now_us + wait_us, act)

    # The radio

    def _send(self, seal: Seal, delay_us: int) -> None:
        """Send now, or as soon as the last exchange is over and a sub-band has rested."""
        now_us = self._timeline.now_us
        if self._exchanging:
            self._waits = True
            return
        free = [hz for hz in self._channels if self._rests_until_us.get(region.band_of(hz), 0) <= now_us]
        if not free:
            self._plan(min(self._rests_until_us.values()) - now_us, lambda: self._send(seal, delay_us))
            return
        freq_hz = self._rng.choice(free)
        phy, fport, payload, seqs = seal()
        channel = Channel(freq_hz, self.sf, _BANDWIDTH_HZ)
        sent = self._timeline.medium.transmit(self.name, now_us, Modulation(channel), POWER_DBM, phy)
        band = region.band_of(freq_hz)
        assert band is not None
        rest_us = (sent.until_us - now_us) * region.BANDS[band][2] * _REST_PCT // 100
        self._rests_until_us[band] = now_us + rest_us
        self.sent.append(Sent(sent, fport, payload, seqs))
        self._exchanging, self._answered, self._last_window = True, False, False
        rx1 = channel._replace(iq=True)
        rx2 = Channel(region.RX2_HZ, region.DATA_RATES[self._rx2_dr][0], _BANDWIDTH_HZ, iq=True)
        self._timeline.at(sent.until_us + delay_us - _LEAD_US, lambda: self._open(rx1, last=False))
        self._timeline.at(sent.until_us + delay_us + SECOND_US - _LEAD_US, lambda: self._open(rx2, last=True))

    def _open(self, channel: Channel, *, last: bool) -> None:
        if self._answered:
            return
        self._last_window = last
        if self._hearing is None:
            self._timeline.medium.listen(self.name, self._timeline.now_us, frozenset({channel}))
            open_us = _LEAD_US + _OPEN_SYMBOLS * SECOND_US * 2**channel.sf // channel.bw_hz
            self._timeline.at(self._timeline.now_us + open_us, lambda: self._close(last=last))

    def _close(self, *, last: bool) -> None:
        if self._hearing is None and self._last_window == last and self._exchanging:
            self._shut()

    def _heard(self, event: Event) -> None:
        if isinstance(event, PreambleHeard):
            self._hearing = event.frame
            self._timeline.at(event.frame.header_us + 1, lambda: self._lost(event.frame))
        elif isinstance(event, HeaderHeard):
            self._with_header = event.frame
        elif isinstance(event, FrameHeard):
            self._hearing = None
            if event.crc_ok:  # a downlink has no CRC: damage would show in its MIC
                self._take(event.data)
            if not self._answered:
                self.strangers.append((event.frame.at_us, event.at_us))
            self._shut()

    def _lost(self, preamble: Frame) -> None:
        """A preamble without a header that could be read."""
        if self._hearing is preamble and self._with_header is not preamble:
            self._hearing = None
            self.strangers.append((preamble.at_us, preamble.header_us))
            self._shut()

    def _shut(self) -> None:
        self._timeline.medium.idle(self.name, self._timeline.now_us)
        if not (self._answered or self._last_window) or not self._exchanging:
            return
        self._exchanging = False
        if not self.joined:
            wait_s = self._rng.randrange(15, 45) << min(self.wire.dev_nonce, _MAX_BACKOFF)
            self._plan(wait_s * SECOND_US, self._join)
        elif self._waits:
            self._waits = False
            self._report()

    # What comes down

    def _take(self, phy: bytes) -> None:
        if self.joined:
            self._take_data(phy)
        elif frame.mtype(phy) == frame.JOIN_ACCEPT:
            self._take_accept(phy)

    def _take_accept(self, phy: bytes) -> None:
        try:
            accept = self.wire.take_accept(phy)
        except NotAuthentic:
            return  # for another device
        self._answered = True
        self.opened.append(phy)
        _, self._rx2_dr = macdevice.dl_settings(accept.dl_settings)
        fields = [accept.cf_list[at : at + 3] for at in range(0, 15, 3)]
        self._channels += [macdevice.frequency_hz(each) for each in fields if any(each)]
        self._plan(self._rng.randrange(1, self._habits.first_within_s) * SECOND_US, self._measure)

    def _take_data(self, phy: bytes) -> None:
        if frame.mtype(phy) == frame.JOIN_ACCEPT or frame.decode_data(phy).dev_addr != self.wire.live.dev_addr:
            return
        received = self.wire.take(phy)
        self._answered = True
        self.opened.append(phy)
        for cid, payload in maccommands.parse(received.fopts, uplink=False):
            if cid == maccommands.DEVICE_TIME:
                end_s = self.sent[-1].frame.until_us / SECOND_US
                self.clock_offset_s = maccommands.decode_device_time_ans(payload) / 1000 - end_s
            elif cid == maccommands.DEV_STATUS:
                self._fopts = macdevice.dev_status_ans(0, 7)
        if received.fport == readings.FPORT_RECEIPTS:
            self._asks = False
            self._missing = self.waiting  # all were sent before the receipt was asked for
        self._hear(received)

    def _hear(self, received: Received) -> None:
        """A downlink that was for this device: for devices that do more with it."""


def spreading_factor(distance_m: float, margin_db: float) -> int:
    """The fastest that reaches so far with a margin over the mean path loss; the slowest where none does."""
    snr_db = POWER_DBM - PathLoss().mean_loss_db(distance_m) - noise_floor_dbm(_BANDWIDTH_HZ)
    return next((sf for sf in range(7, 12) if snr_db >= SNR_LIMIT_DB[sf] + margin_db), 12)
