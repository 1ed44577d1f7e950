# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The network's side of the MAC commands of one session (TS001-1.0.4 section 5).

A request changes nothing here: only the device's acceptance does, since until then it goes on as before.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmware.wire import maccommands, macnetwork, region
from firmware.wire.frame import MAX_FOPTS
from gateway.clock import plausible
from gateway.network import adr
from gateway.network.options import DEFAULT_MASK, REQUIRED_SNR_DB

if TYPE_CHECKING:
    from gateway.links import Uplink
    from gateway.network.adr import Heard, Setting
    from gateway.network.options import Options
    from gateway.network.radio_state import RadioState

_WIRED_MARGIN_DB = 254
_MAX_MARGIN_DB = 254
_MAX_ASKED = 3
"""How often in a row the same is asked without an answer; then only every ``adr.HISTORY`` frames."""
_STATUS_RETRY_S = 600.0
_RX1_OFFSET = 0


@dataclass(slots=True)
class MacState:
    """What is under way with one device; in memory only, a restart asks again."""

    history: deque[Heard] = field(default_factory=lambda: deque(maxlen=adr.HISTORY))
    adr: bool = False
    """The ADR bit of the last uplink: the device lets the network choose (TS001 section 4.3.1.1)."""
    max_dr: int = region.MAX_DEFAULT_DR
    max_tx_power: int = region.MAX_TX_POWER
    wanted: Setting | None = None
    """The LinkADRReq that waits for its answer."""
    wanted_mask: int = DEFAULT_MASK
    asked: int = 0
    frames: int = 0
    timing_wanted_s: int | None = None
    rx2_wanted: bool = False
    status_asked_s: float = float("-inf")


def answers(commands: bytes, uplink: Uplink) -> bytes:
    """Return the answers to what a device asks, for FOpts. Raises wire Malformed."""
    found = b""
    for cid, _ in maccommands.parse(commands, uplink=True):
        answer = b""
        if cid == maccommands.LINK_CHECK:
            answer = maccommands.link_check_ans(margin_db(uplink), _gateways(uplink))
        elif cid == maccommands.DEVICE_TIME and plausible(uplink.received_at):  # no time is better than a wrong one
            answer = maccommands.device_time_ans(round(uplink.received_at * 1000))
        if len(found) + len(answer) <= MAX_FOPTS:
            found += answer
    return found


def margin_db(uplink: Uplink) -> int:
    """Return by how much the best gateway heard a frame above the limit (TS001 section 5.2); a line is as good as can.

    Whole decibels, from 0, which is the limit itself.
    """
    if uplink.radio is None:
        return _WIRED_MARGIN_DB
    return max(0, min(_MAX_MARGIN_DB, int(uplink.radio.snr_db - REQUIRED_SNR_DB[uplink.radio.sf])))


def observe(mac: MacState, state: RadioState, uplink: Uplink, fcnt: int, *, adr_bit: bool) -> None:
    """Learn from a new radio frame: by which way it came, its rate, its signal."""
    if uplink.radio is None:
        return
    state.link, state.address = uplink.link, uplink.address
    mac.adr = adr_bit
    mac.frames += 1
    dr = region.dr_of(uplink.radio.sf, uplink.radio.bw_hz)
    if dr is not None and dr != state.dr:
        if dr < state.dr:
            # The device fell back by itself: it raised its power before it lowered its rate (TS001 section 4.3.1.1).
            state.tx_power = 0
            mac.history.clear()
        state.dr = dr
    mac.history.append(adr.heard(fcnt, uplink.radio.snr_db, state.tx_power))


def apply(mac: MacState, state: RadioState, commands: bytes, received_at: float) -> None:
    """Take a device's answers to our requests. Raises wire Malformed; what was not asked changes nothing."""
    link_adr = []
    for cid, payload in maccommands.parse(commands, uplink=True):
        if cid == maccommands.LINK_ADR:
            link_adr.append(payload[0])
        elif cid == maccommands.DEV_STATUS:
            state.battery, state.margin_db = macnetwork.decode_dev_status_ans(payload)
            state.status_at = received_at
        elif cid == maccommands.RX_PARAM_SETUP and mac.rx2_wanted:
            mac.rx2_wanted = False
            if macnetwork.accepted(cid, payload):
                state.rx1_dr_offset, state.rx2_dr, state.rx2_hz = _RX1_OFFSET, region.RX2_DR, region.RX2_HZ
        elif cid == maccommands.RX_TIMING_SETUP and mac.timing_wanted_s is not None:
            state.rx1_delay_s, mac.timing_wanted_s = mac.timing_wanted_s, None
    if link_adr and mac.wanted is not None:
        _settle_adr(mac, state, mac.wanted, link_adr[-1])


