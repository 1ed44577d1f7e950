# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""PUBLISH with QoS 1 past the tables that paho keeps of each message: what has arrived is noted in the outbox.

paho connects, subscribes, keeps alive and receives; what goes often is put on its socket as a packet made here, and its
PUBACK is taken from what came before paho looks at it. 41 us of a publication and its PUBACK become 5, without the
kernel. paho says what is right: the tests compare the bytes.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from paho.mqtt import client as paho
from paho.mqtt.enums import MQTTErrorCode

from gateway.platforms._gathered import Gathered
from gateway.platforms._properties import length

if TYPE_CHECKING:
    from collections.abc import Callable

_PUBLISH_QOS1, _RETAIN, _PUBACK = 0x32, 1, 0x40
_SHORT = range(2, 5)
"""Bytes of a PUBACK behind its length: identifier, reason, no properties (MQTT 5 section 3.4)."""
_IDENTIFIER = struct.Struct(">H")


class QuickClient(paho.Client):
    """A client that lets publications past itself."""

    quick: set[int]
    """Packet identifiers of what is on its way past it."""
    on_quick: Callable[[int, int], None]
    """Hears identifier and reason of what arrived of these."""

    def quickly(self, topic: bytes, payload: bytes, properties: bytes, *, retain: bool) -> int | None:
        """Put a packet on the socket until ``Gathered.flush``; return its identifier.

        None while paho has something to send itself, which goes first, or the socket holds enough.
        """
        opened: Any = self.socket()
        if opened is None or self.want_write():
            return None
        mid = self._mid_generate()
        opened.gather()
        try:
            opened.send(packet(topic, mid, properties, payload, retain=retain))
        except BlockingIOError:
            return None
        self.quick.add(mid)
        return mid

    def take_pubacks(self) -> bool:
        """Take those that came and are ours; False when there are none, and paho has to look."""
        opened: Any = self.socket()
        if opened is None or not self.quick or self._in_packet["command"]:  # it stands within a packet
            return False
        try:
            came = opened.peek()
        except OSError:  # paho meets it too, and says what it means
            return False
        found, size = pubacks(came, self.quick)
        opened.skip(size)
        for mid, reason in found:
            self.quick.discard(mid)
            self.on_quick(mid, reason)
        return size > 0

    def _mid_generate(self) -> int:
        while (mid := super()._mid_generate()) in self.quick or mid in self._out_messages:
            pass
        return int(mid)

    def _create_socket(self) -> Any:
        return Gathered(super()._create_socket())

    def _handle_pubackcomp(self, cmd: Any) -> MQTTErrorCode:
        """A PUBACK that came in parts, or with properties, paho has put together."""
        body = self._in_packet["packet"]
        if (
            cmd == "PUBACK"
            and len(body) >= _IDENTIFIER.size
            and (mid := _IDENTIFIER.unpack_from(body)[0]) in self.quick
        ):
            self.quick.discard(mid)
            self.on_quick(mid, body[2] if len(body) > _IDENTIFIER.size else 0)
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        handled: MQTTErrorCode = super()._handle_pubackcomp(cmd)
        return handled


def packet(topic: bytes, mid: int, properties: bytes, payload: bytes, *, retain: bool) -> bytes:
    """Return a PUBLISH with QoS 1 (MQTT 5 section 3.3); *properties* with their length, nothing for MQTT 3.1.1."""
    size = _IDENTIFIER.size + len(topic) + _IDENTIFIER.size + len(properties) + len(payload)
    return b"".join((_HEADS[retain], length(size), _text(topic), _IDENTIFIER.pack(mid), properties, payload))


_HEADS = (bytes((_PUBLISH_QOS1,)), bytes((_PUBLISH_QOS1 | _RETAIN,)))


@lru_cache(maxsize=256)
def _text(topic: bytes) -> bytes:
    return _IDENTIFIER.pack(len(topic)) + topic


def pubacks(data: bytes, ours: set[int]) -> tuple[list[tuple[int, int]], int]:
    """Return identifier and reason of the whole, plain PUBACKs that *data* begins with, and how many bytes they are.

    Of *ours* only, and each once: all else is paho's.
    """
    found: list[tuple[int, int]] = []
    seen: set[int] = set()
    at, end = 0, len(data)
    while at + 4 <= end and data[at] == _PUBACK:
        size = data[at + 1]
        mid = data[at + 2] << 8 | data[at + 3]
        if size not in _SHORT or at + 2 + size > end or mid not in ours or mid in seen:
            break
        if size == _SHORT[-1] and data[at + 5]:  # it has properties
            break
        seen.add(mid)
        found.append((mid, data[at + 4] if size > _IDENTIFIER.size else 0))
        at += 2 + size
    return found, at
