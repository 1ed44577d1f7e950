# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""When and by which gateway a downlink may go: the receive windows of TS001-1.0.4 section 3.3. Pure.

A device opens RX1 and, when it heard nothing, RX2. The same frame may be tried in both, so a plan is a list: the
gateway that heard the device best first, each window before the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from firmware.wire import region
from firmware.wire.airtime import time_on_air_us
from gateway.network.duty import Priority
from gateway.radio import U32_MODULUS, RadioDownlink

if TYPE_CHECKING:
    from gateway.links import Uplink
    from gateway.network.downlinks import Item
    from gateway.network.radio_state import RadioState

MAX_GATEWAYS = 3
"""Gateways that are tried for one window."""
MAX_POWER_DBM = 27
JOIN_DELAY_S = region.JOIN_ACCEPT_DELAY1_MS // 1000
_GAP_S = region.WINDOW_GAP_MS // 1000
_OVERHEAD_BYTES = 13
"""MHDR 1, FHDR 7, FPort 1, MIC 4: what a frame has besides FOpts and payload."""
WIRED_ROOM_BYTES = 242

Window = Literal["rx1", "rx2", "rxc", "line"]


@dataclass(frozen=True, slots=True)
class Opportunity:
    """One way and moment to send a frame."""

    window: Window
    link: str
    address: str
    when: RadioDownlink | None = None
    """None on a line."""
    at_s: float | None = None
    """The daemon's monotonic clock, not before which the device listens; None: it always does."""

    def airtime_us(self, size: int) -> int:
        """Return how long a frame of *size* bytes is on air; 0 on a line."""
        if self.when is None:
            return 0
        return time_on_air_us(self.when.sf, self.when.bw_hz, size, crc=self.when.crc)


@dataclass(frozen=True, slots=True)
class Planned:
    """A sealed frame and the ways it may go, in the order to try them."""

    dev_eui: bytes
    phy: bytes
    opportunities: tuple[Opportunity, ...]
    priority: Priority
    item: Item | None = field(default=None)
    """What of the device's queue it carries."""


def room_bytes(uplink: Uplink, state: RadioState) -> int:
    """Return what FOpts and payload of an answer may have together, so that it fits RX1 and RX2 alike."""
    if uplink.radio is None:
        return WIRED_ROOM_BYTES
    rates = [state.rx2_dr]
    rx1_dr = _rx1_dr(uplink, state)
    if rx1_dr is not None:
        rates.append(rx1_dr)
    return min(region.DATA_RATES[dr][2] for dr in rates)


def at_once_room_bytes(ways: tuple[Opportunity, ...]) -> int:
    """Return what the payload of a frame may have that goes by *ways*, all of one data rate or all lines."""
    when = ways[0].when
    dr = None if when is None else region.dr_of(when.sf, when.bw_hz)
    return WIRED_ROOM_BYTES if dr is None else region.DATA_RATES[dr][2]


def class_a(uplink: Uplink, state: RadioState, size: int, rx1_hz: int | None = None) -> tuple[Opportunity, ...]:
    """Return RX1 and RX2 after a data frame, by the gateways that heard it; a frame of *size* bytes fits each.

    *rx1_hz*: where RX1 is when it is not on the uplink's channel (DlChannelReq, TS001 section 5.10).
    """
    return _windows(uplink, state, state.rx1_delay_s, size, rx1_hz)


def join(uplink: Uplink, state: RadioState, size: int) -> tuple[Opportunity, ...]:
    """Return RX1 and RX2 after a Join-Request (TS001 section 6.2.6); *state* is that of a device without session."""
    return _windows(uplink, state, JOIN_DELAY_S, size)


def class_c(uplink: Uplink, state: RadioState, size: int) -> tuple[Opportunity, ...]:
    """Return the ways to a device that always listens, with the parameters of RX2 (TS001 section 17)."""
    if not _fits(state.rx2_dr, size):
        return ()
    found = [_at_once(each.link, each.address, state) for each in _receivers(uplink)]
    return tuple(each for each in found if each is not None)


def at_once(state: RadioState) -> tuple[Opportunity, ...]:
    """Return the way to a class C device that was not heard since the start: by the gateway noted last."""
    found = _at_once(state.link, state.address, state) if state.link else None
    return () if found is None else (found,)


def line(uplink: Uplink) -> tuple[Opportunity, ...]:
    """Return the way back on a link that is no radio."""
    return (Opportunity("line", uplink.link, uplink.address),)


def _windows(
    uplink: Uplink, state: RadioState, delay_s: int, size: int, rx1_hz: int | None = None
) -> tuple[Opportunity, ...]:
    found: list[Opportunity | None] = []
    rx1_dr = _rx1_dr(uplink, state)
    if rx1_dr is not None and _fits(rx1_dr, size):
        found += [
            _timed("rx1", each, delay_s, rx1_hz or each.radio.freq_hz, rx1_dr)
            for each in _receivers(uplink)
            if each.radio
        ]
    if _fits(state.rx2_dr, size):
        rx2 = delay_s + _GAP_S
        found += [_timed("rx2", each, rx2, state.rx2_hz, state.rx2_dr) for each in _receivers(uplink)]
    return tuple(each for each in found if each is not None)


def _receivers(uplink: Uplink) -> list[Uplink]:
    return [each for each in (uplink, *uplink.others) if each.radio is not None][:MAX_GATEWAYS]


def _rx1_dr(uplink: Uplink, state: RadioState) -> int | None:
    if uplink.radio is None:
        return None
    dr = region.dr_of(uplink.radio.sf, uplink.radio.bw_hz)
    return None if dr is None else region.rx1_dr(dr, state.rx1_dr_offset)


def _fits(dr: int, size: int) -> bool:
    return size <= region.DATA_RATES[dr][2] + _OVERHEAD_BYTES


def _timed(window: Window, heard: Uplink, delay_s: int, freq_hz: int, dr: int) -> Opportunity | None:
    if heard.radio is None:
        return None
    tmst_us = (heard.radio.tmst_us + delay_s * 1_000_000) % U32_MODULUS
    when = _downlink(freq_hz, dr, tmst_us)
    if when is None:
        return None
    return Opportunity(window, heard.link, heard.address, when, heard.heard_at_s + delay_s)


def _at_once(link: str, address: str, state: RadioState) -> Opportunity | None:
    when = _downlink(state.rx2_hz, state.rx2_dr, None)
    return None if when is None else Opportunity("rxc", link, address, when)


def _downlink(freq_hz: int, dr: int, tmst_us: int | None) -> RadioDownlink | None:
    """Return None for a frequency on which nobody may send: then the uplink came from no device of this region."""
    band = region.band_of(freq_hz)
    if band is None:
        return None
    sf, bw_hz, _ = region.DATA_RATES[dr]
    return RadioDownlink(freq_hz, sf, bw_hz, min(region.BANDS[band][3], MAX_POWER_DBM), tmst_us)