def requests(mac: MacState, state: RadioState, options: Options, uplink: Uplink, room_bytes: int) -> bytes:
    """Return what to ask of a device with the answer to *uplink*, at most *room_bytes* of FOpts."""
    if uplink.radio is None:
        return b""
    found = b""
    for ask in (_ask_timing, _ask_rx2, _ask_adr, _ask_status):
        request = ask(mac, state, options, uplink, room_bytes - len(found))
        found += request
    return found


def _ask_timing(mac: MacState, state: RadioState, options: Options, _uplink: Uplink, room_bytes: int) -> bytes:
    if state.rx1_delay_s == options.rx1_delay_s:
        return b""
    request = macnetwork.rx_timing_setup_req(options.rx1_delay_s)
    if len(request) > room_bytes:
        return b""
    mac.timing_wanted_s = options.rx1_delay_s
    return request


def _ask_rx2(mac: MacState, state: RadioState, _options: Options, _uplink: Uplink, room_bytes: int) -> bytes:
    if (state.rx1_dr_offset, state.rx2_dr, state.rx2_hz) == (_RX1_OFFSET, region.RX2_DR, region.RX2_HZ):
        return b""
    request = macnetwork.rx_param_setup_req(_RX1_OFFSET, region.RX2_DR, region.RX2_HZ)
    if len(request) > room_bytes:
        return b""
    mac.rx2_wanted = True
    return request


def _ask_adr(mac: MacState, state: RadioState, options: Options, _uplink: Uplink, room_bytes: int) -> bytes:
    if not (mac.adr and options.adr) or state.dr > mac.max_dr:
        return b""
    now = adr.Setting(state.dr, state.tx_power, state.nb_trans)
    wanted = adr.decide(mac.history, now, options.adr_margin_db, mac.max_dr, mac.max_tx_power)
    if wanted == now:
        mac.wanted, mac.asked = None, 0
        return b""
    if mac.asked >= _MAX_ASKED and mac.frames % adr.HISTORY:
        return b""
    request = macnetwork.link_adr_req(wanted.dr, wanted.tx_power, state.channels, nb_trans=wanted.nb_trans)
    if len(request) > room_bytes:
        return b""
    mac.wanted, mac.wanted_mask = wanted, state.channels
    mac.asked += 1
    return request


def _ask_status(mac: MacState, state: RadioState, options: Options, uplink: Uplink, room_bytes: int) -> bytes:
    known = state.status_at is not None and 0 <= uplink.received_at - state.status_at < options.status_every_s
    tried = 0 <= uplink.heard_at_s - mac.status_asked_s < _STATUS_RETRY_S
    request = macnetwork.dev_status_req()
    if not options.status_every_s or known or tried or len(request) > room_bytes:
        return b""
    mac.status_asked_s = uplink.heard_at_s
    return request


def _settle_adr(mac: MacState, state: RadioState, wanted: Setting, status: int) -> None:
    """All three bits, or nothing changed at the device (TS001 section 5.3); what it refused is not asked again."""
    mac.wanted, mac.asked = None, 0
    if macnetwork.accepted(maccommands.LINK_ADR, bytes([status])):
        state.dr, state.tx_power, state.nb_trans = wanted.dr, wanted.tx_power, wanted.nb_trans
        return
    if not status & macnetwork.LINK_ADR_POWER_OK and wanted.tx_power:
        mac.max_tx_power = wanted.tx_power - 1
    if not status & macnetwork.LINK_ADR_DATA_RATE_OK and wanted.dr:
        mac.max_dr = max(wanted.dr - 1, state.dr)
    if not status & macnetwork.LINK_ADR_MASK_OK:
        state.channels = DEFAULT_MASK  # it did not take the CFList


def _gateways(uplink: Uplink) -> int:
    return min(255, 1 + len(uplink.others))
