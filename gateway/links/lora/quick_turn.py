# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A turn of datagrams taken together: admitted, acknowledged and read in one pass each.

``LoraLink`` says what is right, one datagram after another. Here a forwarder is known by its socket address, which the
receiver makes once, its rate is asked once for all of its datagrams, and all acknowledgements are one text: of a
datagram's 4.3 us, from the socket to the inbox, who sent it takes 0.4 and its PUSH_ACK 0.6, with the kernel's part.
What is no PUSH_DATA, or not from where the forwarder sent last, is admitted and handled as ever, in its place among the
others: a datagram beside a keep-alive costs 5.4 us, and not the 9.3 that each costs by itself. Where a rate is short,
whom it hits depends on the order: the turn is None here, and left to the ordinary way; nothing has changed then.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gateway.links import Uplink
from gateway.links.lora import quick_rxpk, semtech
from gateway.links.lora.segments import ACK_BYTES, split

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.links.lora.bulk import Datagram, Datagrams
    from gateway.links.lora.forwarders import Forwarder
    from gateway.links.lora.rate import RateLimit

Heard = tuple["Datagram", "Forwarder"]

_EUI, _TYPE_AT, _BODY_AT = slice(4, 12), 3, 12
_PUSH_DATA, _PUSH_ACK = int(semtech.Identifier.PUSH_DATA), bytes((semtech.Identifier.PUSH_ACK,))
"""An int: to compare with an enum costs as much as the rest of this."""


def admitted(
    came: list[Datagram],
    forwarders: Mapping[bytes, Forwarder],
    rate: RateLimit,
    now_s: float,
    admit: Callable[[Datagram, float], tuple[semtech.Header, Forwarder] | None],
) -> list[Heard] | None:
    """Return what is to be handled, and whose it is, or None. *admit*: judges one that is not usual."""
    euis = [datagram[0][_EUI] for datagram in came]
    counts = Counter(euis)
    if not all([rate.has(eui, count, now_s) for eui, count in counts.items()]):
        return None
    heard: list[Heard] = []
    for datagram, eui, forwarder in zip(came, euis, map(forwarders.get, euis), strict=True):
        data, truncated, sender, _ = datagram
        if (
            forwarder is not None
            and forwarder.sender is sender
            and not truncated
            and len(data) > _BODY_AT
            and data[0] == semtech.VERSION
            and data[_TYPE_AT] == _PUSH_DATA
        ):
            forwarder.heard_at_s = now_s
            heard.append((datagram, forwarder))
            continue
        counts[eui] -= 1
        taken = admit(datagram, now_s)
        if taken is not None:
            heard.append((datagram, taken[1]))
    for eui, count in counts.items():
        if count:
            rate.take(eui, count, now_s)
    return heard


def is_push_data(datagram: Datagram) -> bool:
    """Tell it of one that was admitted."""
    return datagram[0][_TYPE_AT] == _PUSH_DATA


def acknowledge(datagrams: Datagrams, heard: list[Heard], came: int) -> int:
    """Send a PUSH_ACK for each PUSH_DATA (P section 3.3); return how many the socket did not take. *came*: in all."""
    starts = bytearray(b"".join([datagram[0][:ACK_BYTES] for datagram, _ in heard]))
    types = starts[_TYPE_AT::ACK_BYTES]
    starts[_TYPE_AT::ACK_BYTES] = _PUSH_ACK * len(heard)  # an acknowledgement begins as what it acknowledges does
    if types.count(_PUSH_DATA) == came:
        return datagrams.answer_all(bytes(starts)) if came else 0
    acks = zip(heard, types, split(bytes(starts)), strict=True)
    pushed = [(datagram.slot, ack) for (datagram, _), kind, ack in acks if kind == _PUSH_DATA]
    return datagrams.answer(pushed) if pushed else 0


def uplinks(
    link: str, heard: list[Heard], now: tuple[float, float], other: Callable[[Datagram, Forwarder], list[Uplink]]
) -> list[Uplink]:
    """Return what they brought. *now*: monotonic, wall; *other*: handles what is of no form that is known by sight."""
    heard_at_s, received_at = now
    found: list[Uplink] = []
    read = quick_rxpk.one
    for datagram, forwarder in heard:
        data = datagram[0]
        packet = read(data, _BODY_AT, forwarder.eui) if data[_TYPE_AT] == _PUSH_DATA else None
        if packet is None:
            found += other(datagram, forwarder)
            continue
        forwarder.uplinks += 1
        found.append(Uplink(link, forwarder.name, packet[0], received_at, packet[1], heard_at_s))
    return found
