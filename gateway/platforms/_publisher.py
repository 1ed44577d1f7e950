# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Publications of an output of readings: a batch is over when the broker has acknowledged all of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import PlatformError
from gateway.platforms._paho import Connection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.platforms._paho import Target, Version

_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Message:
    """One publication."""

    topic: str
    payload: bytes
    content_type: str
    """MQTT 5 says it; 3.1.1 cannot."""
    retain: bool = False
    expiry_s: int = 0


class Publisher:
    """One connection to a broker."""

    def __init__(self, target: Target, version: Version = "3.1.1") -> None:
        self._target = target
        self._version: Version = version
        self._connection: Connection | None = None
        self._watch: asyncio.Task[None] | None = None
        self._waiting: set[int] = set()
        self._refused = ""
        self._all = asyncio.Event()

    async def open(self) -> None:
        """Connect. Raises PlatformError."""
        await self.close()
        connection = self._connection = Connection(self._target, self._version, self._acknowledged)
        await connection.open(self._target)
        self._watch = asyncio.create_task(connection.watch())

    async def close(self) -> None:
        """Let the connection go."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.wait([watch])
            if not watch.cancelled():
                watch.exception()  # it was told already
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def send(self, messages: Iterable[Message]) -> None:
        """Publish in order; return when the broker has all of them. Raises PlatformError."""
        connection, watch = self._connection, self._watch
        if connection is None or watch is None:
            raise PlatformError("MQTT: not open")
        self._waiting, self._refused = set(), ""
        self._all.clear()
        work = asyncio.ensure_future(self._publish(connection, messages))
        try:
            done, _ = await asyncio.wait([work, watch], timeout=_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            await asyncio.wait([work])
        if watch in done:
            watch.result()
        if work not in done:
            raise PlatformError(f"MQTT: {len(self._waiting)} publications without a PUBACK for {_PATIENCE_S:.0f} s")
        work.result()

    async def _publish(self, connection: Connection, messages: Iterable[Message]) -> None:
        for each in messages:
            await connection.room()
            mid = connection.publish(
                each.topic, each.payload, retain=each.retain, content_type=each.content_type, expiry_s=each.expiry_s
            )
            self._waiting.add(mid)
        while self._waiting and not self._refused:
            self._all.clear()
            await self._all.wait()
        if self._refused:
            raise PlatformError(f"MQTT: the broker refused a publication: {self._refused}")

    def _acknowledged(self, mid: int, failure: int, reason: str) -> None:
        self._waiting.discard(mid)
        if failure:
            self._refused = reason
        self._all.set()
