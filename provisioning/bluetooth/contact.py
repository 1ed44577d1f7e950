# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A job at one board, over as many connections as it takes, within bounds: one lost answer is no reason to give up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from provisioning.bluetooth.console import Asked, Talk
from provisioning.bluetooth.nearby import Directory
from provisioning.bluetooth.radio import Found, Radio
from provisioning.errors import BluetoothError, ContactLost

_SCAN_S: Final = 20.0
_RESTS_S: Final = (2.0, 11.0)
"""Before the second and the third try. A board does not let in for 10 s whom it has thrown off."""
_LATEST_S: Final = 120.0
"""No try begins later than this after the first."""

_Result = TypeVar("_Result")


@dataclass
class Contact:
    """The way to the board that *directory* knows. `note` is told of each connection that failed."""

    radio: Radio
    directory: Directory
    note: Callable[[str], None]
    failed: list[str] = field(default_factory=list)

    async def hold(self, job: Callable[[Talk], Awaitable[_Result]], found: Found | None = None) -> _Result:
        """Connect, say hello and do *job*; when the contact is lost, connect and do it again, up to three times.

        A job is at most one command that must not be obeyed twice: the board knows the last one that it obeyed. With
        *found*, it is not listened for first, and two tries must do. Raises ContactLost, which tells of every try, and
        whatever *job* raises.
        """
        begun_s, asked = time.monotonic(), Asked()
        for rest_s in (*(_RESTS_S if found is None else _RESTS_S[:1]), None):
            try:
                async with self.talking(asked, found) as talk:
                    return await job(talk)
            except ContactLost as error:
                self.lost(error)
                if rest_s is None or time.monotonic() - begun_s + rest_s > _LATEST_S:
                    raise self.given_up(error) from error
                self.note(f"trying again in {rest_s:g} s")
                await asyncio.sleep(rest_s)
        raise AssertionError  # the loop ends by a result or an error

    @asynccontextmanager
    async def talking(self, asked: Asked | None = None, found: Found | None = None) -> AsyncIterator[Talk]:
        """One conversation with the board, once it is heard. Raises ContactLost."""
        heard = found or await self._heard()
        known = self.directory.who(heard)
        if known is None:
            raise ContactLost("What advertises is not this device.", value=heard.address)
        async with self.radio.connected(heard) as line:
            talk = Talk(line, known, asked)
            await talk.begin()
            yield talk

    def lost(self, error: BluetoothError) -> None:
        """Note that a connection failed."""
        found = "" if error.value is None else f" ({error.value})"
        self.failed.append(error.state.rstrip(".") + found)
        self.note(f"connection {len(self.failed)}: {self.failed[-1]}")

    def given_up(self, error: BluetoothError) -> BluetoothError:
        """The last of the errors, with what was tried."""
        if len(self.failed) < 2:
            return error
        tried = "; ".join(f"{number}. {each}" for number, each in enumerate(self.failed, 1))
        return ContactLost(
            f"The board was not reached in {len(self.failed)} tries.",
            value=tried,
            reason=error.reason,
            next_step=error.next_step or "go nearer and try again",
        )

    async def _heard(self) -> Found:
        for each in await self.radio.scan(_SCAN_S, lambda one: self.directory.who(one) is not None):
            if self.directory.who(each) is not None:
                return each
        raise ContactLost(
            "The board is not in reach.",
            reason=f"It was not heard in {_SCAN_S:g} s; while it is connected to its gateway it does not advertise.",
            next_step="lykta ble scan",
        )
