# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which registered device an advertised hint is from (`firmware.wire.gatt`).

Only somebody with the AppKeys can say, so the register's devices are tried one after another: those that were heard
lately first, all of them when that was in vain. Strangers may advertise as much as they like: what was no device's is
remembered for a while, and searches through everything are rationed.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from firmware.wire import gatt
from firmware.wire.errors import Malformed
from gateway.network.aes import ecb
from gateway.operate.logs import EventLog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.clock import Clock
    from gateway.network.register import Device

    Encrypt = Callable[[bytes], bytes]

_REMEMBER_S = 60.0
_MAX_HINTS = 4096
_MAX_LATELY = 256
_MAX_ENCRYPTORS = 20_000
"""About 2 KB each. Making one costs a hundred times its use; with more devices than this, the rest are made anew."""
_LIST_EVERY_S = 15.0
_SEARCH_SHARE = 0.1
"""Of the time, at most so much goes into searches through all devices."""


class HintRegister(Protocol):
    """Where all devices and their keys are listed."""

    def devices(self) -> Sequence[Device]:
        """Return all records."""

    def app_key(self, dev_eui: bytes) -> bytes:
        """Return the device's root key, 16 bytes. Raises LookupError."""


class Hints:
    """Recognises hints. It keeps the keys of hints, from which no AppKey follows."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._register: HintRegister | None = None
        self._log = EventLog("network.hints")
        self._keys: dict[bytes, bytes] = {}
        self._encryptors: dict[bytes, Encrypt] = {}
        self._lately: OrderedDict[bytes, None] = OrderedDict()
        self._answers: OrderedDict[bytes, tuple[float, str | None]] = OrderedDict()
        self._listed_at_s = float("-inf")
        self._list_again_s = _LIST_EVERY_S
        self._search_after_s = float("-inf")
        self._searching = asyncio.Lock()
        self.put_off = 0
        """Searches that were not made because others had used up the time."""

    def open(self, register: HintRegister) -> None:
        """Say where devices are listed. Before, nobody is recognised."""
        self._register = register

    async def recognise(self, hint: bytes) -> str | None:
        """Return a name that all hints of one registered device share, or None for a stranger, or for "not now"."""
        now_s = self._clock.monotonic_s()
        known = self._answers.get(hint)
        if known is not None and now_s - known[0] <= _REMEMBER_S:
            return known[1]
        try:
            gatt.flags_of(hint)
        except Malformed:
            return None
        async with self._searching:
            return await self._search(hint)

    async def _search(self, hint: bytes) -> str | None:
        dev_eui = self._try(hint, list(self._lately))
        now_s = self._clock.monotonic_s()
        rationed = now_s < self._search_after_s
        if dev_eui is not None and (rationed or now_s - self._listed_at_s <= _REMEMBER_S):
            return self._remember(hint, dev_eui)
        if self._register is None or rationed:
            self.put_off += 1
            return None
        try:
            dev_eui = await asyncio.to_thread(self._search_all, hint, self._register)
        except Exception:  # noqa: BLE001 - whatever the register's database raises: nobody is recognised for a while
            self._log.exception("search_failed")
            dev_eui = None
        ended_s = self._clock.monotonic_s()
        self._search_after_s = ended_s + (ended_s - now_s) * (1 / _SEARCH_SHARE - 1)
        return self._remember(hint, dev_eui)

    def _search_all(self, hint: bytes, register: HintRegister) -> bytes | None:
        """Try every device; list them again first, but neither often nor for long. In a thread: databases wait."""
        now_s = self._clock.monotonic_s()
        if now_s - self._listed_at_s > _REMEMBER_S:  # so that who was retired is forgotten
            self._list(register)
        dev_eui = self._try(hint, list(self._keys))
        if dev_eui is None and now_s - self._listed_at_s >= self._list_again_s:
            self._list(register)
            dev_eui = self._try(hint, list(self._keys))
        return dev_eui

    def _list(self, register: HintRegister) -> None:
        began_s = self._clock.monotonic_s()
        active = {device.dev_eui for device in register.devices() if device.state == "registered"}
        for dev_eui in self._keys.keys() - active:
            del self._keys[dev_eui]
            self._encryptors.pop(dev_eui, None)
        for dev_eui in active - self._keys.keys():
            try:
                key = gatt.hint_key(ecb(register.app_key(dev_eui)))
            except (LookupError, ValueError) as error:
                self._log.debug("no_hint_key", dev_eui=dev_eui, why=error)
                continue
            self._keys[dev_eui] = key
            if len(self._encryptors) < _MAX_ENCRYPTORS:
                self._encryptors[dev_eui] = ecb(key)
        self._listed_at_s = self._clock.monotonic_s()
        self._list_again_s = max(_LIST_EVERY_S, 20 * (self._listed_at_s - began_s))

    def _try(self, hint: bytes, devices: list[bytes]) -> bytes | None:
        for dev_eui in devices:
            key = self._keys.get(dev_eui)
            if key is not None and gatt.is_from(self._encryptors.get(dev_eui) or ecb(key), hint):
                return dev_eui
        return None

    def _remember(self, hint: bytes, dev_eui: bytes | None) -> str | None:
        name = None if dev_eui is None else dev_eui.hex()
        self._answers[hint] = (self._clock.monotonic_s(), name)
        self._answers.move_to_end(hint)
        if len(self._answers) > _MAX_HINTS:
            self._answers.popitem(last=False)
        if dev_eui is not None:
            self._lately[dev_eui] = None
            self._lately.move_to_end(dev_eui)
            if len(self._lately) > _MAX_LATELY:
                self._lately.popitem(last=False)
        return name
