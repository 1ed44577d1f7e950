# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A lamp whose driver is control gear on a DALI bus: the same as lamp/output.py, and what the gear tells of itself.

Gear that hears nothing shines: what it does after its own power came, and when the bus fails, is full light as it is
delivered (62386-102, POWER ON LEVEL and SYSTEM FAILURE LEVEL 254). The gear fades by itself.
"""

import asyncio
import time

from firmware.node.lamp import dali_frames
from firmware.node.lamp.dali_bus import BROKEN
from firmware.node.lazy import borrowed

_BROADCAST = 0xFE
_SET_FADE_TIME = 0x2E
_QUERY_STATUS = 0x90
_QUERY_LEVEL = 0xA0
_READ_MEMORY = 0xC5
_DTR0 = 0xA3
_DTR1 = 0xC3
_DIAGNOSTICS = 205  # memory bank of DALI part 253 (DiiA): what goes on in the gear
_TEMPERATURE = 0x1B  # there: 60 degrees more than it is, 254 and 255 when it is not known
_LAMP_FAILURE = 2  # bits of the status
_POWER_CYCLE = 128  # it was without power and has heard no command since
_GEAR_STARTS_MS = 700
_OFF_LATER_MS = 1000
_WRONG_LOOKS = 2


class DaliLamp:
    """*address* is the gear's short address, None for all on the bus; *relay* cuts its mains, or is None."""

    def __init__(self, bus, address, relay=None) -> None:
        self._bus = bus
        self._to = _BROADCAST if address is None else address << 1
        self._relay = relay
        self._lock = asyncio.Lock()
        self._task = None  # type: asyncio.Task | None
        self._told = None  # type: tuple | None
        self._fade = -1
        self._fade_ms = 0
        self._moved_ms = time.ticks_ms()
        self._wrong = 0
        self.low_pct = 0
        self.full_pct = 100
        self.on = True
        self.dim_pct = 100
        self.switchings = 0
        self._close()

    def go(self, pct: int, fade_ms: int = 0) -> None:
        """Go to a level, 0 to 100 percent of full light; 0 switches off at the end of the fade."""
        pct = min(100, max(0, pct))
        if pct:
            pct = max(pct, self.low_pct)
        if pct == (self.dim_pct if self.on else 0) and self._told is not None:
            return
        if (pct > 0) != self.on:
            self.switchings += 1
        self.on = pct > 0
        if pct:
            self.dim_pct = pct
        self._fade_ms = fade_ms
        self._moved_ms = time.ticks_ms()
        self._wrong = 0
        self._start()

    def now(self, pct: int) -> None:
        """Be at a level at once, whatever is going on, and even if the same was asked for before."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self.on = pct > 0
        if pct:
            self.dim_pct = pct
        self._close()
        self._fade = 0
        self._bus.send_now(_DTR0 << 8)
        for _ in range(2):
            self._bus.send_now((self._to | 1) << 8 | _SET_FADE_TIME)
        self._bus.send_now(self._to << 8 | self._level())
        self._told = (self.on, self._level(), 0)

    async def look(self):
        """Return the gear's status as 62386-102 has it, None when nothing answers, or BROKEN; False without mains."""
        still_ms = time.ticks_diff(time.ticks_ms(), self._moved_ms)
        if not self.on and self._relay is not None:
            if self._relay.value() and still_ms > self._fade_ms + _OFF_LATER_MS:
                self._relay.value(0)
            return False
        async with self._lock:
            status = await self._bus.ask((self._to | 1) << 8 | _QUERY_STATUS)
            level = None
            if status is not None and status != BROKEN and not status & _LAMP_FAILURE and still_ms > self._fade_ms:
                level = await self._bus.ask((self._to | 1) << 8 | _QUERY_LEVEL)
        cycled = status is not None and status != BROKEN and status & _POWER_CYCLE
        wrong = level is not None and level != BROKEN and level != self._level()
        self._wrong = self._wrong + 1 if wrong else 0
        if cycled or self._wrong >= _WRONG_LOOKS:  # it has missed something: say it again
            self._fade = -1
            self._told = None
            self._wrong = 0
            self._start()
        return status

    async def temperature_c(self):
        """Return the gear's own temperature, None when it does not tell."""
        if not self.on and self._relay is not None:
            return None
        async with self._lock:
            await self._bus.send(_DTR1 << 8 | _DIAGNOSTICS)
            await self._bus.send(_DTR0 << 8 | _TEMPERATURE)
            value = await self._bus.ask((self._to | 1) << 8 | _READ_MEMORY)
        return None if value is None or not 0 <= value < 254 else value - 60

    async def address(self, anew: bool) -> list:
        """Give gear without a short address one, or all gear anew; return those given. Raises OSError."""
        async with self._lock:
            with borrowed("lamp.dali_addressing") as addressing:
                return await addressing.assign(self._bus, anew)

    def _level(self) -> int:
        return dali_frames.arc_level(self.dim_pct * self.full_pct / 100) if self.on else 0

    def _close(self) -> bool:
        """Give the gear its mains; return whether it had none."""
        if self._relay is None or (self._relay.value() and self._told is not None):
            return False
        self._relay.value(1)
        return True

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while self._told != (self.on, self._level(), self._fade_ms):
            async with self._lock:
                if self.on and self._close():
                    await asyncio.sleep_ms(_GEAR_STARTS_MS)
                code = dali_frames.fade_code(self._fade_ms)
                if code != self._fade:  # gear keeps it through power cuts, and wears out by it
                    await self._bus.send(_DTR0 << 8 | code)
                    await self._bus.send((self._to | 1) << 8 | _SET_FADE_TIME, 2)
                    self._fade = code
                told = (self.on, self._level(), self._fade_ms)
                await self._bus.send(self._to << 8 | told[1])
                self._told = told
        self._task = None
