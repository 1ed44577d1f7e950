# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The register as the network needs it, with a short memory so that not every frame asks the database."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from gateway.errors import RetiredDevice, UnknownDevice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.clock import Clock

_REMEMBER_S = 15.0
_LOOK_S = 1.0
"""How often the register is asked whether it has changed at all."""
_MAX_REMEMBERED = 20000
_MAX_UNKNOWN = 256
"""Of those that the register does not list, in a table of their own: however many knock, no known device makes room."""


class Device(Protocol):
    """What the network asks of a device record."""

    @property
    def dev_eui(self) -> bytes:
        """8 bytes in display order."""

    @property
    def join_eui(self) -> bytes:
        """8 bytes in display order."""

    @property
    def kind(self) -> str:
        """Name of its kind."""

    @property
    def state(self) -> str:
        """``registered`` or ``retired``."""


class Register(Protocol):
    """Where devices and their keys are listed."""

    def device(self, dev_eui: bytes) -> Device | None:
        """Return the record, or None."""

    def app_key(self, dev_eui: bytes) -> bytes:
        """Return the device's root key, 16 bytes."""

    def version(self) -> object | None:
        """Return what stays equal as long as nothing changes; None where that cannot be told cheaply."""


class KnownDevices:
    """Answers from memory for 15 seconds: that is how long a retirement takes to be heard, at most.

    And for longer while the register says that nothing in it has changed: devices of a city speak some times an hour,
    and to read a record costs three times what everything else about a frame does.
    """

    def __init__(self, register: Register, clock: Clock) -> None:
        self._register = register
        self._clock = clock
        self._remembered: OrderedDict[bytes, tuple[float, Device]] = OrderedDict()
        self._unknown: OrderedDict[bytes, float] = OrderedDict()
        self._version: object | None = None
        self._unchanged_since_s = float("inf")
        self._looked_at_s = float("-inf")

    def __len__(self) -> int:
        """How many answers are remembered."""
        return len(self._remembered) + len(self._unknown)

    def active(self, dev_eui: bytes) -> Device:
        """Return the record of a device that may talk. Raises UnknownDevice, RetiredDevice."""
        device = self._look_up(dev_eui)
        if device is None:
            raise UnknownDevice(f"no device {dev_eui.hex()} is registered", dev_eui=dev_eui)
        if device.state != "registered":
            raise RetiredDevice(f"device {dev_eui.hex()} is {device.state}", dev_eui=dev_eui)
        return device

    def known_since(self) -> tuple[Mapping[bytes, tuple[float, Device]], float]:
        """Return when each record was read, and it, and since when that must be to count still."""
        now_s = self._clock.monotonic_s()
        return self._remembered, min(now_s - _REMEMBER_S, self._unchanged_since(now_s))

    def _look_up(self, dev_eui: bytes) -> Device | None:
        now_s = self._clock.monotonic_s()
        known = self._remembered.get(dev_eui)
        if known is not None and (now_s - known[0] <= _REMEMBER_S or known[0] >= self._unchanged_since(now_s)):
            return known[1]
        if now_s - self._unknown.get(dev_eui, float("-inf")) <= _REMEMBER_S:
            return None
        self.forget(dev_eui)
        self._unchanged_since(now_s)  # looked at before it is read, so that no change falls between
        device = self._register.device(dev_eui)
        if device is None:
            self._unknown[dev_eui] = now_s
        else:
            self._remembered[dev_eui] = (now_s, device)
        for table, most in ((self._remembered, _MAX_REMEMBERED), (self._unknown, _MAX_UNKNOWN)):
            if len(table) > most:
                table.popitem(last=False)
        return device

    def _unchanged_since(self, now_s: float) -> float:
        """Return a moment since which nothing in the register has changed, but for the last second."""
        if now_s - self._looked_at_s >= _LOOK_S:
            version = self._register.version()
            self._looked_at_s = now_s
            if version is None or version != self._version:
                self._version, self._unchanged_since_s = version, float("inf") if version is None else now_s
        return self._unchanged_since_s

    def forget(self, dev_eui: bytes) -> None:
        """Ask the register again next time: a join is rare enough, and often follows a registration by seconds."""
        self._remembered.pop(dev_eui, None)
        self._unknown.pop(dev_eui, None)

    def app_key(self, dev_eui: bytes) -> bytes:
        """Return the root key; it is not remembered."""
        return self._register.app_key(dev_eui)
