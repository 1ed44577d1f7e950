# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LoRa, and Bluetooth LE while a gateway is near: one session and its counters over whichever carries the next frame.

A gateway that connects and says READY is given the frames, for a moment; one that answers none of them authentically
in that moment is thrown off, and the frames go on air again. So is one that was a gateway and does not answer any more.
What got lost meanwhile a receipt brings back. After each who was none nobody is believed for a while, ever longer, so
that strangers under new addresses cannot silence a board.
"""

import asyncio

from micropython import const

from firmware.node.links import ble, lora
from firmware.node.log import log

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any

_PROVE_MS = const(10000)  # what a stranger may cost: uplinks are late by so much
_QUIET_MS = const(60000)  # without an authentic frame: the next one asks for an answer
_DISTRUST_MS = const(60000)
_DISTRUST_DOUBLINGS = const(6)  # about an hour


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
        self.away = close.away
        self.answer = close.answer
        self.console_key = close.console_key
        self.near = False
        self._far = far
        self._close = close
        self._network: "Any" = None
        self._listening = None  # type: asyncio.Task | None
        self._strangers = 0  # in a row
        self._distrust_until_ms = 0
        self._heard_ms = 0  # when a frame over Bluetooth was authentic
        self._asked = False
        close.prove_ms = _PROVE_MS
        close.on_heard = self._ready
        close.on_gone = self._gone

    @property
    def max_payload(self) -> int:
        """Application bytes that the next frame may carry."""
        return self._close.max_payload if self.near else self._far.max_payload

    @property
    def connections(self) -> int:
        """How often somebody connected."""
        return self._close.connections

    @property
    def unsent(self) -> int:
        """Frames that neither took."""
        return self._far.unsent + self._close.unsent

    @property
    def doubtful(self) -> bool:
        """Whether the gateway has been silent for a while: the next frame should be answered."""
        return self.near and self.layer.now_ms() - self._heard_ms >= _QUIET_MS

    def attach(self, network) -> None:
        """Take what the radio calls, and what is told of a change."""
        self._network = network
        self._far.attach(network)

    async def send(self, phy: bytes) -> None:
        """Send over what is there now."""
        if self.near:
            if self.doubtful and not self._asked:
                self._asked = True
                self._close.expect(_PROVE_MS)
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
        if ours:
            self._hear()
        self._close.judged(ours)

    def _hear(self) -> None:
        self._heard_ms = self.layer.now_ms()
        self._asked = False

    def _ready(self) -> None:
        if self.near or self._network is None or self.layer.now_ms() < self._distrust_until_ms:
            return
        log("link", "a gateway is near: Bluetooth")
        self.near = True
        self._hear()
        self._network.rerouted()

    def _gone(self) -> None:
        if not self.near:
            return
        log("link", "no gateway is near: LoRa")
        self.near = False
        if self._close.proven:
            self._strangers = 0
            self._network.rerouted()
        else:  # the usual time-outs bring back what went to nobody
            rest_ms = _DISTRUST_MS << min(self._strangers, _DISTRUST_DOUBLINGS)
            self._strangers += 1
            self._distrust_until_ms = self.layer.now_ms() + rest_ms
