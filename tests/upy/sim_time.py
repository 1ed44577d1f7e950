# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A clock that jumps to the next moment at which something happens. Import it before anything that imports time.

It stands in for MicroPython's ``time``, and asyncio waits on it: hours pass in moments, and always in the same way.
"""

import sys

_PERIOD = 1 << 30


class SimTime:
    """The module ``time``, as far as the node uses it. ``now_us`` never wraps; its ticks do, soon after the start."""

    def __init__(self):
        self.now_us = _PERIOD - 5000000

    def ticks_us(self):
        return self.now_us % _PERIOD

    def ticks_ms(self):
        return self.now_us // 1000 % _PERIOD

    def ticks_add(self, ticks, delta):
        return (ticks + delta) % _PERIOD

    def ticks_diff(self, end, start):
        return (end - start + _PERIOD // 2) % _PERIOD - _PERIOD // 2

    def sleep_us(self, us):
        self.now_us += max(0, us)

    def sleep_ms(self, ms):
        self.now_us += max(0, 1000 * ms)


clock = SimTime()
sys.modules["time"] = clock

import asyncio.core  # noqa: E402  it takes its ticks from the module above


def _wait(_queue, dt):
    if dt < 0:
        raise RuntimeError("nothing will ever happen again")
    clock.now_us += 1000 * dt


asyncio.core.IOQueue.wait_io_event = _wait
