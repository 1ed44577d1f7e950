# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a broker gets beside the signed envelopes: how the gateway is, what an envelope holds, readings by device.

None of it is signed. It is for finding one's way; what counts is in the envelopes.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import cbor2

from gateway.operate.logs import EventLog, Seldom
from gateway.platforms import _quick_place
from gateway.releases.opening import Unopened, open_envelope

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.outbox.store import Row
    from gateway.platforms import Context
    from gateway.platforms._paho import Connection
    from gateway.releases.opening import Item

JSON = "application/json"
NOBODY = "-"
"""Stands in a topic for the owner of a device that has none."""
_STREAM = -65537
_MAX_NEWEST = 20_000


def status(eui: str, state: str) -> bytes:
    """Return the retained status: ``online``, ``stopped``, or ``lost``, which the broker says for us (MQTT 3.1.2.5)."""
    said: dict[str, Any] = {"gateway": eui, "state": state}
    if state != "lost":
        said["at"] = int(time.time())
    return json.dumps(said).encode()


def place(message: bytes) -> list[tuple[str, str]]:
    """Return where an envelope stands in its stream, as user properties: seen without opening it."""
    try:
        protected = cbor2.loads(cbor2.loads(message).value[0])
        stream, first, last, _previous = protected[_STREAM]
        return [("gateway", str(protected[15][1])), ("stream", stream.hex()), ("records", f"{first}-{last}")]
    except (cbor2.CBORDecodeError, AttributeError, KeyError, TypeError, ValueError, IndexError):
        return []


class Places:
    """As ``place``, of envelopes of which nearly all are of one stream."""

    def __init__(self) -> None:
        self._look: _quick_place.Look | None = None

    def of(self, message: bytes) -> list[tuple[str, str]]:
        """See ``place``."""
        found = None if self._look is None else self._look.place(message)
        if found is not None:
            gateway, stream, first, last = found
            return [("gateway", gateway), ("stream", stream), ("records", f"{first}-{last}")]
        said = place(message)
        self._look = _look(message, said) if said else self._look
        return said


def _look(message: bytes, said: list[tuple[str, str]]) -> _quick_place.Look | None:
    """Return what tells more of the stream of an envelope that was read; None for one of an unusual form."""
    try:
        protected = cbor2.loads(cbor2.loads(message).value[0])
        stream, first, last, _previous = protected[_STREAM]
        look = _quick_place.look_of(message, protected[15][6], stream, said[0][1])
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        return None
    return look if look is not None and look.place(message) == (said[0][1], said[1][1], first, last) else None


class Newest:
    """Which reading of a device a broker may retain: the newest. Remembers the devices that spoke last."""

    def __init__(self) -> None:
        self._seq: dict[str, int] = {}

    def is_newest(self, device: str, seq: int) -> bool:
        """Whether this reading is not older than what is retained; it is the newest from then on."""
        if seq < self._seq.get(device, 0):
            return False  # from the catch-up lane
        self._seq.pop(device, None)
        self._seq[device] = seq
        if len(self._seq) > _MAX_NEWEST:
            del self._seq[next(iter(self._seq))]
        return True


class DeviceTopics:
    """Each reading as JSON under ``devices/<owner>/<kind>/<DevEUI>``, the newest of each device retained.

    They go before their envelope on the same connection: when its PUBACK is here, the broker has them too.
    """

    def __init__(self, platform: str, topic: str, context: Context) -> None:
        self._platform = platform
        self._topic = topic
        self._context = context
        self._newest = Newest()
        self._log = EventLog("platforms.mqtt")
        self._seldom = Seldom()

    async def publish(self, row: Row, connection: Connection, sent: Callable[[int], None], expiry_s: int) -> None:
        """Publish the readings of an envelope; *sent* hears each packet identifier. Raises PlatformError."""
        try:
            items = open_envelope(row.message)
        except Unopened as error:
            if self._seldom.allow("unopened") is not None:
                self._log.warning("not_by_device", platform=self._platform, why=error)
            return
        directory = self._context.directory
        known = {} if directory is None else await directory.facts(item.dev_eui for item in items)
        for item in items:
            facts = known.get(item.dev_eui)
            owner, kind = (NOBODY, NOBODY) if facts is None else (facts.owner or NOBODY, facts.kind)
            await connection.room()
            mid = connection.publish(
                f"{self._topic}/devices/{owner}/{kind}/{item.dev_eui}",
                _reading(item),
                retain=self._newest.is_newest(item.dev_eui, item.seq),
                content_type=JSON,
                expiry_s=expiry_s,
                often=True,
            )
            sent(mid)


def _reading(item: Item) -> bytes:
    said = {
        "dev_eui": item.dev_eui,
        "seq": item.seq,
        "time": item.time_s,
        "time_source": item.time_source,
        "values": dict(item.values),
        "units": dict(item.units),
        "stream": item.stream,
        "record": item.record,
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
