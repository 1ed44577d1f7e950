# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How long from a datagram to the platform: a subscriber that knows when each reading was sent, by its own time."""

from __future__ import annotations

import threading
import time

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from consumer import cose, senml

FIRST_S = 1_790_000_000
"""The time of reading 0; that of reading n is n seconds later (rig.datagrams)."""


class Watcher:
    """Notes when messages come; works out the readings in them afterwards, so as not to disturb."""

    def __init__(self, port: int) -> None:
        self._sent: list[tuple[int, int, float]] = []
        self._came: list[tuple[float, bytes]] = []
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "watcher")
        self._client.on_connect = lambda client, *_: client.subscribe("lykta/v1/+/records", qos=0)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _c, _d, message: self._came.append((time.perf_counter(), message.payload))
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._ready.wait(10)

    def sent(self, first: int, last: int) -> None:
        """Readings *first* to *last* (by index) left just now."""
        self._sent.append((first, last, time.perf_counter()))

    def forget(self) -> None:
        """Begin anew."""
        self._sent.clear()
        self._came.clear()

    def percentiles_ms(self) -> tuple[float, float]:
        """Return p50 and p99 over all readings that came."""
        sent = {index: at for first, last, at in self._sent for index in range(first, last)}
        waits = sorted(
            came - sent[index]
            for came, message in list(self._came)
            for measured in senml.decode(cose.parse(message).payload)
            if (index := round(measured.time) - FIRST_S) in sent
        )
        if not waits:
            return 0.0, 0.0
        return round(1000 * waits[len(waits) // 2], 1), round(1000 * waits[int(len(waits) * 0.99)], 1)

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()
