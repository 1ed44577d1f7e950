# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A signed release to a board by Bluetooth, over as many connections as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from provisioning.bluetooth import jobs
from provisioning.bluetooth.contact import Contact
from provisioning.errors import BluetoothError
from provisioning.updates.sender import ASK, FAILED, Sender

_CONNECTIONS: Final = 5
_REST_S: Final = 2.0
"""Longer after each that brought nothing: a board does not let in for 10 s whom it has thrown off."""


async def carry(contact: Contact, sender: Sender, report: Callable[[int, int], None]) -> None:
    """Connect, send, connect again where the line was lost, until the board runs the release or has it on trial.

    Raises BluetoothError when the board refuses it, or gets no further over several connections.
    """
    tries, furthest = 0, -1
    while True:
        try:
            async with contact.talking() as talk:
                state = await jobs.send(talk, sender, ASK, report)
            break
        except BluetoothError as error:
            if sender.have > furthest:
                tries, furthest = 0, sender.have
                contact.failed.clear()
            tries += 1
            contact.lost(error)
            if tries >= _CONNECTIONS:
                raise contact.given_up(error) from error
            await asyncio.sleep(_REST_S * tries)
    if state == FAILED:
        raise BluetoothError(
            "The board does not take this release, or did not stay with it.",
            value=sender.problem,
            reason="It judges signature, board, kind, sequence number and base itself, and undoes what does not work.",
            next_step="lykta update show RELEASE tells whom it is for",
        )
