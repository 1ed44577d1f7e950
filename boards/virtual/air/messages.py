# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Messages on the air's socket: one JSON object a line, both ways; docs/virtual-air.md lists them. Pure."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from boards.virtual.air.duty import DutyLedger, DutyUse
from boards.virtual.air.errors import MalformedMessage
from boards.virtual.air.frames import (
    MAX_DATA,
    NOTHING,
    PUBLIC_SYNC,
    Channel,
    Event,
    FrameEnded,
    FrameHeard,
    Modulation,
    PreambleHeard,
)

MAX_LINE = 4096
_Moment = Annotated[int, Field(ge=0, lt=2**62)]


class _Message(BaseModel):
    # Unknown keys are passed over: a newer program may say more than this one knows.
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Hello(_Message):
    """A radio enters the air, or moves."""

    op: Literal["hello"]
    id: str = Field(min_length=1, max_length=64)
    x_m: float = Field(default=0.0, allow_inf_nan=False)
    y_m: float = Field(default=0.0, allow_inf_nan=False)
    antenna_dbi: float = Field(default=0.0, ge=-50, le=50)


class _OnChannel(_Message):
    freq_hz: int
    sf: int
    bw_hz: int = 125_000
    iq: bool = False
    sync: int = PUBLIC_SYNC

    @property
    def channel(self) -> Channel:
        """What a receiver must match."""
        return Channel(self.freq_hz, self.sf, self.bw_hz, self.iq, self.sync)


class Transmit(_OnChannel):
    """A radio sends."""

    op: Literal["tx"]
    at_us: _Moment
    cr: int = 5
    preamble: int = 8
    crc: bool = True
    power_dbm: float = Field(default=14.0, ge=-30, le=40)
    data: str = Field(pattern="^([0-9a-fA-F]{2})*$", max_length=2 * MAX_DATA)

    @property
    def modulation(self) -> Modulation:
        """How the frame is built."""
        return Modulation(self.channel, self.cr, self.preamble, self.crc)


class Listen(_OnChannel):
    """A radio listens to one channel, instead of what it did before."""

    op: Literal["listen"]
    from_us: _Moment

    @property
    def channels(self) -> frozenset[Channel]:
        """The one channel."""
        return frozenset((self.channel,))


class Idle(_Message):
    """A radio neither listens nor sends."""

    op: Literal["idle"]
    from_us: _Moment

    @property
    def channels(self) -> frozenset[Channel]:
        """None."""
        return NOTHING


class Carry(_Message):
    """A radio sends an unmodulated carrier until it idles, listens, sends a frame or leaves."""

    op: Literal["carrier"]
    from_us: _Moment
    freq_hz: int = Field(ge=100_000_000, le=1_100_000_000)
    power_dbm: float = Field(default=14.0, ge=-30, le=40)


class Report(_Message):
    """Somebody asks how much of their duty cycle the radios have used."""

    op: Literal["report"]


Message = Hello | Transmit | Listen | Idle | Carry | Report
_ADAPTER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="op")])


def parse(line: bytes) -> Message:
    """One line from a radio; raises MalformedMessage, which says what is wrong with which key."""
    try:
        return _ADAPTER.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "message"
        raise MalformedMessage(f"{key}: {first['msg']} in {line[:200]!r}; see docs/virtual-air.md") from error


def encode(fields: dict[str, Any]) -> bytes:
    """One line to a radio."""
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def event_fields(event: Event) -> dict[str, Any]:
    """What a radio is told of an event at its receiver."""
    frame = event.frame.number
    if isinstance(event, FrameHeard):
        return {
            "op": "rx",
            "frame": frame,
            "at_us": event.at_us,
            "data": event.data.hex(),
            "rssi_dbm": round(event.rssi_dbm),
            "snr_db": event.snr_db,
            "crc_ok": event.crc_ok,
            "crc": event.frame.modulation.crc,
        }
    return {"op": "preamble" if isinstance(event, PreambleHeard) else "header", "frame": frame, "at_us": event.at_us}


def duty_fields(use: DutyUse) -> dict[str, Any]:
    """One radio's use of one sub-band."""
    return {
        "radio": use.radio,
        "band": use.band.name,
        "used_us": use.used_us,
        "limit_us": use.band.limit_us,
        "violation": use.violation,
    }


def report_fields(frames: int, ledger: DutyLedger) -> dict[str, Any]:
    """Answer to Report: each radio's fullest hour per sub-band, and how often a limit was passed."""
    return {
        "op": "report",
        "frames": frames,
        "duty_violations": ledger.violation_count,
        "duty": [duty_fields(use) for use in ledger.worst()],
    }


def journal_fields(event: FrameEnded) -> dict[str, Any]:
    """A frame's line in the log: what was sent, and its fate at each receiver that listened to its channel."""
    frame = event.frame
    channel, coding_rate, preamble, crc = frame.modulation
    fates: dict[str, dict[str, Any]] = {}
    for radio_id, fate in sorted(frame.fates.items()):
        level = frame.levels_dbm.get(radio_id)
        fates[radio_id] = {"fate": fate.value} | ({} if level is None else {"signal_dbm": round(level, 1)})
    return {
        "event": "frame",
        "frame": frame.number,
        "from": frame.sender.id,
        "at_us": frame.at_us,
        "until_us": frame.ends_us,
        **channel._asdict(),
        "cr": coding_rate,
        "preamble": preamble,
        "crc": crc,
        "power_dbm": frame.power_dbm,
        "data": frame.data.hex(),
        "cut": frame.ends_us < frame.until_us,
        "late_us": frame.late_us,
        "fates": fates,
        "duty": duty_fields(event.duty),
    }
