# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# Stepped time (boards/virtual/stepped.py), loaded only where it is wanted: every wait of the board is a request, and
# time goes on only inside one. So the moment of the last answer is the moment that it is.
import select as _select
import struct
import sys

import board_machine
import board_time
import hal
from micropython import const

__name__ = "select"

_STEP_US = const(5000)  # between two looks at what has no interrupt: a UART
_now_us = 0

POLLIN, POLLOUT, POLLERR, POLLHUP = _select.POLLIN, _select.POLLOUT, _select.POLLERR, _select.POLLHUP


def _wait(until_us):
    global _now_us
    _now_us = struct.unpack("<q", hal.call(hal.CLOCK, 0, struct.pack("<q", until_us)))[0]


def ticks_us():
    _wait(0)  # looking takes a moment, or a loop that waits for one would never end
    return _now_us


def ticks_ms():
    return ticks_us() // 1000


def sleep_us(us):
    until_us = _now_us + us
    while _now_us < until_us:
        _wait(until_us)


def sleep_ms(ms):
    sleep_us(ms * 1000)


def sleep(seconds):
    sleep_us(int(seconds * 1000000))


class poll:
    def __init__(self):
        self._poll = _select.poll()
        self._looked_at = []
        self.modify = self._poll.modify

    def register(self, what, *events):
        self._poll.register(what, *events)
        if hasattr(what, "any") and what not in self._looked_at:
            self._looked_at.append(what)

    def unregister(self, what):
        self._poll.unregister(what)
        if what in self._looked_at:
            self._looked_at.remove(what)

    def poll(self, timeout_ms=-1, flags=0):
        until_us = -1 if timeout_ms is None or timeout_ms < 0 else _now_us + timeout_ms * 1000
        while True:
            ready = self._poll.poll(0)
            if ready or 0 <= until_us <= _now_us:
                return ready
            look_us = _now_us + _STEP_US if self._looked_at else until_us
            _wait(look_us if until_us < 0 else min(until_us, look_us))

    def ipoll(self, timeout_ms=-1, flags=0):
        return iter(self.poll(timeout_ms))


def install():
    board_machine.time = board_time
    board_time._ticks_us, board_time._sleep_us = ticks_us, sleep_us
    board_time.ticks_ms, board_time.sleep_ms, board_time.sleep = ticks_ms, sleep_ms, sleep
    _wait(0)
    sys.modules["select"] = sys.modules.pop("board_clock")
