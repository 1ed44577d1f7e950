# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What waits to be sent to devices: the most urgent first, one at a time, confirmed ones until they are confirmed.

A repetition is a new frame with a new counter: the ACK bit and the MAC commands beside it are those of the moment. A
device may thus get the same payload twice; commands carry an id, so that it does nothing twice.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Literal

from gateway.errors import QueueFull
from gateway.network.duty import Priority

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PER_DEVICE = 16
MAX_DEVICES = 20000
MAX_TRIES = 4
CLASS_C_LOCK_S = 5.0
"""A device on radio is given this long between two frames at once."""
MAX_RETRY_S = 60.0
"""Each try uses up a frame counter, of which a device accepts only so many missing (16384 before LoRaWAN 1.0.4)."""
CONFIRM_WITHIN_S = 12.0
"""CLASS_C_RESP_TIMEOUT is 8 s (RP002-1.0.4 section 2.3); more, for the answer's own time on air and way here."""

Fate = Literal["sent", "confirmed", "unconfirmed", "expired"]
_numbers = count()


@dataclass(slots=True)
class Item:
    """One payload for one device."""

    dev_eui: bytes
    fport: int
    payload: bytes
    confirmed: bool = False
    priority: Priority = Priority.COMMAND
    expires_at_s: float = float("inf")
    """Monotonic clock."""
    tries: int = 0
    failures: int = 0
    """How often no gateway took it."""
    number: int = field(default_factory=lambda: next(_numbers))
    row: int | None = None
    """Its place on disk."""

    @property
    def _order(self) -> tuple[int, int]:
        return -self.priority, self.number


@dataclass(slots=True)
class _Device:
    waiting: list[Item] = field(default_factory=list)
    flying: Item | None = None
    """Handed to a gateway; what became of that is not known yet."""
    unanswered: Item | None = None
    """Sent, and to be confirmed."""
    unanswered_until_s: float = 0.0
    locked_until_s: float = float("-inf")


class DownlinkQueue:
    """All devices' queues. *tell* hears what became of each item, once."""

    def __init__(self, tell: Callable[[Item, Fate], None]) -> None:
        self._tell = tell
        self._devices: dict[bytes, _Device] = defaultdict(_Device)

    def __bool__(self) -> bool:
        return bool(self._devices)

    def put(self, item: Item) -> None:
        """Queue an item. Raises QueueFull."""
        if item.dev_eui not in self._devices and len(self._devices) >= MAX_DEVICES:
            raise QueueFull(f"downlinks wait for {MAX_DEVICES} devices already")
        device = self._devices[item.dev_eui]
        if len(device.waiting) >= MAX_PER_DEVICE:
            raise QueueFull(f"{MAX_PER_DEVICE} downlinks wait for {item.dev_eui.hex()}; it has to be heard first")
        device.waiting.append(item)
        device.waiting.sort(key=lambda each: each._order)

    def take_back(self, item: Item) -> None:
        """An item that was just put is not to be sent after all; nobody is told."""
        device = self._devices.get(item.dev_eui)
        if device is not None and item in device.waiting:
            device.waiting.remove(item)
            self._tidy(item.dev_eui, device.locked_until_s)

    def waits(self, dev_eui: bytes) -> bool:
        """Tell whether a device has more to come."""
        return dev_eui in self._devices and bool(self._devices[dev_eui].waiting)

    def busy(self, dev_eui: bytes) -> bool:
        """Tell whether a device has more to come, or a gateway has some of it in hand."""
        device = self._devices.get(dev_eui)
        return device is not None and (bool(device.waiting) or device.flying is not None)

    def knows(self, dev_eui: bytes) -> bool:
        """Tell whether anything waits for a device, or is on its way to it, or was just now."""
        return dev_eui in self._devices

    def ready(self, now_s: float) -> list[bytes]:
        """Return the devices that have something to send at once: not locked, nothing under way.

        The most urgent first, of these the ones that were tried least: those that do not answer hold nobody up.
        """
        for dev_eui in list(self._devices):
            self._expire(dev_eui, now_s)
        found = [
            (-device.waiting[0].priority, device.waiting[0].tries + device.waiting[0].failures, number, dev_eui)
            for number, (dev_eui, device) in enumerate(self._devices.items())
            if device.waiting and device.flying is None and device.unanswered is None and now_s >= device.locked_until_s
        ]
        return [dev_eui for *_, dev_eui in sorted(found)]

    def take(self, dev_eui: bytes, room_bytes: int, now_s: float) -> Item | None:
        """Return the next item that fits in *room_bytes*; then ``settle`` says what became of it."""
        if dev_eui not in self._devices:
            return None
        self._expire(dev_eui, now_s)
        device = self._devices.get(dev_eui)
        if device is None or device.flying is not None or device.unanswered is not None:
            return None
        for item in device.waiting:
            if len(item.payload) <= room_bytes:
                device.waiting.remove(item)
                device.flying = item
                return item
        return None

    def settle(
        self,
        item: Item,
        now_s: float,
        *,
        sent: bool,
        confirm_within_s: float = float("inf"),
        lock_s: float = CLASS_C_LOCK_S,
    ) -> None:
        """A gateway took the frame, or none did; then the item waits again.

        A class A device confirms with its next uplink, whenever that is. *lock_s*: until the next frame at once; a line
        needs no pause.
        """
        device = self._devices.get(item.dev_eui)
        if device is None or device.flying is not item:
            return  # confirmed already: the device was faster than the gateway's report
        device.flying = None
        device.locked_until_s = now_s + lock_s
        if not sent:
            device.locked_until_s = now_s + min(MAX_RETRY_S, 2.0 ** min(item.failures, 10))
            item.failures += 1
            self._again(device, item)
        elif item.confirmed:
            item.tries += 1
            device.unanswered, device.unanswered_until_s = item, now_s + confirm_within_s
        else:
            self._tell(item, "sent")
        self._tidy(item.dev_eui, now_s)

    def heard(self, dev_eui: bytes, now_s: float, *, ack: bool) -> None:
        """The device sent a new frame, which confirms the last confirmed downlink or says that it did not come."""
        device = self._devices.get(dev_eui)
        if device is None:
            return
        if ack:
            confirmed = device.unanswered or device.flying
            if confirmed is not None and confirmed.confirmed:
                device.unanswered = None
                device.flying = None if device.flying is confirmed else device.flying
                self._tell(confirmed, "confirmed")
        elif device.unanswered is not None:
            self._unanswered(device)
        self._tidy(dev_eui, now_s)

    def _expire(self, dev_eui: bytes, now_s: float) -> None:
        device = self._devices[dev_eui]
        if device.unanswered is not None and now_s >= device.unanswered_until_s:
            self._unanswered(device)
        for item in [each for each in device.waiting if each.expires_at_s <= now_s]:
            device.waiting.remove(item)
            self._tell(item, "expired")
        self._tidy(dev_eui, now_s)

    def _unanswered(self, device: _Device) -> None:
        item, device.unanswered = device.unanswered, None
        if item is not None:
            if item.tries >= MAX_TRIES:
                self._tell(item, "unconfirmed")
            else:
                self._again(device, item)

    def _again(self, device: _Device, item: Item) -> None:
        device.waiting.append(item)
        device.waiting.sort(key=lambda each: each._order)

    def _tidy(self, dev_eui: bytes, now_s: float) -> None:
        device = self._devices[dev_eui]
        idle = not device.waiting and device.flying is None and device.unanswered is None
        if idle and now_s >= device.locked_until_s:
            del self._devices[dev_eui]
