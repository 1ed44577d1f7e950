# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Who knocked and was not let in: frames from unregistered or wrongly keyed devices, for a person to look at.

One entry per device and reason, a bounded number of them; nothing here is ever forwarded.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from gateway.errors import (
    FrameNotAuthentic,
    ReplayedFrame,
    RetiredDevice,
    UnknownAddress,
    UnknownDevice,
    WrongNonce,
)

if TYPE_CHECKING:
    from gateway.errors import Refused
    from gateway.links import Uplink

MAX_ENTRIES = 256
_KINDS = (FrameNotAuthentic, ReplayedFrame, RetiredDevice, UnknownAddress, UnknownDevice, WrongNonce)
_NWK_ADDR_BITS = 25


@dataclass(slots=True)
class Entry:
    """The frames of one device that were refused for one reason."""

    reason: str
    device: str
    """DevEUI, or DevAddr where that is all the frame tells; hex."""
    frames: int
    first_at: float
    last_at: float
    link: str
    address: str
    phy: str
    """The last of them, hex."""
    why: str


class Quarantine:
    """The last refused senders, in memory."""

    def __init__(self, net_id: int) -> None:
        self._net_id = net_id
        self._entries: OrderedDict[tuple[str, str], Entry] = OrderedDict()
        self._changed = False
        self._lock = threading.Lock()

    def add(self, uplink: Uplink, error: Refused) -> None:
        """Keep a frame that was refused, if its sender is the reason. A neighbour's network is none of our business."""
        if not isinstance(error, _KINDS):
            return
        foreign = error.dev_addr is not None and error.dev_addr >> _NWK_ADDR_BITS != self._net_id
        if isinstance(error, UnknownAddress) and foreign:
            return
        device = error.dev_eui.hex() if error.dev_eui else f"{error.dev_addr or 0:08x}"
        key = (error.reason, device)
        with self._lock:
            self._put(key, uplink, str(error))

    def _put(self, key: tuple[str, str], uplink: Uplink, why: str) -> None:
        entry = self._entries.pop(key, None)
        first_at, frames = (entry.first_at, entry.frames) if entry else (uplink.received_at, 0)
        self._entries[key] = Entry(
            *key, frames + 1, first_at, uplink.received_at, uplink.link, uplink.address,
            uplink.phy.hex(), why,
        )  # fmt: skip
        if len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)
        self._changed = True

    def forget(self, before_s: float) -> None:
        """Drop who was heard last before this Unix time. Any thread."""
        with self._lock:
            old = [key for key, entry in self._entries.items() if entry.last_at < before_s]
            for key in old:
                del self._entries[key]
            self._changed = self._changed or bool(old)

    def entries(self) -> list[Entry]:
        """Return all entries, the oldest first."""
        return list(self._entries.values())

    def changed(self) -> list[dict[str, object]] | None:
        """Return what to save, if it changed since the last call. Any thread."""
        with self._lock:
            if not self._changed:
                return None
            self._changed = False
            return [asdict(entry) for entry in self._entries.values()]
