# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Energy meters that tell what they measure as frequencies: CF is the power, CF1 voltage or current, as SEL says.

Each pulse of CF is counted: that is the energy. Its period is the power, and a pulse that does not come makes the power
less by itself.
"""

import asyncio
import errno
import time

from machine import Pin, time_pulse_us

from firmware.node.config import board_int

_SETTLE_MS = 20
_VOLTAGE_US = 20000  # half a period is less than a millisecond
_CURRENT_MS = 1200
_LOOK_MS = 20
_NOTHING_US = 30000000  # no pulse for so long: nothing is drawn


class _Pulses:
    """Counts rising edges; *period_us* is what lay between the last two, 0 before there were any."""

    def __init__(self, pin) -> None:
        self._pin = pin
        self.count = 0
        self.last_us = time.ticks_us()
        self.period_us = 0

    def begin(self) -> None:
        self.count = self.period_us = 0
        self._pin.irq(self._edge, Pin.IRQ_RISING)

    def end(self) -> None:
        self._pin.irq(None)

    def _edge(self, pin) -> None:
        # An interrupt: small integers only, nothing is allocated.
        now_us = time.ticks_us()
        if self.count:
            self.period_us = time.ticks_diff(now_us, self.last_us)
        self.last_us = now_us
        self.count += 1


class PulseMeter:
    """*hz_per_w*, *hz_per_v*, *hz_per_a* are the chip's with its resistors; *sel_voltage* is SEL's level for CF1."""

    pulses_wrap = 1 << 60  # it counts itself, from 0 at each start

    def __init__(self, cf, cf1, sel, sel_voltage: int, hz_per: tuple) -> None:
        self._cf, self._cf1, self._sel = _Pulses(cf), cf1, sel
        self._sel_voltage = sel_voltage
        self._hz_per_w, self._hz_per_v, self._hz_per_a = hz_per
        self.pulses_per_wh = self._hz_per_w * 3600
        self.voltage_v = self.current_a = self.power_w = 0.0
        self._cf.begin()

    @property
    def pulses(self) -> int:
        """Return the pulses of CF since the start."""
        return self._cf.count

    async def read(self):
        """Measure and return itself: ``voltage_v``, ``current_a``, ``power_w``. Raises OSError without a voltage."""
        self._sel.value(self._sel_voltage)
        await asyncio.sleep_ms(_SETTLE_MS)
        high_us, low_us = time_pulse_us(self._cf1, 1, _VOLTAGE_US), time_pulse_us(self._cf1, 0, _VOLTAGE_US)
        if high_us <= 0 or low_us <= 0:
            raise OSError(errno.EIO)
        self.voltage_v = 1000000 / (high_us + low_us) / self._hz_per_v
        self.power_w = self._power_w()
        self.current_a = 0.0 if self.power_w == 0 else await self._current_a()
        return self

    def _power_w(self) -> float:
        since_us = time.ticks_diff(time.ticks_us(), self._cf.last_us)
        period_us = max(self._cf.period_us, since_us)
        if not self._cf.period_us:
            return 0.0
        if period_us > _NOTHING_US:  # ticks wrap: begin anew
            self._cf.period_us = 0
            return 0.0
        return 1000000 / period_us / self._hz_per_w

    async def _current_a(self) -> float:
        pulses = _Pulses(self._cf1)
        self._sel.value(1 - self._sel_voltage)
        try:
            await asyncio.sleep_ms(_SETTLE_MS)
            pulses.begin()
            for _ in range(_CURRENT_MS // _LOOK_MS):
                await asyncio.sleep_ms(_LOOK_MS)
                if pulses.period_us:
                    return 1000000 / pulses.period_us / self._hz_per_a
        finally:
            pulses.end()
            self._sel.value(self._sel_voltage)
        return 0.0


def open_pins(entry: dict, hz_per_mv: tuple) -> PulseMeter:
    """Return the meter of a board's ``meter_pulse``; *hz_per_mv*: Hz per mV*mV, per mV voltage, per mV current."""
    shunt_mohm = board_int(entry, "shunt_uohm", 1000) / 1000
    upper, lower = board_int(entry, "upper_ohm"), board_int(entry, "lower_ohm")
    mv_per_v = 1000 * lower / (upper + lower)
    hz_per = (hz_per_mv[0] * mv_per_v * shunt_mohm, hz_per_mv[1] * mv_per_v, hz_per_mv[2] * shunt_mohm)
    pins = [Pin(board_int(entry, name), Pin.IN) for name in ("cf", "cf1")]
    sel_voltage = board_int(entry, "sel_voltage", 1)  # 0 where a transistor turns it round
    sel = Pin(board_int(entry, "sel"), Pin.OUT, value=sel_voltage)
    return PulseMeter(pins[0], pins[1], sel, sel_voltage, hz_per)
