# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LoRa, and Bluetooth LE while a gateway is near: one session and its counters over whichever carries the next frame.

A gateway that connects and says READY is given the frames, for a moment; one that answers none of them authentically
in that moment is thrown off, and the frames go on air again. What got lost meanwhile a receipt brings back.
"""

import asyncio

from micropython import const

from firmware.node.links import ble, lora
from firmware.node.log import log

_PROVE_MS = const(10000)  # what a stranger may cost: uplinks are late by so much


def open_link(config) -> "LoraBleLink":
    """Return the two links of this board as one."""
    return LoraBleLink(lora.open_link(config), ble.open_link(config))


class LoraBleLink:
    """``near``: frames go over Bluetooth now."""

    def __init__(self, far, close) -> None:
        self.layer = far.layer
        self.rejoin_after = far.rejoin_after
        self.reply_timeout_ms = far.reply_timeout_ms
        self.on_heard = None
        self.near = False
        self._far = far
        self._close = close
        self._network = None
        self._listening = None  # type: asyncio.Task | None
        close.prove_ms = _PROVE_MS
        close.on_heard = self._ready
        close.on_gone = self._gone

    @property
    def max_payload(self) -> int:
        """Application bytes that the next frame may carry."""
        return self._close.max_payload if self.near else self._far.max_payload

    @property
    def unsent(self) -> int:
        """Frames that neither took."""
        return self._far.unsent + self._close.unsent

    def attach(self, network) -> None:
        """Take what the radio calls, and what is told of a change."""
        self._network = network
        self._far.attach(network)

    async def send(self, phy: bytes) -> None:
        """Send over what is there now."""
        if self.near:
            await self._close.send(phy)
        else:
            await self._far.send(phy)

    async def receive(self) -> bytes:
        """Return the next frame over Bluetooth; what the radio hears it hands on itself."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._far.receive())
        return await self._close.receive()

    def judged(self, ours: bool) -> None:
        """What the network thought of the last frame that ``receive`` gave."""
        self._close.judged(ours)

    def _ready(self) -> None:
        if not self.near:
            log("link", "a gateway is near: Bluetooth")
            self.near = True
            if self._network is not None:
                self._network.rerouted()

    def _gone(self) -> None:
        if self.near:
            log("link", "no gateway is near: LoRa")
            self.near = False
            if self._close.proven and self._network is not None:  # else the usual time-outs do
                self._network.rerouted()
