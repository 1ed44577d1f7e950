# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A concentrator in the medium, like an SX1302 board: hears eight channels and all spreading factors, sends one frame.

Pure: no clock, no I/O. It keeps a 32-bit microsecond counter, which wraps every 71.6 minutes, and a queue of frames to
send that accepts and refuses like the one of Lora-net/sx1302_hal (packet_forwarder/src/jitqueue.c), except that
a frame for a moment that has passed is TOO_LATE, as the protocol's text says; the original's unsigned
arithmetic calls it TOO_EARLY.
"""

from dataclasses import dataclass
from typing import Any

from boards.virtual.air.airtime import time_on_air_us
from boards.virtual.air.errors import BadRadioSetting
from boards.virtual.air.frames import PUBLIC_SYNC, Channel, FrameHeard, Modulation, check_modulation
from boards.virtual.air.medium import Medium
from boards.virtual.forwarder.semtech_pdus import MalformedDatagram, Txpk, rxpk_data

_COUNTER_MASK = 0xFFFF_FFFF

# EU868: the three default channels on RF chain 1, five more on RF chain 0, and one at SF7 and 250 kHz (chan 8).
MULTI_SF_HZ = (868_100_000, 868_300_000, 868_500_000, 867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000)
FAST_HZ = 868_300_000
DEMODULATORS = 8


@dataclass(frozen=True, slots=True)
class TxLimits:
    """What the sending side can do, and how early and late it takes frames (times of jitqueue.c of sx1302_hal)."""

    lowest_hz: int = 863_000_000
    highest_hz: int = 870_000_000
    lowest_dbm: int = 0
    highest_dbm: int = 27
    start_delay_us: int = 1_500
    margin_us: int = 1_000
    program_us: int = 40_000
    advance_us: int = 512_000_000
    imme_delay_us: int = 1_000_000
    queue: int = 32


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the queue says to a frame: refused with an error, or sent from at_us on, perhaps with less power."""

    error: str | None = None
    at_us: int | None = None
    reduced_to_dbm: int | None = None

    @property
    def answer(self) -> dict[str, Any] | None:
        """The txpk_ack; since v1.5 of the protocol another power is a warning: the frame is sent."""
        if self.error is not None:
            return {"error": self.error}
        if self.reduced_to_dbm is not None:
            return {"warn": "TX_POWER", "value": self.reduced_to_dbm}
        return None


def uplink_channels(sync: int = PUBLIC_SYNC) -> dict[Channel, int]:
    """What is listened to, each with the number of its IF channel."""
    channels = {
        Channel(freq_hz, sf, 125_000, False, sync): chan
        for chan, freq_hz in enumerate(MULTI_SF_HZ)
        for sf in range(7, 13)
    }
    channels[Channel(FAST_HZ, 7, 250_000, False, sync)] = len(MULTI_SF_HZ)
    return channels


