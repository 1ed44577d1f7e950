# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The network's side of the MAC commands of one session (TS001-1.0.4 section 5).

A request changes nothing here: only the device's acceptance does, since until then it goes on as before.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from firmware.wire import maccommands, macnetwork, region
from firmware.wire.errors import Malformed
from firmware.wire.frame import MAX_FOPTS
from gateway.clock import plausible
from gateway.network import adr, channels
from gateway.network.channels import ChannelPlan
from gateway.network.options import DEFAULT_MASK, REQUIRED_SNR_DB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmware.wire.session import Received
    from gateway.links import Uplink
    from gateway.network.adr import Heard, Setting
    from gateway.network.channels import Request
    from gateway.network.options import Channel
    from gateway.network.profiles import Profile
    from gateway.network.radio_state import RadioState

_WIRED_MARGIN_DB = 254
_MAX_MARGIN_DB = 254
_MAX_ASKED = 3
"""How often in a row the same is asked without an answer; then only every ``adr.HISTORY`` frames."""
_STATUS_RETRY_S = 600.0
_STATUS_SPREAD_S = 6 * 3600.0
"""A device that gets no downlink by which it could be asked is called for its status within this time, each at its own
moment: a thousand that came together after a power cut are not called together."""
_RX1_OFFSET = 0


@dataclass(slots=True)
class MacState:
    """What is under way with one device; in memory only but for the channels, a restart asks again."""

    plan: ChannelPlan = field(default_factory=ChannelPlan)
    """The device's channels; the session store keeps them."""
    phase: float = 0.0
    """From 0 to 1, the device's own: what all get some time does not go to all at one time."""
    history: deque[Heard] = field(default_factory=lambda: deque(maxlen=adr.HISTORY))
    adr: bool = False
    """The ADR bit of the last uplink: the device lets the network choose (TS001 section 4.3.1.1)."""
    max_dr: int = region.MAX_DR
    max_tx_power: int = region.MAX_TX_POWER
    wanted: Setting | None = None
    """The LinkADRReq that waits for its answer."""
    asked: dict[str, int] = field(default_factory=dict)
    """How often in a row something was asked in vain."""
    frames: int = 0
    timing_wanted_s: int | None = None
    rx2_wanted: tuple[int, int, int] | None = None
    rx2_refused: tuple[int, int, int] | None = None
    channels_wanted: list[Request] = field(default_factory=list)
    agreed_with: Sequence[Channel] | None = None
    """The network's channels, when the device has them all, or refused them."""
    status_asked_s: float = float("-inf")
    first_heard_s: float | None = None
    refusals: list[str] = field(default_factory=list)
    """Names of requests that the device said no to, until somebody counts them."""


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


_dr_of = lru_cache(maxsize=64)(region.dr_of)


def observe(mac: MacState, state: RadioState, uplink: Uplink, fcnt: int, *, adr_bit: bool) -> bool:
    """Learn from a new radio frame: by which way it came, its rate, its signal; tell whether *state* changed."""
    radio = uplink.radio
    if radio is None:
        return False
    changed = False
    if state.link != uplink.link or state.address != uplink.address:
        changed = True
        state.link, state.address = uplink.link, uplink.address
    if mac.first_heard_s is None:
        mac.first_heard_s = uplink.heard_at_s
    mac.adr = adr_bit
    mac.frames += 1
    dr = _dr_of(radio.sf, radio.bw_hz)
    if dr != state.dr and dr is not None:
        changed = True
        if dr < state.dr:
            # The device fell back by itself: it raised its power before it lowered its rate (TS001 section 4.3.1.1).
            state.tx_power = 0
            mac.history.clear()
        state.dr = dr
    mac.history.append(adr.heard(fcnt, radio.snr_db, state.tx_power))
    return changed


def apply(mac: MacState, state: RadioState, commands: bytes, received_at: float) -> None:
    """Take a device's answers to our requests. Raises wire Malformed; what was not asked changes nothing."""
    link_adr = []
    channel_answers = []
    for cid, payload in maccommands.parse(commands, uplink=True):
        if cid == maccommands.LINK_ADR:
            link_adr.append(payload[0])
        elif cid in (maccommands.NEW_CHANNEL, maccommands.DL_CHANNEL):
            channel_answers.append((cid, payload))
        elif cid == maccommands.DEV_STATUS:
            state.battery, state.margin_db = macnetwork.decode_dev_status_ans(payload)
            state.status_at = received_at
        elif cid == maccommands.RX_PARAM_SETUP and mac.rx2_wanted is not None:
            _settle_rx2(mac, state, mac.rx2_wanted, payload)
        elif cid == maccommands.RX_TIMING_SETUP and mac.timing_wanted_s is not None:
            state.rx1_delay_s, mac.timing_wanted_s = mac.timing_wanted_s, None
            mac.asked.pop("timing", None)
    if link_adr and mac.wanted is not None:
        _settle_adr(mac, state, mac.wanted, link_adr[-1])
    if channel_answers:
        _settle_channels(mac, state, channel_answers)


