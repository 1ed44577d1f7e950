# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# Interrupts of the board: Pin.irq() and Timer callbacks, run by MicroPython's scheduler as on a real port.
import os
import struct
import sys

import board_time
import hal
import uctypes
from micropython import const

_PIN = const(0)
_TIMER = const(1)
_TIMERS = const(16)

_handlers = {}


def _dispatch(_):
    if hal.busy[0]:
        hal.busy[1] = _dispatch
        return
    events = hal.call(hal.EVENTS)
    for i in range(0, len(events), 10):
        kind, number, board_time.edge_us = struct.unpack_from("<BBq", events, i)
        known = _handlers.get((kind, number))
        if known:
            try:
                known[0](known[1])
            except Exception as e:  # noqa: BLE001  as the scheduler of a port: print it and go on
                sys.print_exception(e)
    board_time.edge_us = None


uctypes.bytearray_at(int(os.getenv("LYKTA_IRQ_SLOT")), 8)[:] = struct.pack("<Q", id(_dispatch))


def pin_irq(pin, number, handler, trigger):
    _handlers.pop((_PIN, number), None)
    if handler is not None:
        _handlers[(_PIN, number)] = (handler, pin)
    hal.call(hal.PIN_IRQ, number, bytes([trigger if handler else 0]))


def on(kind, handler):
    _handlers[(kind, 0)] = (handler, None)


def start_timer(timer, periodic, period_us, callback):
    for number in range(_TIMERS):
        if (_TIMER, number) not in _handlers:
            _handlers[(_TIMER, number)] = (callback or (lambda timer: None), timer)
            hal.call(hal.TIMER, number, struct.pack("<BI", periodic, period_us))
            return number
    raise OSError(12)  # ENOMEM, as ports do


def stop_timer(number):
    _handlers.pop((_TIMER, number), None)
    hal.call(hal.TIMER, number, struct.pack("<BI", 0, 0))
