# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# The time module of the board. A board's processor is not slowed down by what else the host does: an interrupt handler
# reads the moment of the edge, and a transfer after a precise wait begins at the end of that wait. How far the host is
# behind is bounded outside (the air's slack).
from time import *  # noqa: F403
from time import sleep_us as _sleep_us
from time import ticks_us as _ticks_us

from micropython import const

__name__ = "time"

_FRESH_US = const(20000)

edge_us = None  # while an interrupt handler runs
moment_us = 0  # when the processor last looked at the clock, or should have woken
_looked = False


def ticks_us():
    global moment_us, _looked
    if edge_us is not None:
        return edge_us
    moment_us, _looked = _ticks_us(), True
    return moment_us


def sleep_us(us):
    # A wait that follows a look at the clock counts from that look, however long the host took in between.
    global moment_us, _looked
    now_us = _ticks_us()
    if not _looked or now_us - moment_us > _FRESH_US:
        moment_us = now_us
    _looked = False
    moment_us += us
    if moment_us > now_us:
        _sleep_us(moment_us - now_us)
