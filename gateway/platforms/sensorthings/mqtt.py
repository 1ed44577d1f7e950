# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Observations by MQTT, one publication each (OGC 18-088 section 14): for services that take them so.

The broker acknowledges a publication, the service behind it says nothing: what it refuses is not heard of.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from gateway.errors import PlatformError
from gateway.platforms._paho import Connection, Target
from gateway.platforms._tls import TlsSettings, tls_context
from gateway.platforms.sensorthings.entities import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.platforms import Context

_KEEPALIVE_S = 30
_PATIENCE_S = 30.0


class MqttSettings(BaseModel):
    """``[platforms.mqtt]`` of a SensorThings service. The user and the password are those of the service."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    tls: TlsSettings | None = None

    def keeps_secrets(self) -> bool:
        """Tell whether a password may travel there."""
        try:
            here = ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            here = self.host == "localhost"
        return here or self.tls is not None


class Publisher:
    """One connection to the service's broker."""

    def __init__(
        self, name: str, settings: MqttSettings, context: Context, username: str | None, password: str | None
    ) -> None:
        tls: ssl.SSLContext | None = None if settings.tls is None else tls_context(name, settings.tls, context.base)
        client_id = f"lykta-{context.eui}-{name}"
        self._target = Target(settings.host, settings.port, client_id, _KEEPALIVE_S, username, password, tls)
        self._connection: Connection | None = None
        self._watch: asyncio.Task[None] | None = None
        self._waiting: set[int] = set()
        self._refused = ""
        self._all = asyncio.Event()

    async def open(self) -> None:
        """Connect. Raises PlatformError."""
        await self.close()
        connection = self._connection = Connection(self._target, "3.1.1", self._acknowledged)
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

    async def send(self, rows: Iterable[tuple[Any, list[Any]]]) -> None:
        """Publish observations, each with the id of its Datastream; return when the broker has all of them."""
        connection, watch = self._connection, self._watch
        if connection is None or watch is None:
            raise PlatformError("MQTT: not open")
        self._waiting, self._refused = set(), ""
        self._all.clear()
        work = asyncio.ensure_future(self._publish(connection, list(rows)))
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

    async def _publish(self, connection: Connection, rows: list[tuple[Any, list[Any]]]) -> None:
        for stream_id, row in rows:
            await connection.room()
            payload = json.dumps(dict(zip(COMPONENTS, row, strict=True)), separators=(",", ":"), ensure_ascii=False)
            quoted = f"'{stream_id}'" if isinstance(stream_id, str) else str(stream_id)
            topic = f"v1.1/Datastreams({quoted})/Observations"
            self._waiting.add(connection.publish(topic, payload.encode()))
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
