# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What LoRaWAN over a radio adds to a frame: MAC commands, ADR, duty cycle, channels. Between the network and the link.

The network asks it before it makes a frame and hands it what comes down; the link asks it how and when to send. Its
state lies in the session's record, so that a reboot goes on with the channels and windows that the network knows of.
"""

import os

from firmware.node.lazy import borrowed
from firmware.node.lorawan.adr import AdrBackoff
from firmware.node.lorawan.duty import Duty
from firmware.node.lorawan.mac_engine import MacEngine
from firmware.node.store import decode
from firmware.wire import cbor, region
from firmware.wire.airtime import time_on_air_us
from firmware.wire.errors import Malformed
from firmware.wire.frame import MAX_FOPTS

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any

CLASS_A = 0
CLASS_C = 2

_MAX_PAYLOAD = 222  # where repeaters may be (RP002 section 2.4.6)
_OVERHEAD = 13  # of a data frame around its payload, without FOpts
_JOIN_LEN = 23
_TICK_MS = 300000  # how often to look at the duty cycle's record, at least
_ANTENNA_DBI = 2
_MAX_DBM = 14
_MIN_DBM = 0
_POLLS = 3  # uplinks for a frame that was announced, until one comes: any of them may be lost
# In percent: fast rates for the many that are near, slow ones for the few that nothing else reaches.
_JOIN_DR_PERCENT = (5, 10, 15, 20, 20, 30)


class Transmission:
    """One frame on air: how it is sent, and where and when the answer may come. Hz, dBm, ms."""

    def __init__(
        self, freq_hz: int, dr: int, power_dbm: int, rx1: tuple[int, int], rx2: tuple[int, int], delay_ms: int
    ):
        self.freq_hz = freq_hz
        self.dr = dr
        self.power_dbm = power_dbm
        self.rx1 = rx1  # (frequency, data rate)
        self.rx2 = rx2
        self.delay_ms = delay_ms  # from the end of the frame to RX1; RX2 is a second later


def below(end: int) -> int:
    """Return a random number from 0, of the hardware's randomness: boards of one street must not choose alike."""
    return int.from_bytes(os.urandom(4), "little") % end