def requests(
    mac: MacState,
    state: RadioState,
    profile: Profile,
    network: Sequence[Channel],
    uplink: Uplink,
    room_bytes: int,
    *,
    alone: bool = False,
) -> bytes:
    """Return what to ask of a device with the answer to *uplink*, at most *room_bytes* of FOpts.

    *alone*: without a request nothing would be sent; then only what is worth a frame of its own is asked.
    """
    if uplink.radio is None:
        return b""
    found = b""
    for ask in (_ask_timing, _ask_rx2, _ask_adr):
        found += ask(mac, state, profile, room_bytes - len(found))
    found += _ask_channels(mac, network, room_bytes - len(found))
    found += _ask_status(mac, state, profile, uplink, room_bytes - len(found), alone=alone and not found)
    return found


def is_content(mac: MacState, state: RadioState, profile: Profile, network: Sequence[Channel], uplink: Uplink) -> bool:
    """Tell, in a sixth of the time, that ``requests`` would ask nothing; False when it has to be asked."""
    if uplink.radio is None:
        return True
    known = not profile.status_every_s or (
        state.status_at is not None and 0 <= uplink.received_at - state.status_at < profile.status_every_s
    )
    return (
        known
        and mac.agreed_with is network
        and not (mac.adr and profile.adr)
        and state.rx1_delay_s == profile.rx1_delay_s
        and state.rx2_hz == profile.rx2_hz
        and state.rx2_dr == profile.rx2_dr
        and state.rx1_dr_offset == _RX1_OFFSET
    )


def _ask_timing(mac: MacState, state: RadioState, profile: Profile, room_bytes: int) -> bytes:
    if state.rx1_delay_s == profile.rx1_delay_s:
        return b""
    request = macnetwork.rx_timing_setup_req(profile.rx1_delay_s)
    if len(request) > room_bytes or not _patient(mac, "timing"):
        return b""
    mac.timing_wanted_s = profile.rx1_delay_s
    return request


def _ask_rx2(mac: MacState, state: RadioState, profile: Profile, room_bytes: int) -> bytes:
    wanted = (_RX1_OFFSET, profile.rx2_dr, profile.rx2_hz)
    if wanted in ((state.rx1_dr_offset, state.rx2_dr, state.rx2_hz), mac.rx2_refused):
        return b""
    request = macnetwork.rx_param_setup_req(*wanted)
    if len(request) > room_bytes or not _patient(mac, "rx2"):
        return b""
    mac.rx2_wanted = wanted
    return request


def _ask_adr(mac: MacState, state: RadioState, profile: Profile, room_bytes: int) -> bytes:
    max_dr = min(mac.max_dr, profile.max_dr)
    if not (mac.adr and profile.adr) or state.dr > max_dr:
        return b""
    now = adr.Setting(state.dr, state.tx_power, state.nb_trans)
    min_tx_power = min(profile.min_tx_power, mac.max_tx_power)
    wanted = adr.decide(mac.history, now, profile.adr_margin_db, max_dr, mac.max_tx_power, min_tx_power)
    if wanted == now:
        mac.wanted = None
        mac.asked.pop("adr", None)
        return b""
    request = macnetwork.link_adr_req(wanted.dr, wanted.tx_power, state.channels, nb_trans=wanted.nb_trans)
    if len(request) > room_bytes or not _patient(mac, "adr"):
        return b""
    mac.wanted = wanted
    return request


def _ask_channels(mac: MacState, network: Sequence[Channel], room_bytes: int) -> bytes:
    """As many as fit: the answers come in the order of the requests, so what was asked before is asked no more."""
    if mac.agreed_with is network:  # looking again at each of eight channels costs a tenth of a frame
        return b""
    wanted = list(channels.requests(mac.plan, network))
    if not wanted:
        mac.channels_wanted = []
        mac.agreed_with = network
        return b""
    if len(wanted[0].command) > room_bytes or not _patient(mac, "channels"):
        return b""
    found = b""
    mac.channels_wanted = []
    for request in wanted:
        if len(found) + len(request.command) > room_bytes:
            break
        found += request.command
        mac.channels_wanted.append(request)
    return found


