# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the medium keeps books of: modulations, frames on the air, radios and what they listen to when."""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from boards.virtual.air import airtime
from boards.virtual.air.duty import DutyUse
from boards.virtual.air.errors import BadRadioSetting

DETECT_SYMBOLS = 5  # preamble symbols that a receiver needs: SX1276 datasheet 4.1.1.6 and AN1200.29 speak of 4 to 5
SYNC_QUARTER_SYMBOLS = 17  # sync word and start-of-frame delimiter: 4.25 symbols
MAX_DATA = 255

PUBLIC_SYNC = 0x34  # LoRaWAN's sync word (RP002-1.0.4 section 2.4.1)


class Channel(NamedTuple):
    """All that a receiver must match in order to hear a frame; iq is True where I and Q are inverted (downlinks)."""

    freq_hz: int
    sf: int
    bw_hz: int
    iq: bool = False
    sync: int = PUBLIC_SYNC


class Modulation(NamedTuple):
    """A channel and how a frame is built in it: denominator of coding rate 4/x, programmed preamble symbols, CRC."""

    channel: Channel
    coding_rate: int = 5
    preamble: int = 8
    crc: bool = True


def check_channel(channel: Channel) -> None:
    """Raise BadRadioSetting for what LoRaWAN's LoRa modulation does not have."""
    if channel.sf not in airtime.SPREADING_FACTORS:
        raise BadRadioSetting(f"spreading factor {channel.sf} is not simulated: LoRaWAN uses 7 to 12")
    if channel.bw_hz not in airtime.BANDWIDTHS_HZ:
        raise BadRadioSetting(f"bandwidth {channel.bw_hz} Hz is not simulated: LoRaWAN uses 125000, 250000 and 500000")
    if not 100_000_000 <= channel.freq_hz <= 1_100_000_000:
        raise BadRadioSetting(f"frequency {channel.freq_hz} Hz is not between 100 and 1100 MHz; the unit is Hz")
    if not 0 <= channel.sync <= 0xFF:
        raise BadRadioSetting(f"sync word {channel.sync} is not one byte; the public LoRaWAN one is 52 (0x34)")


def check_modulation(modulation: Modulation, data: bytes) -> None:
    """Raise BadRadioSetting for a frame that a LoRa chip cannot send."""
    check_channel(modulation.channel)
    if modulation.coding_rate not in airtime.CODING_RATES:
        raise BadRadioSetting(f"coding rate {modulation.coding_rate} is not 5 to 8 (the denominator of 4/x)")
    if not 6 <= modulation.preamble <= 0xFFFF:
        raise BadRadioSetting(f"preamble of {modulation.preamble} symbols: at least 6 are needed; LoRaWAN uses 8")
    if len(data) > MAX_DATA:
        raise BadRadioSetting(f"{len(data)} bytes do not fit a LoRa frame, which holds at most {MAX_DATA}")


class Fate(Enum):
    """What became of a frame at one receiver that listened to its channel while it was on the air."""

    RECEIVED = "received"
    TOO_WEAK = "too weak"
    COLLISION = "collision"
    CAPTURED = "given up for a stronger frame"
    OPENED_LATE = "receiver opened too late"
    BUSY = "receiver held by another frame"
    NO_DEMODULATOR = "all demodulators in use"
    STOPPED = "receiver stopped listening"
    CUT = "sender stopped before the end"


class Span(NamedTuple):
    """From this moment until the next span a radio listens to these channels (to none when it is idle or sends)."""

    from_us: int
    channels: frozenset[Channel]


NOTHING: frozenset[Channel] = frozenset()