class Layer:
    """*options* is the table ``lorawan`` of the board map, all of it optional:

    class "A" or "C"; mains bool; adr bool; antenna_dbi, min_dbm, max_dbm of the radio; window_error_us of the link;
    certification bool: open the test port. Raises ConfigError for anything else.
    """

    def __init__(self, options) -> None:
        with borrowed("lorawan.options") as rules:
            rules.check(options)
        self._antenna_dbi = options.get("antenna_dbi", _ANTENNA_DBI)
        self.max_dbm = options.get("max_dbm", _MAX_DBM)
        self.device_class = CLASS_C if options.get("class", "A") == "C" else CLASS_A
        self.engine = MacEngine(options.get("min_dbm", _MIN_DBM) + self._antenna_dbi)
        if options.get("mains", self.device_class == CLASS_C):
            self.engine.battery = 0
        self.engine.adr_on = options.get("adr", True)
        self._certifies = options.get("certification", False)
        self.adr = AdrBackoff(self.engine)
        self.duty: "Any" = None  # a Duty, from attach on
        self.certification: "Any" = None
        self.urgent = False  # the network wants an uplink soon
        self._polls = 0
        self._mac: "Any" = None
        self.now_ms: "Any" = None
        self._adr_ack_req = False
        self._join_dr: "Any" = None  # int, or None; of the next Join-Request, or of the one in the air

    def attach(self, mac, now_ms) -> None:
        """Begin with the session that *mac* found on flash; without its LoRaWAN state it is left."""
        self._mac = mac
        self.now_ms = now_ms
        self.duty = Duty(mac.files, now_ms)
        if self._certifies:
            from firmware.node.lorawan.certification import open_port

            self.certification = open_port(self, mac, now_ms)
        if mac.session is None:
            return
        try:
            state = decode(mac.extra)
            self.adr.restore(state[0])
            self.engine.restore(state[1:])
        except (Malformed, ValueError, TypeError, IndexError):
            mac.leave()
            return
        self.duty.resume(self.engine.max_duty_cycle)
        self.engine.changed = False

    @property
    def max_payload(self) -> int:
        """Application bytes that the next frame may carry together with its FOpts (RP002 section 2.4.6)."""
        return min(_MAX_PAYLOAD, region.DATA_RATES[self.engine.dr][2])

    def kept(self) -> list:
        """Return what must outlive a deep sleep."""
        return [self, self.engine, self.adr, self.duty]

    def prepare(self, joining: bool) -> int:
        """Settle how the next frame will be sent; return the milliseconds until it may be, 0 for now."""
        self.duty.tick()
        if joining:
            if self._join_dr is None:
                self._join_dr = _random_join_dr()
            air_ms = air_time_ms(self._join_dr, _JOIN_LEN)
            wait = self.duty.join_wait_ms(air_ms)
            return max(wait, min([self.duty.wait_ms(hz, air_ms) for hz in region.DEFAULT_CHANNELS_HZ]))
        self._adr_ack_req = self.adr.before_uplink()
        self._save()
        air_ms = air_time_ms(self.engine.dr, self.max_payload + _OVERHEAD)
        return min([self.duty.wait_ms(channel[0], air_ms) for channel in self._channels(self.engine.dr)])

    def fopts(self) -> bytes:
        """Return the MAC commands of the next uplink; none when they need a frame of their own."""
        requests = b"" if self.certification is None else self.certification.requests
        if self._answers_need_a_frame():
            return b""
        return self.engine.pending(MAX_FOPTS - len(requests)) + requests

    def own_frame(self) -> tuple[int, bytes, bytes] | None:
        """Return (FPort, payload, FOpts) of a frame that goes before the application's, or None."""
        if self._answers_need_a_frame():  # TS001 section 5: too long for FOpts, so on port 0
            return 0, self.engine.pending(self.max_payload), b""
        frame = None if self.certification is None else self.certification.next_frame()
        if frame is None:
            return None
        fopts = self.fopts()
        fits = len(frame[1]) + len(fopts) <= self.max_payload
        return frame[0], frame[1], fopts if fits else b""

    def seal(self, fport: int | None, payload: bytes, fopts: bytes, confirmed: bool = False) -> bytes:
        """Return the next uplink's bytes, its flags as ADR wants them. Raises CounterExhausted."""
        if self.certification is not None and self.certification.confirmed is not None:
            confirmed = self.certification.confirmed and fport != 0
        phy = self._mac.seal(fport, payload, fopts, confirmed, self.engine.adr_on, self._adr_ack_req)
        self.adr.after_uplink()
        if fopts or fport == 0:
            self.engine.sent()
        if self.certification is not None:
            self.certification.sent(fport, bool(fopts))
        self._polls = max(0, self._polls - 1)
        self.urgent = self._polls > 0 or (self.certification is not None and self.certification.due_ms() == 0)
        return phy

    def due_ms(self) -> int:
        """Return after how long there may be a frame that the application knows nothing of."""
        due = _TICK_MS if self.certification is None else min(_TICK_MS, self.certification.due_ms())
        self.duty.tick()
        return due

    def wants_carrier(self) -> bool:
        """Tell whether a laboratory waits for an unmodulated carrier."""
        return self.certification is not None and self.certification.carrier is not None

    def joined(self, answer) -> bytes:
        """A Join-Accept was taken: return the state that belongs to the new session."""
        dr = region.MIN_DR if self._join_dr is None else self._join_dr
        self.engine.start(dr, answer.dl_settings, answer.rx_delay, answer.cf_list)
        self.adr.on_downlink()
        self._join_dr = None
        self.urgent = False
        self._polls = 0
        self.duty.joined()
        self.engine.changed = False
        return self._state()

    def received(self, received, snr_db: int, class_c: bool) -> bool:
        """Take in a downlink's LoRaWAN side; return whether the application may see the rest.

        MAC commands of a class C downlink are not obeyed (TS001 section 17); nor does it show that the network hears.
        """
        if class_c and received.fport == 0:
            return False
        if not class_c:
            self.adr.on_downlink()
            self.engine.take_in(received.payload if received.fport == 0 else received.fopts, snr_db)
            self._save()
        self._polls = (1 if self.device_class == CLASS_C else _POLLS) if received.f_pending else 0
        self.urgent = self._polls > 0 or self.engine.pending_len() > MAX_FOPTS
        if self.certification is not None:
            taken = self.certification.on_downlink(received.fport, received.payload, received.ack, self.max_payload)
            self.urgent = self.urgent or self.certification.due_ms() == 0
            return not taken
        return True

    def poll(self) -> None:
        """The network will have more to say after the next frame: ask a few times where nothing else lets it."""
        if self.device_class == CLASS_A:
            self._polls = _POLLS + 1  # that frame is one of them
            self.urgent = True

    def transmission(self, length: int, joining: bool) -> Transmission:
        """Choose channel and data rate for a frame of *length* bytes. The channel is the one that may send first."""
        if joining:
            dr = self._join_dr
            channels = [(hz, 0, 0, hz) for hz in region.DEFAULT_CHANNELS_HZ]
        else:
            dr = self._dr_for(length)
            channels = self._channels(dr)
        air_ms = air_time_ms(dr, length)
        waits = [self.duty.wait_ms(channel[0], air_ms) for channel in channels]
        ready = [channel for channel, wait in zip(channels, waits) if wait == min(waits)]
        freq_hz, _, _, rx1_hz = ready[below(len(ready))]
        if joining:
            rx2 = (region.RX2_HZ, region.RX2_DR)
            return Transmission(freq_hz, dr, self._power(0), (freq_hz, dr), rx2, region.JOIN_ACCEPT_DELAY1_MS)
        engine = self.engine
        rx1 = (rx1_hz, region.rx1_dr(dr, engine.rx1_offset))
        power_dbm = self._power(engine.tx_power)
        return Transmission(freq_hz, dr, power_dbm, rx1, self.rx2(), engine.rx_delay_s * 1000)

    def has_session(self) -> bool:
        """Tell whether there is anything to listen for outside the windows of a join."""
        return self._mac is not None and self._mac.session is not None

    def rx2(self) -> tuple[int, int]:
        """Return (frequency, data rate) of RX2, which are those of class C reception too."""
        return self.engine.rx2_hz, self.engine.rx2_dr

    def wait_ms(self, sending: Transmission, length: int) -> int:
        """Return how long this frame has to wait for its band."""
        return self.duty.wait_ms(sending.freq_hz, air_time_ms(sending.dr, length))

    def spend(self, sending: Transmission, length: int, joining: bool) -> None:
        """Account for a frame that is about to be sent."""
        self.duty.spend(sending.freq_hz, air_time_ms(sending.dr, length), self.engine.max_duty_cycle, joining)

    def join_sent(self) -> None:
        """A Join-Request had no answer: the next one tries another data rate."""
        self._join_dr = None

    def save(self) -> None:
        """Have the state on flash, whatever it is."""
        self._mac.keep_extra(self._state())
        self.engine.changed = False

    def _save(self) -> None:
        if self.engine.changed and self._mac.session is not None:
            self.save()

    def _state(self) -> bytes:
        return cbor.dumps([self.adr.count] + self.engine.state())

    def _answers_need_a_frame(self) -> bool:
        return self.engine.pending_len() > MAX_FOPTS

    def _channels(self, dr: int):
        plan = self.engine.plan
        return [plan.channels[i] for i in plan.enabled(dr)]

    def _dr_for(self, length: int) -> int:
        """Return the data rate of ADR, or the next one that takes so long a frame: rather fast than never."""
        for dr in range(self.engine.dr, region.MAX_DR + 1):
            if region.DATA_RATES[dr][2] + _OVERHEAD >= length and self.engine.plan.enabled(dr):
                return dr
        return self.engine.dr

    def _power(self, tx_power: int) -> int:
        return min(self.max_dbm, region.eirp_dbm(tx_power) - self._antenna_dbi)


def air_time_ms(dr: int, length: int) -> int:
    """Return the air time of an uplink of *length* bytes in whole milliseconds, rounded up."""
    sf, bw_hz, _ = region.DATA_RATES[dr]
    return (time_on_air_us(sf, bw_hz, length) + 999) // 1000


def _random_join_dr() -> int:
    dice = below(100)
    for dr, percent in enumerate(_JOIN_DR_PERCENT):
        dice -= percent
        if dice < 0:
            return dr
    return region.MAX_DEFAULT_DR
