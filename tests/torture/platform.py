# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A platform that keeps every message before it acknowledges it, behind a broker and a network that fail on demand.

A real broker answers PUBACK for what a SIGKILL of it then loses; the oracle asks about the gateway, so its broker does
not. Speaks as much MQTT 3.1.1 as a publisher needs.
"""

import asyncio
import contextlib
import random
import threading
from collections.abc import Coroutine
from typing import Any

_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _PINGREQ, _DISCONNECT = 0x10, 0x20, 0x30, 0x40, 0xC0, 0xE0


class Platform:
    """One broker in a thread of its own; what arrived is in ``messages``, also while it is down."""

    def __init__(self, port: int, rng: random.Random) -> None:
        self.port = port
        self.messages: list[bytes] = []
        self.lose_acks = 0.0
        """The share of messages after which the connection breaks before the PUBACK."""
        self._rng = rng
        self._open = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda *_: None)  # connections that break are the point
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.heal()
        self.start()

    def start(self) -> None:
        self._run(self._start())

    def kill(self) -> None:
        """The broker dies: connections are reset, nobody listens."""
        self._run(self._kill())

    def partition(self) -> None:
        """The network takes bytes and delivers none."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def heal(self) -> None:
        self._loop.call_soon_threadsafe(self._open.set)

    def close(self) -> None:
        self.heal()
        self.kill()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _start(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _kill(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._packet(reader, writer):
                    pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _packet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        kind = (await reader.readexactly(1))[0]
        size, shift = 0, 0
        while (digit := (await reader.readexactly(1))[0]) & 0x80:
            size |= (digit & 0x7F) << shift
            shift += 7
        body = await reader.readexactly(size | digit << shift)
        await self._open.wait()
        if kind == _CONNECT:
            writer.write(bytes((_CONNACK, 2, 0, 0)))
        elif kind & 0xF0 == _PUBLISH:
            topic_end = 2 + int.from_bytes(body[:2], "big")
            if body[2:topic_end].endswith(b"/records"):
                self.messages.append(body[topic_end + 2 :])
                if self._rng.random() < self.lose_acks:
                    return False
            writer.write(bytes((_PUBACK, 2)) + body[topic_end : topic_end + 2])
        elif kind == _PINGREQ:
            writer.write(bytes((0xD0, 0)))
        return kind != _DISCONNECT
