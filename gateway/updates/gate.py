# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Looks at the register's roll-outs, and notes there what boards did; beside the data path, which waits for neither."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from firmware.wire.readings import FPORT_FRAGMENTS, FPORT_UPDATE
from gateway.gate import Gate
from gateway.updates.office import Found, UpdateOffice
from provisioning.errors import ProvisioningError
from provisioning.register import rollouts
from provisioning.updates import rollout

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.gate import Beside
    from gateway.network.server import NetworkServer
    from provisioning.reader import Reader
    from provisioning.updates.rollout import BoardState

_LOOK_S = 1.0
READ_EVERY_S = 5.0
READ_WHOLE_EVERY_S = 30.0


class UpdateGate(Gate):
    """Roll-outs of the register, on their way to boards."""

    def __init__(self, beside: Beside) -> None:
        super().__init__("updates", beside)
        self._office: UpdateOffice | None = None
        self._registry: Reader | None = None
        self._others: Callable[[bytes, str, int, bytes], None] = lambda *_answer: None
        self._releases: dict[str, tuple[bytes, bytes]] = {}
        self._over: set[str] = set()
        self._version: object | None = None
        self._read_whole_s = float("-inf")

    def open(
        self,
        loop: asyncio.AbstractEventLoop,
        parts: tuple[NetworkServer, Reader],
        gateway: Callable[[], str],
        others: Callable[[bytes, str, int, bytes], None],
    ) -> None:
        """Begin; *others* hears what is not about updates. Runs in the databases' thread."""
        server, registry = parts

        def news() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._wake)

        self._registry, self._others = registry, others
        self._office = UpdateOffice(server, self._clock, self._counters, gateway, news)

    def heard(self, dev_eui: bytes, kind: str, fport: int, payload: bytes) -> None:
        """A device answered; in the databases' thread, before the commit. Raises what the others raise."""
        if fport not in (FPORT_UPDATE, FPORT_FRAGMENTS):
            self._others(dev_eui, kind, fport, payload)
        elif self._office is not None:
            self._office.heard(dev_eui, fport, payload)

    async def watch(self) -> None:
        """Look until cancelled."""
        office, registry = self._office, self._registry
        if office is None or registry is None:
            return
        read_at_s = float("-inf")
        while True:
            try:
                if self._clock.monotonic_s() - read_at_s >= READ_EVERY_S:
                    found = await self._read_if_changed(registry)
                    read_at_s = self._clock.monotonic_s()
                    if found is not None:
                        await self._in_writer(lambda found=found: office.take(found))  # type: ignore[misc]
                await self._in_writer(office.look)
                for name, notes in (await self._in_writer(office.notes)).items():
                    await asyncio.to_thread(rollouts.note, registry, name, notes)
                    await self._in_writer(lambda name=name, notes=notes: office.noted(name, notes))  # type: ignore[misc]
                    read_at_s = float("-inf") if self._ended(notes) else read_at_s
            except ProvisioningError as error:
                effect = "no board is told to install meanwhile"
                self._postponed("register_unavailable", "rollouts_not_noted", error, effect=effect)
            await asyncio.sleep(_LOOK_S)

    @staticmethod
    def _ended(notes: list[BoardState]) -> bool:
        return any(note.state in rollout.ENDED for note in notes)

    async def _read_if_changed(self, registry: Reader) -> list[Found] | None:
        """None where nothing in the register has changed; now and then all the same, since waves may rest."""
        version, now_s = await self._in_writer(registry.version), self._clock.monotonic_s()
        if version is not None and version == self._version and now_s - self._read_whole_s < READ_WHOLE_EVERY_S:
            return None
        found = await asyncio.to_thread(self._read, registry)
        self._version, self._read_whole_s = version, now_s
        return found

    def _read(self, registry: Reader) -> list[Found]:
        """The roll-outs that something is to be done with. Raises ProvisioningError."""
        now_s, found = self._clock.wall_s(), []
        with registry.reading() as connection:
            for each in rollouts.every(connection):
                if each.state == rollout.PLANNED or each.id in self._over:
                    continue
                boards = rollouts.boards(connection, each.id)
                standing = rollout.standing(each.state, each.gates, boards, now_s)
                carry, withdraw = rollout.to_carry(standing, boards), rollout.to_withdraw(standing, boards)
                if carry or withdraw:
                    if each.id not in self._releases:
                        self._releases[each.id] = rollouts.release(connection, each.id)
                    found.append(Found(each.id, self._releases[each.id], carry, withdraw))
                elif standing.state != rollout.RUNNING:
                    self._over.add(each.id)  # what has ended does not begin again
        self._releases = {each.name: each.release for each in found}
        return found
