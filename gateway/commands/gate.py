# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Where platforms hand in commands and fetch answers, on the event loop; the office works in the databases' thread."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from gateway.commands.judge import Judge
from gateway.commands.office import CommandOffice
from gateway.commands.part import Part
from gateway.commands.results import ResultSigner
from gateway.errors import GatewayError
from gateway.gate import Gate
from gateway.network.profiles import profile
from provisioning.errors import ProvisioningError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from gateway.gate import Beside
    from gateway.identity import Identity
    from gateway.network.downlinks import Fate, Item
    from gateway.network.kept_commands import Answer
    from gateway.network.options import Options
    from gateway.network.register import Device, KnownDevices
    from gateway.network.server import NetworkServer
    from gateway.network.sessions import SessionStore
    from provisioning.reader import Reader

_LOOK_S = 1.0
_MOST_ANSWERS = 50
_Result = TypeVar("_Result")


class CommandGate(Gate):
    """Commands, on their way in, and answers, on their way out."""

    def __init__(self, beside: Beside) -> None:
        super().__init__("commands", beside)
        self._office: CommandOffice | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()

    def open(
        self,
        loop: asyncio.AbstractEventLoop,
        parts: tuple[NetworkServer, SessionStore, Reader, KnownDevices],
        identity: Callable[[], Identity],
        options: Callable[[], Options],
        taken: Path | None = None,
    ) -> None:
        """Begin. Runs in the databases' thread. *taken*: what workers tell each other. Raises StoreUnavailable."""
        server, store, registry, devices = parts

        def here(device: Device) -> bool:
            ours = profile(device, options()).decoder is None
            return ours and store.address_of(device.dev_eui) is not None

        self._loop = loop
        judge = Judge(f"urn:dev:mac:{identity().eui}", registry.commander, devices.active, here)
        part = Part(options().share, taken)
        signer = ResultSigner(identity, self._clock)
        self._office = CommandOffice(server, store, judge, signer, self._clock, self._counters, self._tell, part)
        store.commit()

    def heard(self, dev_eui: bytes, kind: str, fport: int, payload: bytes) -> None:
        """A device answered; in the databases' thread, before the commit. Raises StoreUnavailable."""
        if self._office is not None:
            self._office.heard(dev_eui, kind, fport, payload)

    async def fates(self, fates: Sequence[tuple[Item, Fate]]) -> None:
        """Note what became of downlinks."""
        office = self._office
        if office is not None:
            await self._in_writer(lambda: office.fates(fates))

    async def take(self, platform: str, commander: str, command_id: bytes, message: bytes) -> bool | None:
        """Take a command; False when it could not be judged or kept now, and has to come again.

        None: it has to stay where it is, for another worker.
        """
        office = self._office
        if office is None:
            return False
        try:
            done = await self._in_writer(lambda: office.take(platform, (commander, command_id), message))
        except (GatewayError, ProvisioningError, OSError) as error:
            self._postponed("postponed", "command_postponed", error, platform=platform)
            return False
        self._wake()
        return True if done else None

    async def answers(self, platform: str, after: int) -> list[Answer]:
        """Return the next answers for a platform, sooner or later."""
        while True:
            changed = self._changed
            found = await self._answers(platform, after)
            if found:
                return found
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), 30)

    async def _answers(self, platform: str, after: int) -> list[Answer]:
        office = self._office
        if office is None:
            return []
        try:
            found: list[Answer] = await self._in_writer(lambda: office.answers(platform, after, _MOST_ANSWERS))
        except GatewayError:  # the disk: intake says so loudly
            return []
        return found

    async def taken(self, rows: Sequence[int]) -> None:
        """The platform has these answers."""
        office = self._office
        if office is not None:
            await self._in_writer(lambda: office.drop_answers(rows))

    async def watch(self) -> None:
        """Let time do its work, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            office = self._office
            if office is not None:
                await self._in_writer(office.look)
                if office.asked_again():
                    self._wake()

    def _tell(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
