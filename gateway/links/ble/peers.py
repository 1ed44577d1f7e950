# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Boards that were seen and recognised, and whose turn it is. Pure, bounded."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.wire import gatt

if TYPE_CHECKING:
    from collections.abc import Collection

    from gateway.links.ble.adapter import Sighting

MAX_PEERS = 512
_FRESH_S = 30.0
"""Who has not advertised for so long is out of reach, or asleep."""
_FIRST_REST_S = 1.0
_LAST_REST_S = 120.0


@dataclass
class Peer:
    """One address under which a registered device advertised."""

    sighting: Sighting
    who: str
    """What the daemon called it: the same for every hint and address of one device."""
    seen_s: float
    asked_s: float
    """When the daemon said so."""
    failures: int = 0
    rest_until_s: float = float("-inf")
    waits_since_s: float = 0.0
    """When it was first seen, or had its last turn. A new address is at the end of the queue, not at its head."""
    answered: bool = False
    """Whether the gateway ever had something to answer at this address: only then it was somebody."""

    @property
    def waiting(self) -> bool:
        """Whether it advertises that it has something to say."""
        return bool(gatt.flags_of(self.sighting.hint) & (gatt.WAITING | gatt.ALARM))

    @property
    def alarm(self) -> bool:
        """Whether that is an alarm."""
        return bool(gatt.flags_of(self.sighting.hint) & gatt.ALARM)

    def able(self, now_s: float) -> bool:
        """Whether it has something to say, is in reach and not at rest.

        Others are left alone: a board ends a connection on which it is told nothing, and shuns who does that to it.
        """
        return self.waiting and now_s - self.seen_s <= _FRESH_S and now_s >= self.rest_until_s


class Peers:
    """By address; who was not seen for longest makes room."""

    def __init__(self, most: int = MAX_PEERS) -> None:
        self._most = most
        self._peers: OrderedDict[str, Peer] = OrderedDict()

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._peers)

    def get(self, address: str) -> Peer | None:
        """Return what is known of an address."""
        return self._peers.get(address)

    def add(self, sighting: Sighting, who: str, now_s: float) -> None:
        """Note that a recognised device advertised."""
        peer = self._peers.get(sighting.address)
        if peer is None or peer.who != who:
            peer = self._peers[sighting.address] = Peer(sighting, who, now_s, now_s, waits_since_s=now_s)
        peer.asked_s = now_s
        self.seen(peer, sighting, now_s)
        if len(self._peers) > self._most:
            self._peers.popitem(last=False)

    def seen(self, peer: Peer, sighting: Sighting, now_s: float) -> None:
        """Note that it advertised again."""
        peer.sighting, peer.seen_s = sighting, now_s
        self._peers.move_to_end(sighting.address)

    def failed(self, peer: Peer, now_s: float) -> None:
        """It could not be connected to, or held a connection for nothing: each time it rests twice as long."""
        peer.failures += 1
        peer.waits_since_s = now_s
        peer.rest_until_s = now_s + min(_FIRST_REST_S * 2 ** (peer.failures - 1), _LAST_REST_S)

    def served(self, peer: Peer, now_s: float) -> None:
        """It had its turn and was answered."""
        peer.failures, peer.rest_until_s, peer.waits_since_s, peer.answered = 0, float("-inf"), now_s, True

    def next(self, now_s: float, busy: Collection[str]) -> Peer | None:
        """Return who comes next of those that are able and not *busy* (names of devices, and addresses).

        Alarms first, then who waits longest.
        """
        free = (peer for at, peer in self._peers.items() if peer.who not in busy and at not in busy)
        return min((peer for peer in free if peer.able(now_s)), key=_rank, default=None)

    def waiting(self, now_s: float) -> list[Peer]:
        """Return all that are able, busy or not."""
        return [peer for peer in self._peers.values() if peer.able(now_s)]


def _rank(peer: Peer) -> tuple[bool, float]:
    return not peer.alarm, peer.waits_since_s