class Radio:
    """A radio in the air: place, antenna, demodulators, and what it listens to over time."""

    __slots__ = (
        "antenna_dbi",
        "demodulators",
        "gains_db",
        "id",
        "listens_to",
        "locks",
        "resumes",
        "sending",
        "sent",
        "spans",
        "x_m",
        "y_m",
    )

    def __init__(
        self, radio_id: str, x_m: float, y_m: float, antenna_dbi: float, demodulators: int, resumes: bool
    ) -> None:
        self.id = radio_id
        self.x_m = x_m
        self.y_m = y_m
        self.antenna_dbi = antenna_dbi
        self.demodulators = demodulators
        self.resumes = resumes
        self.listens_to = NOTHING
        self.sent = 0
        self.spans: list[Span] = []
        self.locks: dict[Frame, Span] = {}
        self.sending: list[Frame] = []
        self.gains_db: dict[str, float] = {}

    def set_span(self, from_us: int, channels: Iterable[Channel]) -> Span:
        """Listen to these channels from that moment; of two spans of one moment the later given counts."""
        span = Span(from_us, frozenset(channels))
        insort(self.spans, span, key=_span_start)
        return span

    def span_before(self, at_us: int) -> Span | None:
        """What the radio listened to just before that moment."""
        for span in reversed(self.spans):
            if span.from_us < at_us:
                return span
        return None

    def forget_before(self, at_us: int) -> None:
        """Drop spans that ended before that moment."""
        while len(self.spans) > 1 and self.spans[1].from_us < at_us:
            del self.spans[0]


def _span_start(span: Span) -> int:
    return span.from_us


@dataclass(slots=True, eq=False)
class Frame:
    """One transmission. until_us is its planned end, ends_us the real one (earlier if the sender was cut off)."""

    number: int
    sender: Radio
    nth: int
    at_us: int
    modulation: Modulation
    power_dbm: float
    data: bytes
    channel: Channel = field(init=False)
    symbol_us: int = field(init=False)
    until_us: int = field(init=False)
    ends_us: int = field(init=False)
    preamble_end_us: int = field(init=False)
    sync_end_us: int = field(init=False)
    header_us: int = field(init=False)
    late_us: int = 0
    over: bool = False
    header_planned: bool = False
    overlaps: list["Frame"] = field(default_factory=list, repr=False)
    levels_dbm: dict[str, float] = field(default_factory=dict, repr=False)
    drifts_db: dict[str, float] = field(default_factory=dict, repr=False)
    locks: dict[Radio, tuple[Span, int]] = field(default_factory=dict, repr=False)
    fates: dict[str, Fate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        channel, coding_rate, preamble, crc = self.modulation
        self.channel = channel
        self.symbol_us = symbol_us = airtime.symbol_us(channel.sf, channel.bw_hz)
        length_us = airtime.time_on_air_us(channel.sf, channel.bw_hz, len(self.data), crc, coding_rate, preamble)
        self.until_us = self.ends_us = self.at_us + length_us
        self.preamble_end_us = self.at_us + preamble * symbol_us
        self.sync_end_us = self.preamble_end_us + SYNC_QUARTER_SYMBOLS * symbol_us // 4
        self.header_us = min(self.sync_end_us + airtime.HEADER_SYMBOLS * symbol_us, self.until_us)


@dataclass(frozen=True, slots=True)
class PreambleHeard:
    """A receiver has heard enough of a preamble."""

    radio: str
    frame: Frame
    at_us: int


@dataclass(frozen=True, slots=True)
class HeaderHeard:
    """A receiver has decoded a frame's header."""

    radio: str
    frame: Frame
    at_us: int


@dataclass(frozen=True, slots=True)
class FrameHeard:
    """A receiver has come to the end of a frame; data is damaged where crc_ok is False.

    A damaged frame that carries no CRC (frame.modulation.crc) has crc_ok False too, though its receiver cannot know.
    """

    radio: str
    frame: Frame
    at_us: int
    data: bytes
    rssi_dbm: float
    signal_dbm: float
    snr_db: float
    crc_ok: bool


@dataclass(frozen=True, slots=True)
class FrameEnded:
    """A frame is over: its fate at every receiver stands in frame.fates."""

    frame: Frame
    at_us: int
    duty: DutyUse


Event = PreambleHeard | HeaderHeard | FrameHeard | FrameEnded
