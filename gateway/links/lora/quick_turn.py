# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A turn of nothing but PUSH_DATA from forwarders where they always are: admitted, acknowledged and read together.

``LoraLink`` says what is right, one datagram after another. Here a forwarder is known by its socket address, which the
receiver makes once, its rate is asked once for all of its datagrams, and all acknowledgements are one text: of a
datagram's 4.3 us, from the socket to the inbox, who sent it takes 0.4 and its PUSH_ACK 0.6, with the kernel's part.
A turn with anything else in it is None here, and all of it is left to the ordinary way; nothing has changed then.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gateway.links import Uplink
from gateway.links.lora import quick_rxpk, semtech

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.links.lora.bulk import Datagram
    from gateway.links.lora.forwarders import Forwarder
    from gateway.links.lora.rate import RateLimit

Heard = tuple["Datagram", "Forwarder"]

_EUI, _TYPE_AT, _BODY_AT = slice(4, 12), 3, 12
_ACK_BYTES = 4
_PUSH_DATA, _PUSH_ACK = int(semtech.Identifier.PUSH_DATA), bytes((semtech.Identifier.PUSH_ACK,))
"""An int: to compare with an enum costs as much as the rest of this."""


def admitted(
    came: list[Datagram], forwarders: Mapping[bytes, Forwarder], rate: RateLimit, now_s: float
) -> list[Heard] | None:
    """Return whose each datagram is, or None."""
    euis = [datagram[0][_EUI] for datagram in came]
    heard: list[Heard] = []
    for datagram, forwarder in zip(came, map(forwarders.get, euis), strict=True):
        data, truncated, sender, _ = datagram
        if forwarder is None or forwarder.sender is not sender or truncated or len(data) <= _BODY_AT:
            return None
        if data[0] != semtech.VERSION or data[_TYPE_AT] != _PUSH_DATA:
            return None
        heard.append((datagram, forwarder))
    counts = Counter(euis)
    if not all([rate.has(eui, count, now_s) for eui, count in counts.items()]):
        return None
    for eui, count in counts.items():
        rate.take(eui, count, now_s)
        forwarders[eui].heard_at_s = now_s
    return heard


def acknowledgements(heard: list[Heard]) -> bytes:
    """Return a PUSH_ACK for each (P section 3.3), one behind the other: they begin as what they acknowledge does."""
    acks = bytearray(b"".join([datagram[0][:_ACK_BYTES] for datagram, _ in heard]))
    acks[_TYPE_AT::_ACK_BYTES] = _PUSH_ACK * len(heard)
    return bytes(acks)


def uplinks(
    link: str, heard: list[Heard], now: tuple[float, float], other: Callable[[Datagram, Forwarder], list[Uplink]]
) -> list[Uplink]:
    """Return what they brought. *now*: monotonic, wall; *other*: reads what is of no form that is known by sight."""
    heard_at_s, received_at = now
    found: list[Uplink] = []
    read = quick_rxpk.one
    for datagram, forwarder in heard:
        packet = read(datagram[0], _BODY_AT, forwarder.eui)
        if packet is None:
            found += other(datagram, forwarder)
            continue
        forwarder.uplinks += 1
        found.append(Uplink(link, forwarder.name, packet[0], received_at, packet[1], heard_at_s))
    return found
