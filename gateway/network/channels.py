# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which channels a device has, and what to ask so that it has those of the network (TS001 sections 5.7, 5.10). Pure.

Five fit into the Join-Accept (CFList, RP002 section 2.4.2); more, other data rates and other downlink frequencies take
NewChannelReq and DlChannelReq. An answer names no channel: answers come in the order of the requests.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from firmware.wire import macnetwork, region
from firmware.wire.maccommands import DL_CHANNEL, NEW_CHANNEL
from gateway.network.options import Channel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DEFAULTS = len(region.DEFAULT_CHANNELS_HZ)
MAX_ADDED = region.MAX_CHANNELS - DEFAULTS
_CF_LIST = 5


@dataclass(slots=True)
class ChannelPlan:
    """What is known of one device's channels, by index; the default ones are there without being named."""

    channels: dict[int, Channel] = field(default_factory=dict)
    refused: dict[int, Channel] = field(default_factory=dict)
    """What it did not take; that is not asked again in this session."""

    def channel(self, index: int) -> Channel | None:
        """Return the channel of an index as the device has it."""
        if index < DEFAULTS:
            return self.channels.get(index, Channel(region.DEFAULT_CHANNELS_HZ[index]))
        return self.channels.get(index)

    def rx1_hz(self, uplink_hz: int) -> int:
        """Return where RX1 of a frame on *uplink_hz* is."""
        return next((each.downlink_hz for each in self.channels.values() if each.freq_hz == uplink_hz), uplink_hz)

    def copy(self) -> ChannelPlan:
        """Return one that can change without this one."""
        return ChannelPlan(dict(self.channels), dict(self.refused))

    def to_json(self) -> str:
        """Return what ``from_json`` takes."""
        return json.dumps(
            [{str(index): asdict(each) for index, each in table.items()} for table in (self.channels, self.refused)]
        )

    @classmethod
    def from_json(cls, text: str) -> ChannelPlan:
        """Return a stored plan."""
        tables = [{int(index): Channel(**each) for index, each in table.items()} for table in json.loads(text)]
        return cls(*tables)


@dataclass(frozen=True, slots=True)
class Request:
    """One request that waits for its answer: when the device agrees, channel *index* is *then*."""

    cid: int
    index: int
    then: Channel | None
    about: Channel
    """What it is about: the channel wanted, or the one to be removed."""
    command: bytes


def wanted(channels: Sequence[Channel]) -> dict[int, Channel]:
    """Return the network's channels by index: a default frequency keeps its own index, the others follow."""
    by_index: dict[int, Channel] = {}
    following = DEFAULTS
    for each in channels:
        if each.freq_hz in region.DEFAULT_CHANNELS_HZ:
            by_index[region.DEFAULT_CHANNELS_HZ.index(each.freq_hz)] = each
        else:
            by_index[following] = each
            following += 1
    return by_index


def at_join(channels: Sequence[Channel]) -> tuple[ChannelPlan, bytes]:
    """Return what a device has after it took the CFList, and the CFList."""
    first = {index: each for index, each in wanted(channels).items() if DEFAULTS <= index < DEFAULTS + _CF_LIST}
    listed = {index: Channel(each.freq_hz) for index, each in first.items() if _as_listed(each)}
    frequencies = [listed[index].freq_hz if index in listed else 0 for index in first]
    return ChannelPlan(listed), macnetwork.encode_cf_list(frequencies) if listed else b""


def mask(plan: ChannelPlan) -> int:
    """Return the ChMask of every channel that a device has."""
    found = (1 << DEFAULTS) - 1
    for index in plan.channels:
        found |= 1 << index
    return found


def requests(plan: ChannelPlan, channels: Sequence[Channel]) -> Iterable[Request]:
    """Return what to ask so that the device has the network's channels, the lowest index first."""
    network = wanted(channels)
    for index in range(region.MAX_CHANNELS):
        want, has = network.get(index), plan.channel(index)
        if want is None and index >= DEFAULTS and has is not None and plan.refused.get(index) != has:
            yield Request(NEW_CHANNEL, index, None, has, macnetwork.new_channel_req(index, 0))
        elif want is not None and plan.refused.get(index) != want:
            yield from _request(index, want, has)


def settle(plan: ChannelPlan, request: Request, *, accepted: bool) -> None:
    """Take a device's answer to one request."""
    if not accepted:
        plan.refused[request.index] = request.about
        return
    if request.then is None:
        plan.channels.pop(request.index, None)
    else:
        plan.channels[request.index] = request.then


def _request(index: int, want: Channel, has: Channel | None) -> Iterable[Request]:
    if has is None or (has.freq_hz, has.min_dr, has.max_dr) != (want.freq_hz, want.min_dr, want.max_dr):
        if index >= DEFAULTS:
            command = macnetwork.new_channel_req(index, want.freq_hz, want.min_dr, want.max_dr)
            then = Channel(want.freq_hz, want.min_dr, want.max_dr)  # a new one has its RX1 where it is
            yield Request(NEW_CHANNEL, index, then, want, command)
        return
    if has.downlink_hz != want.downlink_hz:
        yield Request(DL_CHANNEL, index, want, want, macnetwork.dl_channel_req(index, want.downlink_hz))


def _as_listed(channel: Channel) -> bool:
    """Tell whether a CFList says all of a channel but its RX1."""
    return (channel.min_dr, channel.max_dr) == (region.MIN_DR, region.MAX_DEFAULT_DR)
