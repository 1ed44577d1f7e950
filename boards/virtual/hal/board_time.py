# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# The time module of the board. A board's processor is not slowed down by what else the host does: an interrupt handler
# reads the moment of the edge, and what a radio is told right after a precise wait it is told at the end of that wait.
# How far the host may be behind is bounded outside (the air's slack).
from time import *  # noqa: F403
from time import sleep_us as _sleep_us
from time import ticks_us as _ticks_us

import hal
from micropython import const

__name__ = "time"

_FRESH_US = const(20000)
_TRANSFERS = const(2)  # after a wait: an address and its data

edge_us = None  # while an interrupt handler runs
_looked_us = 0
_until_us = 0
_left = 0
_calls = 0


def ticks_us():
    global _looked_us, _left, _calls
    if edge_us is not None:
        return edge_us
    _looked_us, _left, _calls = _ticks_us(), 0, hal.busy[2]
    return _looked_us


def sleep_us(us):
    # A wait that follows a look at the clock counts from that look, however long the host took in between. Not when
    # the hardware was used in between: it has seen the host's time.
    global _until_us, _left, _calls
    now_us = _ticks_us()
    fresh = _calls == hal.busy[2] and now_us - _looked_us < _FRESH_US
    _until_us, _left, _calls = (_looked_us if fresh else now_us) + us, _TRANSFERS, -1
    if _until_us > now_us:
        _sleep_us(_until_us - now_us)


def transfer_us():
    # When the transfer that begins now does so; 0: now.
    global _left
    if not _left:
        return 0
    _left -= 1
    return _until_us
