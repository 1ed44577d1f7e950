# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The radio medium: who hears which frame. Pure: no clock, no I/O; every moment is given, in integer microseconds.

Radios say what they do and when (transmit, listen, idle); advance(t) then decides everything up to t and returns the
events in order of time. Decisions depend on the moments given, not on the order of the calls: calls may come in any
order as long as they come before the moment they matter at has been decided. A simulation calls advance with its own
clock; the server calls it a little behind the real one.

The rules, for one frame at one receiver that listens to its channel (docs/virtual-air.md explains them):

1. Detection after 5 preamble symbols heard, above the SNR limit, and not buried by a stronger frame of the same SF.
2. The header follows 4.25 + 8 symbols after the preamble. A collision until then loses the frame without a trace.
3. A collision after the header damages the data: the frame is heard with crc_ok False.
4. Two frames of one SF collide unless one is at least 6 dB stronger: that one survives. Other SFs disturb each other
   only at the large differences of link_budget's table.
5. A radio with one demodulator that holds a weaker frame turns to a stronger one that begins before the weaker one's
   header is complete; later ones destroy what it holds and are themselves missed.
"""

import heapq
from itertools import count

from boards.virtual.air.duty import DutyLedger
from boards.virtual.air.errors import RadioInUse, StillSending, UnknownRadio
from boards.virtual.air.frames import (
    DETECT_SYMBOLS,
    NOTHING,
    Channel,
    Event,
    Fate,
    Frame,
    FrameEnded,
    FrameHeard,
    HeaderHeard,
    Modulation,
    PreambleHeard,
    Radio,
    Span,
    check_channel,
    check_modulation,
)
from boards.virtual.air.levels import Levels, needed_ratio_db
from boards.virtual.air.link_budget import CO_SF_CAPTURE_DB, SNR_LIMIT_DB, PathLoss, rssi_dbm

_END, _HEADER, _DETECT = range(3)  # order of decisions within one microsecond: what ends frees its demodulator first

_KEEP_US = 250_000  # how long ended frames are remembered, for messages that come late
_BUCKET_HZ = 500_000  # the widest bandwidth: frames that overlap in frequency lie in the same or the next bucket

_Decision = tuple[int, int, str, int, str, int, Frame, Radio | None]


class Medium:
    """The air between radios."""

    def __init__(self, seed: int = 0, path_loss: PathLoss | None = None) -> None:
        self.levels = Levels(seed, path_loss or PathLoss())
        self.duty = DutyLedger()
        self.decided_us = -(2**63)
        self.frame_count = 0
        self._radios: dict[str, Radio] = {}
        self._sent: dict[str, int] = {}
        self._listeners: dict[Channel, dict[Radio, None]] = {}
        self._on_air: dict[int, list[Frame]] = {}
        self._decisions: list[_Decision] = []
        self._order = count()

    # What radios do

    def add_radio(
        self,
        radio_id: str,
        x_m: float = 0.0,
        y_m: float = 0.0,
        antenna_dbi: float = 0.0,
        demodulators: int = 1,
        resumes: bool = False,
    ) -> None:
        """Put a radio into the air; resumes: it listens on by itself after sending, as a gateway does."""
        if radio_id in self._radios:
            raise RadioInUse(f"a radio {radio_id!r} is in the air already; give each radio an id of its own")
        radio = Radio(radio_id, x_m, y_m, antenna_dbi, demodulators, resumes)
        radio.sent = self._sent.get(radio_id, 0)
        self._radios[radio_id] = radio

    def move_radio(self, radio_id: str, x_m: float, y_m: float, antenna_dbi: float) -> None:
        """Change place and antenna; frames on the air keep the levels that were asked for already."""
        moved = self._radio(radio_id)
        moved.x_m, moved.y_m, moved.antenna_dbi = x_m, y_m, antenna_dbi
        moved.gains_db.clear()
        for radio in self._radios.values():
            radio.gains_db.pop(radio_id, None)

    def remove_radio(self, radio_id: str, at_us: int) -> None:
        """Take a radio out, as when its power fails; what it sends breaks off, what it would have sent is not sent."""
        radio = self._radio(radio_id)
        self.idle(radio_id, at_us)
        for frame in radio.sending:
            if frame.at_us >= at_us:
                frame.ends_us = frame.at_us
        self._sent[radio_id] = radio.sent
        del self._radios[radio_id]
        for other in self._radios.values():  # another radio of that id may come back somewhere else
            other.gains_db.pop(radio_id, None)

    def transmit(self, radio_id: str, at_us: int, modulation: Modulation, power_dbm: float, data: bytes) -> Frame:
        """Send from that moment, past or future; the radio stops listening for it."""
        check_modulation(modulation, data)
        radio = self._radio(radio_id)
        frame = Frame(self.frame_count + 1, radio, radio.sent, at_us, modulation, power_dbm, data)
        for earlier in radio.sending:
            if earlier.at_us < frame.until_us and at_us < earlier.ends_us:
                raise StillSending(
                    f"radio {radio_id!r} cannot send at {at_us} µs: it sends {earlier.at_us} to {earlier.ends_us} µs"
                )
        self.frame_count += 1
        radio.sent += 1
        frame.late_us = max(self.decided_us - at_us - DETECT_SYMBOLS * frame.symbol_us, 0)
        radio.set_span(at_us, NOTHING)
        if radio.resumes:
            radio.set_span(frame.until_us, radio.listens_to)
        radio.sending.append(frame)
        self._put_on_air(frame)
        self._plan(frame.until_us, _END, frame)
        self._plan_detections(frame)
        return frame

    def listen(self, radio_id: str, from_us: int, channels: frozenset[Channel]) -> None:
        """Listen to these channels and no longer to others; a frame that the radio still sends breaks off."""
        for channel in channels:
            check_channel(channel)
        radio = self._radio(radio_id)
        self._cut(radio, from_us)
        radio.forget_before(self.decided_us - _KEEP_US)
        radio.set_span(from_us, channels)
        radio.listens_to = channels
        for channel in channels:
            self._listeners.setdefault(channel, {})[radio] = None
            bucket = self._on_air.get(channel.freq_hz // _BUCKET_HZ)
            for frame in bucket or ():
                if frame.channel == channel and frame.until_us > from_us:
                    self._plan_detection(frame, radio, from_us)

    def idle(self, radio_id: str, from_us: int) -> None:
        """Neither listen nor send from that moment; a frame that the radio still sends breaks off."""
        radio = self._radio(radio_id)
        self._cut(radio, from_us)
        radio.set_span(from_us, NOTHING)

    # What comes of it

    @property
    def next_decision_us(self) -> int | None:
        """When advance has something to decide next."""
        return self._decisions[0][0] if self._decisions else None

    def advance(self, to_us: int) -> list[Event]:
        """Decide everything up to and including that moment; events in order of time."""
        events: list[Event] = []
        decisions = self._decisions
        while decisions and decisions[0][0] <= to_us:
            at_us, kind, _, _, _, _, frame, radio = heapq.heappop(decisions)
            if radio is not None:
                self._detect(frame, radio, at_us, events)
            elif kind == _HEADER:
                self._decode_header(frame, at_us, events)
            else:
                self._end(frame, at_us, events)
        self.decided_us = max(self.decided_us, to_us)
        return events

    def level_dbm(self, frame: Frame, radio_id: str) -> float:
        """The power of a frame at a radio's receiver."""
        return self.levels.level_dbm(frame, self._radio(radio_id))

    # Decisions

    def _detect(self, frame: Frame, radio: Radio, at_us: int, events: list[Event]) -> None:
        span = radio.span_before(at_us)
        if span is None or frame.channel not in span.channels or frame.ends_us < at_us:
            return
        lock = frame.locks.get(radio)
        if frame.over or (lock is not None and lock[0] is span):
            return
        heard_us = DETECT_SYMBOLS * frame.symbol_us
        since_us = max(span.from_us, frame.at_us)
        if since_us + heard_us > frame.preamble_end_us:
            frame.fates[radio.id] = Fate.OPENED_LATE
        elif since_us + heard_us > at_us:
            self._plan(since_us + heard_us, _DETECT, frame, radio)
        elif self.levels.snr_db(frame, radio) < SNR_LIMIT_DB[frame.channel.sf]:
            frame.fates[radio.id] = Fate.TOO_WEAK
        else:
            hidden_until_us = self._disturbed_until(frame, radio, at_us - heard_us, at_us)
            if hidden_until_us:
                self._try_again(frame, radio, hidden_until_us, Fate.COLLISION)
            elif self._take_demodulator(frame, radio, span, at_us):
                frame.locks[radio] = (span, at_us)
                radio.locks[frame] = span
                events.append(PreambleHeard(radio.id, frame, at_us))
                if not frame.header_planned:
                    frame.header_planned = True
                    self._plan(frame.header_us, _HEADER, frame)

    def _take_demodulator(self, frame: Frame, radio: Radio, span: Span, at_us: int) -> bool:
        for held, held_span in list(radio.locks.items()):
            if held_span is not span:
                self._let_go(held, radio, Fate.STOPPED)
        if len(radio.locks) < radio.demodulators:
            return True
        if radio.demodulators > 1:
            self._try_again(frame, radio, min(held.until_us for held in radio.locks), Fate.NO_DEMODULATOR)
            return False
        (held,) = radio.locks
        if (
            at_us <= held.header_us
            and self.levels.level_dbm(frame, radio) - self.levels.level_dbm(held, radio) >= CO_SF_CAPTURE_DB
        ):
            self._let_go(held, radio, Fate.CAPTURED)
            return True
        self._try_again(frame, radio, held.until_us, Fate.BUSY)
        return False

    def _try_again(self, frame: Frame, radio: Radio, free_us: int, otherwise: Fate) -> None:
        """A receiver may still find the rest of a preamble after what stood in its way has ended."""
        again_us = free_us + DETECT_SYMBOLS * frame.symbol_us
        frame.fates[radio.id] = otherwise
        if again_us <= frame.preamble_end_us:
            self._plan(again_us, _DETECT, frame, radio)

    def _decode_header(self, frame: Frame, at_us: int, events: list[Event]) -> None:
        for radio, (span, locked_us) in list(frame.locks.items()):
            if radio.span_before(at_us) is not span:
                self._let_go(frame, radio, Fate.STOPPED)
            elif frame.ends_us < at_us:
                self._let_go(frame, radio, Fate.CUT)
            elif self._disturbed_until(frame, radio, locked_us, at_us):
                self._let_go(frame, radio, Fate.COLLISION)
            else:
                events.append(HeaderHeard(radio.id, frame, at_us))

    def _end(self, frame: Frame, at_us: int, events: list[Event]) -> None:
        frame.over = True
        for radio, (span, _) in list(frame.locks.items()):
            if radio.span_before(at_us) is not span:
                self._let_go(frame, radio, Fate.STOPPED)
                continue
            fate = self._fate_of_payload(frame, radio, at_us)
            self._let_go(frame, radio, fate)
            events.append(self._heard(frame, radio, at_us, fate is Fate.RECEIVED))
        sender = frame.sender
        sender.sending.remove(frame)
        channel = frame.channel
        duty = self.duty.record(sender.id, channel.freq_hz, channel.bw_hz, frame.at_us, frame.ends_us)
        events.append(FrameEnded(frame, at_us, duty))
        frame.overlaps = []

    def _fate_of_payload(self, frame: Frame, radio: Radio, at_us: int) -> Fate:
        if frame.ends_us < at_us:
            return Fate.CUT
        if self._disturbed_until(frame, radio, frame.header_us, at_us):
            return Fate.COLLISION
        weak = self.levels.payload_snr_db(frame, radio) < SNR_LIMIT_DB[frame.channel.sf]
        return Fate.TOO_WEAK if weak else Fate.RECEIVED

    def _heard(self, frame: Frame, radio: Radio, at_us: int, crc_ok: bool) -> FrameHeard:
        data = frame.data if crc_ok else self.levels.damaged(frame, radio)
        signal_dbm = self.levels.level_dbm(frame, radio)
        snr_db = round(4.0 * self.levels.snr_db(frame, radio)) / 4.0  # receivers report quarters of a dB in one byte
        measured_dbm = rssi_dbm(signal_dbm, frame.channel.bw_hz)
        return FrameHeard(
            radio.id, frame, at_us, data, measured_dbm, signal_dbm, min(max(snr_db, -32.0), 31.75), crc_ok
        )

    def _let_go(self, frame: Frame, radio: Radio, fate: Fate) -> None:
        frame.fates[radio.id] = fate
        del frame.locks[radio]
        del radio.locks[frame]

    # Books

    def _radio(self, radio_id: str) -> Radio:
        try:
            return self._radios[radio_id]
        except KeyError:
            raise UnknownRadio(f"no radio {radio_id!r} is in the air; it has to say hello first") from None

    def _plan(self, at_us: int, kind: int, frame: Frame, radio: Radio | None = None) -> None:
        # Names before the running number: frames and receivers of one moment are decided in the same order every time.
        key = radio.id if radio else ""
        heapq.heappush(self._decisions, (at_us, kind, frame.sender.id, frame.nth, key, next(self._order), frame, radio))

    def _plan_detections(self, frame: Frame) -> None:
        listeners = self._listeners.get(frame.channel, {})
        for radio in list(listeners):
            radio.forget_before(min(self.decided_us, frame.at_us) - _KEEP_US)
            starts = [span.from_us for span in radio.spans if frame.channel in span.channels]
            if not starts or self._radios.get(radio.id) is not radio:
                del listeners[radio]
            elif radio is not frame.sender:
                for from_us in starts:
                    self._plan_detection(frame, radio, from_us)

    def _plan_detection(self, frame: Frame, radio: Radio, from_us: int) -> None:
        if from_us < frame.until_us:
            self._plan(max(from_us, frame.at_us) + DETECT_SYMBOLS * frame.symbol_us, _DETECT, frame, radio)

    def _put_on_air(self, frame: Frame) -> None:
        """Note which frames overlap in time and frequency with this one, and forget those long over."""
        channel, at_us, until_us = frame.channel, frame.at_us, frame.until_us
        place = channel.freq_hz // _BUCKET_HZ
        horizon_us = min(self.decided_us, at_us) - _KEEP_US
        for bucket in (place - 1, place, place + 1):
            others = self._on_air.get(bucket)
            if others is None:
                continue
            others[:] = [other for other in others if other.ends_us > horizon_us]
            for other in others:
                if at_us < other.ends_us and other.at_us < until_us and _share_spectrum(channel, other.channel):
                    frame.overlaps.append(other)
                    if not other.over:
                        other.overlaps.append(frame)
        self._on_air.setdefault(place, []).append(frame)

    def _cut(self, radio: Radio, at_us: int) -> None:
        for frame in radio.sending:
            if frame.at_us < at_us < frame.ends_us:
                frame.ends_us = at_us

    def _disturbed_until(self, frame: Frame, radio: Radio, from_us: int, to_us: int) -> int:
        """End of the last frame that destroys this one at a receiver within that time; 0 if none does."""
        last_us = 0
        for other in frame.overlaps:
            if max(other.at_us, from_us) < min(other.ends_us, to_us) and other.sender is not radio:
                ratio_db = self.levels.level_dbm(frame, radio) - self.levels.level_dbm(other, radio)
                if ratio_db < needed_ratio_db(frame.channel, other.channel):
                    last_us = max(last_us, other.ends_us)
        return last_us


def _share_spectrum(channel: Channel, other: Channel) -> bool:
    return 2 * abs(channel.freq_hz - other.freq_hz) < channel.bw_hz + other.bw_hz
