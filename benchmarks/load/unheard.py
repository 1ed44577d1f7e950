# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Devices that keep a reading until a receipt says that it is on disk, and send it again when it does not.

No radio tells ten thousand readings a second: what a receipt would say is read from the outbox itself. Nothing is kept
of a reading, it is made again from its number: a backlog takes no memory here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.load.rig import datagrams_again, send
from gateway.outbox import stats
from gateway.outbox.receipts import RECEIPT_SPAN, Held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.load.rig import Load

_ON_THE_WAY_S = 1.0
"""How long what was sent may take to be on disk, when nothing else is sent."""


class Unheard:
    """What the receipts of all devices do not say."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._next = 0
        """The device whose turn it is: where not all can be sent again at once, none waits for ever."""

    def frames(self, made: int, most: int) -> list[bytes]:
        """Return frames that bring again what is not on disk of the first *made* readings, *most* of them at most."""
        found, devices = list[int](), len(self._load.sessions)
        held = stats.held(self._load.outbox)
        for turn in range(devices):
            device = (self._next + turn) % devices
            found += self._of(held.get(self._load.devices[device], Held()), device, made)
            if len(found) >= most:
                self._next = device
                break
        return datagrams_again(self._load, found[:most])

    def _of(self, held: Held, device: int, made: int) -> Iterator[int]:
        """Yield the readings, by index, of what a receipt says that the gateway lacks."""
        devices = len(self._load.sessions)
        sent = (made - device + devices - 1) // devices
        above = set(held.above())
        for seq in range(held.contiguous + 1, min(held.contiguous + RECEIPT_SPAN, sent) + 1):
            if seq not in above:
                yield (seq - 1) * devices + device

    def settle(self, per_s: float, limit_s: float) -> None:
        """Send again until all is on disk, or *limit_s* seconds are over."""
        end_s = time.monotonic() + limit_s
        while time.monotonic() < end_s:
            time.sleep(_ON_THE_WAY_S)
            frames = self.frames(self._load.made, round(per_s))
            if not frames:
                return
            send(self._load, frames, per_s)
