# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A turn of nothing but PUSH_DATA from forwarders where they always are: admitted and acknowledged together.

``LoraLink`` says what is right, one datagram after another. Here a forwarder is known by its socket address, which the
receiver makes once, and its rate is asked once for all of its datagrams: half of what a link does with each. A turn
with anything else in it is None here, and all of it is left to the ordinary way; nothing has changed then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.links import Uplink
from gateway.links.lora import quick_rxpk, semtech

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.links.lora.bulk import Datagram
    from gateway.links.lora.forwarders import Forwarder
    from gateway.links.lora.rate import RateLimit

Heard = tuple["Datagram", "Forwarder"]

_EUI = slice(4, 12)
_BODY_AT = 12
_START = bytes((semtech.VERSION,))
_PUSH_DATA, _PUSH_ACK = bytes((semtech.Identifier.PUSH_DATA,)), bytes((semtech.Identifier.PUSH_ACK,))


def admitted(
    came: list[Datagram], forwarders: Mapping[bytes, Forwarder], rate: RateLimit, now_s: float
) -> list[Heard] | None:
    """Return whose each datagram is, or None."""
    heard: list[Heard] = []
    counts: dict[bytes, int] = {}
    for datagram in came:
        data, truncated, sender, _ = datagram
        eui = data[_EUI]
        forwarder = forwarders.get(eui)
        if forwarder is None or forwarder.sender is not sender or truncated or len(data) <= _BODY_AT:
            return None
        if data[:1] != _START or data[3:4] != _PUSH_DATA:
            return None
        counts[eui] = counts.get(eui, 0) + 1
        heard.append((datagram, forwarder))
    if not all([rate.has(eui, count, now_s) for eui, count in counts.items()]):
        return None
    for eui, count in counts.items():
        rate.take(eui, count, now_s)
        forwarders[eui].heard_at_s = now_s
    return heard


def acknowledgements(heard: list[Heard]) -> list[tuple[int, bytes]]:
    """Return a PUSH_ACK for each (P section 3.3)."""
    return [(slot, _START + data[1:3] + _PUSH_ACK) for (data, _, _, slot), _ in heard]


def uplinks(link: str, datagram: Datagram, forwarder: Forwarder, now: tuple[float, float]) -> list[Uplink] | None:
    """Return what a PUSH_DATA of the usual form brought, or None: it is of another form. *now*: monotonic, wall."""
    packets = quick_rxpk.packets(datagram[0][_BODY_AT:], forwarder.eui)
    if packets is None:
        return None
    heard_at_s, received_at = now
    forwarder.uplinks += len(packets)
    name = forwarder.name
    if len(packets) == 1:  # nearly all; a list of one by itself takes half of the time
        packet = packets[0]
        return [Uplink(link, name, packet.phy, received_at, packet.reception, heard_at_s)]
    return [Uplink(link, name, packet.phy, received_at, packet.reception, heard_at_s) for packet in packets]
