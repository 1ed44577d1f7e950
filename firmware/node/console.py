# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A technician's console over Bluetooth (``wire.console``). Loaded when somebody says hello, kept until the end."""

import asyncio
import os

from firmware.node.ecb import ecb
from firmware.node.log import listen
from firmware.node.store import decode
from firmware.wire import cbor, console
from firmware.wire.errors import WireError
from firmware.wire.readings import FPORT_COMMANDS, FPORT_SETTINGS, FPORT_UPDATE

_LINES = 16  # that wait; what is more is left out
_LINE_BYTES = 200


class Console:
    """*service* obeys; *link* has ``answer`` and ``connections``."""

    def __init__(self, service, link) -> None:
        self._service = service
        self._link = link
        self._key = link.console_key
        self._channel = None  # type: console.Channel | None
        self._connection = 0
        self._lines = []  # type: list[str]
        self._said = asyncio.Event()
        self._talking = None  # type: asyncio.Task | None
        self._obeyed = b""  # the last command, and what was said to it: whoever did not hear the answer asks again
        self._answers = []  # type: list[bytes]

    async def take(self, phy: bytes) -> bool:
        """Take a proprietary frame; return whether it is authentic, and then answer it."""
        if self._link.connections != self._connection:
            self._forget()
        try:
            if console.kind(phy) == console.HELLO:
                await self._meet(phy)
                return True
            if self._channel is None:
                return False
            port, payload = self._channel.open(phy)
        except WireError:
            return False
        await self._obey(port, payload)
        return True

    async def _meet(self, phy: bytes) -> None:
        encrypt = ecb(self._key)
        theirs, ours = console.open_hello(encrypt, phy), os.urandom(console.NONCE_BYTES)
        self._forget()
        self._connection = self._link.connections
        self._channel = console.Channel(ecb, self._key, theirs, ours, console.UP, console.DOWN)
        await self._link.answer(console.challenge(encrypt, theirs, ours))

    async def _obey(self, port: int, payload: bytes) -> None:
        if port == FPORT_COMMANDS:
            if payload != self._obeyed:
                self._answers = await self._service.obey(port, payload)
                self._obeyed = payload
            for answer in self._answers:
                await self._say(port, answer)
        elif port in (FPORT_SETTINGS, FPORT_UPDATE):
            for answer in await self._service.obey(port, payload):
                await self._say(port, answer)
        elif port == console.PORT_LOG:
            self._listen(payload == b"\x01")
            await self._say(port, b"")
        elif port == console.PORT_NOW:
            await self._say(port, cbor.dumps(self._now()))

    def _now(self) -> dict:
        service = self._service
        now = {
            console.NOW_CONTACT_S: service.contact_s(),
            console.NOW_WAITING: service.waiting(),
            console.NOW_UPTIME_S: service.clock.uptime_s(),
        }
        if service.latest is not None:
            now[console.NOW_READING] = decode(service.latest)
        return now

    async def _say(self, port: int, payload: bytes) -> None:
        if self._channel is not None and self._link.connections == self._connection:
            await self._link.answer(self._channel.seal(port, payload))

    def _listen(self, on: bool) -> None:
        listen(self._line if on else None)
        if self._talking is not None:
            self._talking.cancel()
            self._talking = None
        if on:
            self._talking = asyncio.create_task(self._talk())

    def _line(self, text: str) -> None:
        if len(self._lines) < _LINES:
            self._lines.append(text)
            self._said.set()

    async def _talk(self) -> None:
        while True:
            await self._said.wait()
            self._said.clear()
            while self._lines:
                await self._say(console.PORT_LOG, self._lines.pop(0).encode()[:_LINE_BYTES])
            if self._link.connections != self._connection:
                listen(None)
                return

    def _forget(self) -> None:
        self._listen(False)
        self._channel = None
        self._lines = []