class Concentrator:
    """One radio of the medium; counter_start is the counter's value at started_us."""

    def __init__(
        self, medium: Medium, radio_id: str, started_us: int, counter_start: int = 0, limits: TxLimits | None = None
    ) -> None:
        self.radio_id = radio_id
        self.limits = limits or TxLimits()
        self.received = 0
        self.received_ok = 0
        self.sent = 0
        self._medium = medium
        self._counter_at_zero = counter_start - started_us
        self._channels = uplink_channels()
        self._queue: list[tuple[int, int]] = []

    def join(self, x_m: float, y_m: float, from_us: int, antenna_dbi: float = 0.0) -> None:
        """Enter the medium and listen from that moment on."""
        self._medium.add_radio(self.radio_id, x_m, y_m, antenna_dbi, demodulators=DEMODULATORS, resumes=True)
        self._medium.listen(self.radio_id, from_us, frozenset(self._channels))

    def counter(self, at_us: int) -> int:
        """The concentrator's counter at a moment of air time."""
        return (at_us + self._counter_at_zero) & _COUNTER_MASK

    def moment(self, counter: int, now_us: int) -> int:
        """The moment of air time, nearest to now, at which the counter has that value."""
        ahead_us = (counter - self.counter(now_us)) & _COUNTER_MASK
        return now_us + (ahead_us if ahead_us < 1 << 31 else ahead_us - (1 << 32))

    def rxpk(self, heard: FrameHeard) -> dict[str, Any] | None:
        """The description of a received frame for the server; None for one whose CRC failed or that carries none."""
        channel, coding_rate, _, crc = heard.frame.modulation
        self.received += 1
        if not heard.crc_ok or not crc:
            return None
        self.received_ok += 1
        return {
            "tmst": self.counter(heard.at_us),
            "freq": channel.freq_hz / 1e6,
            "chan": self._channels[channel],
            "rfch": 1 if channel.freq_hz >= 868_000_000 else 0,
            "stat": 1,
            "modu": "LORA",
            "datr": f"SF{channel.sf}BW{channel.bw_hz // 1000}",
            "codr": f"4/{coding_rate}",
            "rssi": round(heard.rssi_dbm),
            "rssis": round(heard.signal_dbm),
            "lsnr": round(heard.snr_db, 1),
            "size": len(heard.data),
            "data": rxpk_data(heard.data),
        }

    def schedule(self, txpk: Txpk, now_us: int) -> Outcome:
        """Take a frame into the queue and send it at its moment, or say why not; raises MalformedDatagram."""
        modulation = txpk.modulation
        limits = self.limits
        if not limits.lowest_hz <= modulation.channel.freq_hz <= limits.highest_hz:
            return Outcome("TX_FREQ")
        try:
            check_modulation(modulation, txpk.data)
        except BadRadioSetting as error:
            raise MalformedDatagram(f"txpk cannot be sent: {error}") from error
        if txpk.tmms is not None and txpk.tmst is None and not txpk.imme:
            return Outcome("GPS_UNLOCKED")  # this gateway has no GPS receiver
        outcome = self._find_moment(txpk, _length_us(modulation, txpk.data), now_us)
        if outcome.at_us is None:
            return outcome
        wanted_dbm = limits.highest_dbm if txpk.power_dbm is None else txpk.power_dbm
        power_dbm = min(max(wanted_dbm, limits.lowest_dbm), limits.highest_dbm)
        frame = self._medium.transmit(self.radio_id, outcome.at_us, modulation, power_dbm, txpk.data)
        self._queue.append((frame.at_us, frame.until_us))
        self.sent += 1
        return Outcome(None, outcome.at_us, None if power_dbm == wanted_dbm else power_dbm)

    def _find_moment(self, txpk: Txpk, length_us: int, now_us: int) -> Outcome:
        limits = self.limits
        self._queue = sorted(slot for slot in self._queue if slot[1] > now_us)
        if len(self._queue) >= limits.queue:
            return Outcome("COLLISION_PACKET")  # as the original answers for a full queue
        if txpk.imme or txpk.tmst is None:
            return Outcome(at_us=self._first_free(now_us + limits.imme_delay_us, length_us))
        at_us = self.moment(txpk.tmst, now_us)
        if at_us - now_us <= limits.start_delay_us + limits.margin_us + limits.program_us:
            return Outcome("TOO_LATE")
        if at_us - now_us > limits.advance_us:
            return Outcome("TOO_EARLY")
        if self._blocker(at_us, length_us) is not None:
            return Outcome("COLLISION_PACKET")
        return Outcome(at_us=at_us)

    def _first_free(self, at_us: int, length_us: int) -> int:
        while (blocker := self._blocker(at_us, length_us)) is not None:
            at_us = blocker[1] + self._apart_us
        return at_us

    def _blocker(self, at_us: int, length_us: int) -> tuple[int, int] | None:
        """The first queued frame too close to a frame of that length at that moment."""
        for start_us, end_us in self._queue:
            if at_us < end_us + self._apart_us and start_us < at_us + length_us + self._apart_us:
                return start_us, end_us
        return None

    @property
    def _apart_us(self) -> int:
        """Time that the one transmitter needs between two frames."""
        return self.limits.start_delay_us + self.limits.program_us + self.limits.margin_us


def _length_us(modulation: Modulation, data: bytes) -> int:
    channel, coding_rate, preamble, crc = modulation
    return time_on_air_us(channel.sf, channel.bw_hz, len(data), crc, coding_rate, preamble)
