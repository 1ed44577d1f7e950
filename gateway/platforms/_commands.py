# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Signed commands of a platform in, signed results out, over a broker.

A command is a retained message under ``commands/<commander>/<id>``: the broker keeps it for a gateway that is away, and
the gateway clears it once it is on disk. Results go to ``results/<commander>/<id>``.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import TYPE_CHECKING

from gateway.operate.logs import EventLog

if TYPE_CHECKING:
    from gateway.platforms import Context
    from gateway.platforms._paho import Connection

FILTER = "commands/+/+"
MAX_BYTES = 65_536
_MAX_WAITING = 256
_MAX_UNTAKEN = 100
"""Answers sent and not yet acknowledged."""
_AGAIN_S = 2.0
_NAMES = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,62})/([0-9a-f]{32})")


class CommandDesk:
    """One platform's."""

    def __init__(self, platform: str, topic: str, context: Context, expiry_s: int) -> None:
        self._platform = platform
        self._topic = topic
        self._context = context
        self._expiry_s = expiry_s
        self._log = EventLog("platforms.commands")
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._news = asyncio.Event()
        self._rows: dict[int, int] = {}
        """Rows of answers by the packet identifier under which they went."""
        self._cleared: set[int] = set()
        self._taken: list[int] = []
        self._acknowledged = asyncio.Event()

    def restart(self) -> None:
        """There is a new connection: what was on its way goes again."""
        self._waiting.clear()
        self._rows.clear()
        self._cleared.clear()

    def put(self, topic: str, message: bytes) -> None:
        """Take a message as it came. What there is no room for stays with the broker until the next connection."""
        if not message:
            return  # a command that was cleared, by us or by whoever gave it
        if len(self._waiting) >= _MAX_WAITING:
            self._context.counters.add("commands", "not_read")
            return
        self._waiting.append((topic, message[: MAX_BYTES + 1]))  # what is longer is refused without its rest
        self._news.set()

    def refused(self, mid: int) -> str | None:
        """The broker does not take a publication; return what it was if it was one of ours."""
        if mid in self._cleared:
            self._cleared.discard(mid)
            return "clearing"
        row = self._rows.pop(mid, None)
        if row is None:
            return None
        self._taken.append(row)  # it would be refused again; whoever asks again gets another try
        self._acknowledged.set()
        return "result"

    def arrived(self, mid: int) -> None:
        """The broker has a publication, perhaps one of ours."""
        self._cleared.discard(mid)
        row = self._rows.pop(mid, None)
        if row is not None:
            self._taken.append(row)
            self._acknowledged.set()

    async def serve(self, connection: Connection) -> None:
        """Hand in commands until cancelled."""
        if self._context.commands is None:
            return
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                topic, message = self._waiting[0]
                named = _NAMES.fullmatch(topic.removeprefix(f"{self._topic}/commands/"))
                commander, command_id = (named[1], bytes.fromhex(named[2])) if named else ("", b"")
                take = self._context.commands.take
                while (  # noqa: ASYNC110 - nobody can tell when it works again
                    taken := await take(self._platform, commander, command_id, message)
                ) is False:
                    await asyncio.sleep(_AGAIN_S)
                self._waiting.popleft()
                if taken is None:  # another worker needs it still
                    continue
                await connection.room()
                self._cleared.add(connection.publish(topic, b"", retain=True))

    async def answer(self, connection: Connection) -> None:
        """Publish results until cancelled; forget them when the broker has them."""
        if self._context.commands is None:
            return
        after = 0
        while True:
            for answer in await self._context.commands.answers(self._platform, after):
                await connection.room()
                topic = f"{self._topic}/results/{answer.topic}"
                mid = connection.publish(topic, answer.message, expiry_s=self._expiry_s)
                self._rows[mid] = after = answer.row
            while len(self._rows) >= _MAX_UNTAKEN:
                self._acknowledged.clear()
                await self._acknowledged.wait()

    async def note(self, _connection: Connection) -> None:
        """Write down which answers arrived, until cancelled."""
        while self._context.commands is not None:
            await self._acknowledged.wait()
            await asyncio.sleep(0.1)  # some at once
            self._acknowledged.clear()
            rows, self._taken = self._taken, []
            await self._context.commands.taken(rows)
