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
from firmware.node.log import log

_BROADCAST = 0xFE
_SET_FADE_TIME = 0x2E
_QUERY_STATUS = 0x90
_QUERY_LEVEL = 0xA0
_READ_MEMORY = 0xC5
_DTR0 = 0xA3
_DTR1 = 0xC3
_DIAGNOSTICS = 205  # memory bank of DALI part 253 (DiiA): what goes on in the gear
_TEMPERATURE = 0x1B  # there: 60 degrees more than it is, 254 and 255 when it is not known
_FAILURES = 3  # bits of the status: of the gear, and of the lamp
_LAMP_FAILURE = 2
_POWER_CYCLE = 128  # it was without power and has heard no command since
_GEAR_STARTS_MS = 700
_OFF_LATER_MS = 1000
_WRONG_LOOKS = 2


class DaliLamp:
    """*address* is the gear's short address, None for all on the bus; *group* the one of the bus that is ours.

    *relay* cuts the gear's mains, or is None. ``gears``: so many, from short address 0 on, are asked one by one, and
    all of the group or of the bus are told their level at once; 0: there is the one at *address*.
    """

    def __init__(self, bus, address, relay=None, group=None) -> None:
        self.bus = bus
        self.gears = 0
        self._address = address
        self._group = group
        self._relay = relay
        self._lock = asyncio.Lock()
        self._task = None  # type: asyncio.Task | None
        self._told = None  # type: tuple | None
        self._fade = -1
        self._fade_ms = 0
        self._moved_ms = time.ticks_ms()
        self._wrong = 0
        self._faults = None  # type: list | None
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

    @property
    def _to(self) -> int:
        """Whom levels are for."""
        if self._group is not None:
            return 0x80 | self._group << 1
        return _BROADCAST if self.gears or self._address is None else self._address << 1

    def _asked(self) -> list:
        """Return the addresses of those who answer queries, one at a time."""
        return [each << 1 for each in range(self.gears)] or [self._to if self._address is None else self._address << 1]

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
        self.bus.send_now(_DTR0 << 8)
        for _ in range(2):
            self.bus.send_now((self._to | 1) << 8 | _SET_FADE_TIME)
        self.bus.send_now(self._to << 8 | self._level())
        self._told = (self.on, self._level(), 0)

    async def look(self):
        """Return the gear's status as 62386-102 has it, None when nothing answers, or BROKEN; False without mains.

        Of several gears the bits of all together, and None when one of them does not answer.
        """
        still_ms = time.ticks_diff(time.ticks_ms(), self._moved_ms)
        if not self.on and self._relay is not None:
            if self._relay.value() and still_ms > self._fade_ms + _OFF_LATER_MS:
                self._relay.value(0)
            return False
        statuses = []
        wrong = cycled = False
        async with self._lock:
            for to in self._asked():
                status, level = await self._look_at(to, still_ms > self._fade_ms)
                statuses.append(status)
                cycled = cycled or (status not in (None, BROKEN) and status & _POWER_CYCLE)
                wrong = wrong or level not in (None, BROKEN, self._level())
        self._wrong = self._wrong + 1 if wrong else 0
        if cycled or self._wrong >= _WRONG_LOOKS:  # it has missed something: say it again
            self._fade = -1
            self._told = None
            self._wrong = 0
            self._start()
        return self._together(statuses)

    async def _look_at(self, to: int, still: bool) -> tuple:
        """Return the status of one gear, and its level if it must have reached one."""
        status = await self.bus.ask((to | 1) << 8 | _QUERY_STATUS)
        if status is None or status == BROKEN or status & _LAMP_FAILURE or not still:
            return status, None
        return status, await self.bus.ask((to | 1) << 8 | _QUERY_LEVEL)

    def _together(self, statuses: list):
        faults = [status is None or (status != BROKEN and status & _FAILURES != 0) for status in statuses]
        if len(faults) > 1 and faults != self._faults:  # readings do not tell them apart
            self._faults = faults
            silent = [each for each in range(len(faults)) if statuses[each] is None]
            log(
                "lamp",
                "DALI: without an answer %s, with a fault %s" % (silent, [i for i in range(len(faults)) if faults[i]]),
            )
        if None in statuses:
            return None
        known = [status for status in statuses if status != BROKEN]
        both = 0
        for status in known:
            both |= status
        return both if known else BROKEN

    async def temperature_c(self):
        """Return the gear's own temperature, of several the highest; None when none tells."""
        if not self.on and self._relay is not None:
            return None
        hottest = None
        async with self._lock:
            for to in self._asked():
                await self.bus.send(_DTR1 << 8 | _DIAGNOSTICS)
                await self.bus.send(_DTR0 << 8 | _TEMPERATURE)
                value = await self.bus.ask((to | 1) << 8 | _READ_MEMORY)
                if value is not None and 0 <= value < 254 and (hottest is None or value - 60 > hottest):
                    hottest = value - 60
        return hottest

    async def address(self, anew: bool) -> list:
        """Give gear without a short address one, or all gear anew; return those given. Raises OSError."""
        async with self._lock:
            with borrowed("lamp.dali_addressing") as addressing:
                return await addressing.assign(self.bus, anew, self._group)

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
                    await self.bus.send(_DTR0 << 8 | code)
                    await self.bus.send((self._to | 1) << 8 | _SET_FADE_TIME, 2)
                    self._fade = code
                told = (self.on, self._level(), self._fade_ms)
                await self.bus.send(self._to << 8 | told[1])
                self._told = told
        self._task = None