def _ask_status(
    mac: MacState, state: RadioState, profile: Profile, uplink: Uplink, room_bytes: int, *, alone: bool
) -> bytes:
    every_s = profile.status_every_s
    age_s = None if state.status_at is None else uplink.received_at - state.status_at
    known = age_s is not None and 0 <= age_s < every_s
    tried = 0 <= uplink.heard_at_s - mac.status_asked_s < _STATUS_RETRY_S
    request = macnetwork.dev_status_req()
    if not every_s or known or tried or len(request) > room_bytes:
        return b""
    since_s = uplink.heard_at_s - (mac.first_heard_s or 0.0) if age_s is None or age_s < 0 else age_s - every_s
    if alone and since_s < mac.phase * min(every_s, _STATUS_SPREAD_S):
        return b""
    mac.status_asked_s = uplink.heard_at_s
    return request


def _patient(mac: MacState, what: str) -> bool:
    """Count one more try; False when it was tried in vain too often to try with every frame."""
    tries = mac.asked.get(what, 0)
    if tries >= _MAX_ASKED and mac.frames % adr.HISTORY:
        return False
    mac.asked[what] = tries + 1
    return True


def _settle_rx2(mac: MacState, state: RadioState, wanted: tuple[int, int, int], payload: bytes) -> None:
    mac.rx2_wanted = None
    mac.asked.pop("rx2", None)
    if macnetwork.accepted(maccommands.RX_PARAM_SETUP, payload):
        state.rx1_dr_offset, state.rx2_dr, state.rx2_hz = wanted
    else:
        mac.rx2_refused = wanted
        mac.refusals.append("rx_param_setup")


def _settle_channels(mac: MacState, state: RadioState, answers: list[tuple[int, bytes]]) -> None:
    """Take the answers that match what was asked, in order; sticky ones (DlChannelAns) come again and match nothing."""
    pending, mac.channels_wanted = mac.channels_wanted, []
    mac.agreed_with = None
    for cid, payload in answers:
        if not pending or pending[0].cid != cid:
            continue
        request = pending.pop(0)
        accepted = macnetwork.accepted(cid, payload)
        channels.settle(mac.plan, request, accepted=accepted)
        mac.asked.pop("channels", None)
        if not accepted:
            mac.refusals.append("new_channel" if cid == maccommands.NEW_CHANNEL else "dl_channel")
        elif cid == maccommands.NEW_CHANNEL:
            # A channel that is made is on, one that is removed is off (TS001 section 5.7).
            bit = 1 << request.index
            state.channels = state.channels | bit if request.then else state.channels & ~bit


def _settle_adr(mac: MacState, state: RadioState, wanted: Setting, status: int) -> None:
    """All three bits, or nothing changed at the device (TS001 section 5.3); what it refused is not asked again."""
    mac.wanted = None
    mac.asked.pop("adr", None)
    if macnetwork.accepted(maccommands.LINK_ADR, bytes([status])):
        state.dr, state.tx_power, state.nb_trans = wanted.dr, wanted.tx_power, wanted.nb_trans
        return
    mac.refusals.append("link_adr")
    if not status & macnetwork.LINK_ADR_POWER_OK and wanted.tx_power:
        mac.max_tx_power = wanted.tx_power - 1
    if not status & macnetwork.LINK_ADR_DATA_RATE_OK and wanted.dr:
        mac.max_dr = max(wanted.dr - 1, state.dr)
    if not status & macnetwork.LINK_ADR_MASK_OK:
        state.channels = DEFAULT_MASK  # it did not take the CFList
        mac.plan.channels.clear()
        mac.agreed_with = None


def _gateways(uplink: Uplink) -> int:
    return min(255, 1 + len(uplink.others))


def commands_of(received: Received) -> bytes:
    """Return a frame's MAC commands up to the first that is cut short: the frame is authentic, its readings count."""
    commands = carried(received)
    while commands:
        try:
            maccommands.parse(commands, uplink=True)
        except Malformed:
            commands = commands[:-1]
        else:
            break
    return commands


def carried(received: Received) -> bytes:
    """Return the bytes of a frame in which MAC commands stand."""
    return received.payload if received.fport == 0 else received.fopts
