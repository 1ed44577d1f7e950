# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Many PUSH_DATA in one datagram, between the front of several workers and a worker; forwarders know nothing of it.

A bundle is version, token and an identifier that no forwarder sends; then how many there are (16 bits), how long each
is (16 bits each), and the datagrams as they came. Its acknowledgement is a PUSH_ACK with its token, sent when each of
them would have been acknowledged. What a system call costs is paid once for all, at both ends: the front spends 12 to
14 us of a core on a reading instead of 20 to 22 (benchmarks/bench_workers.py says it for a machine).
"""

from __future__ import annotations

import struct
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from gateway.links.lora import bulk, semtech
from gateway.links.lora.bulk import Datagram
from gateway.links.lora.segments import split

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from gateway.links.lora.bulk import Datagrams

IDENTIFIER = b"\x42"
MAX_BYTES = 65_507
"""What a UDP datagram can carry over IPv4."""
MAX_PARTS = 256
_PER_TURN = 8
_START, _PUSH_ACK = bytes((semtech.VERSION,)), bytes((semtech.Identifier.PUSH_ACK,))
_COUNT_AT, _LENGTHS_AT = 4, 6


def fits(parts: int, size_bytes: int) -> bool:
    """Tell whether so many datagrams of so many bytes together make one bundle."""
    return parts <= MAX_PARTS and _LENGTHS_AT + 2 * parts + size_bytes <= MAX_BYTES


def pack(token: int, parts: Sequence[bytes]) -> bytes:
    """Return the bundle of some datagrams that fit."""
    count = len(parts)
    lengths = struct.pack(f">H{count}H", count, *map(len, parts))
    return b"".join((_START, token.to_bytes(2, "big"), IDENTIFIER, lengths, *parts))


def unpack(datagram: bytes) -> list[bytes] | None:
    """Return what is in a bundle; None when it is none, or damaged."""
    if datagram[:1] != _START or datagram[3:_COUNT_AT] != IDENTIFIER or len(datagram) < _LENGTHS_AT:
        return None
    count = int.from_bytes(datagram[_COUNT_AT:_LENGTHS_AT], "big")
    first = _LENGTHS_AT + 2 * count
    if not 1 <= count <= MAX_PARTS or len(datagram) < first:
        return None
    ends = list(accumulate(struct.unpack_from(f">{count}H", datagram, _LENGTHS_AT), initial=first))
    if ends[-1] != len(datagram):
        return None
    return [datagram[start:end] for start, end in pairwise(ends)]


class Unbundled:
    """A socket behind the front: what is in a bundle came as if each had come alone. What is damaged comes as it is."""

    def __init__(self, inner: Datagrams) -> None:
        self._inner = inner
        self._slots: list[int] = []
        """By our slot: that of the datagram it came in."""
        self._bundles: dict[int, tuple[int, bytes]] = {}
        """By slot of a bundle: how many are in it, and its acknowledgement."""

    @property
    def dropped(self) -> int:
        """How many the kernel dropped: datagrams, so bundles."""
        return self._inner.dropped

    def receive(self) -> list[Datagram]:
        """See Datagrams."""
        found: list[Datagram] = []
        slots: list[int] = []
        new = tuple.__new__  # as Datagram(...), in a third of the time
        self._slots, self._bundles = slots, {}
        for datagram in self._inner.receive():
            data, truncated, sender, slot = datagram
            parts = None if truncated else unpack(data)
            if parts is None:
                found.append(Datagram(data, truncated, sender, len(found)))
                slots.append(slot)
                continue
            found += [new(Datagram, (part, False, sender, at)) for at, part in enumerate(parts, len(found))]
            slots += [slot] * len(parts)
            self._bundles[slot] = len(parts), _START + data[1:3] + _PUSH_ACK
        return found

    def answer(self, answers: list[tuple[int, bytes]]) -> int:
        """See Datagrams. A bundle is acknowledged once, and only where all of it is."""
        slots, bundles = self._slots, self._bundles
        left = {slot: count for slot, (count, _) in bundles.items()}
        own: list[tuple[int, bytes]] = []
        for at, data in answers:
            slot = slots[at]
            if slot not in left:
                own.append((slot, data))
                continue
            left[slot] -= 1
            if not left[slot]:
                own.append((slot, bundles[slot][1]))
        return self._inner.answer(own) if own else 0

    def answer_all(self, answers: bytes) -> int:
        """See Datagrams."""
        if len(self._slots) == sum([parts for parts, _ in self._bundles.values()]):  # nothing came without a bundle
            return self._inner.answer([(slot, ack) for slot, (_, ack) in self._bundles.items()])
        return self.answer(list(enumerate(split(answers))))


def datagrams(opened: socket.socket, *, most: int, bundled: bool) -> Datagrams:
    """Return how a link receives: *most* at a time from forwarders; *bundled*: from the front."""
    if bundled:
        return Unbundled(bulk.datagrams(opened, _PER_TURN, MAX_BYTES))
    return bulk.datagrams(opened, most, semtech.MAX_DATAGRAM_BYTES)
