# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The two wires of DALI as a controller uses them: frames out, answers in. Loaded only where the board's file has DALI.

Where a port has a pulse generator (ESP32: RMT) it sends; elsewhere the processor counts microseconds itself. Interrupts
stay on, so that a radio's moments are not lost: a frame that one of them spoils is sent again. Listening holds the
processor for 12 ms when nothing answers and for 20 ms when something does, sending without a generator for 14: while a
radio sends and waits for an answer, whose window would come late, the bus waits.
"""

import asyncio
import time

from machine import Pin, time_pulse_us

from firmware.node.lamp import dali_frames

_FRAME_US = 14167  # 16 bits and the start bit, to the last edge at most
_APART_MS = 14  # from the end of a frame to the next one: 13.5 ms (62386-101, table 20)
_ANSWER_US = 12500  # an answer begins within 10.5 ms, and not before 2.9 ms, in older gear
_LATE_US = 2500  # listening later than this it could be cut
_REST_US = 1300  # longer than two halves: the frame is over
_TRIES = 3
_LATE_TRIES = 8  # what was not listened to in time says nothing
_HOLD_MS = 50
_LONGEST_HOLD_MS = 20000  # the longest frame, RX1 after 15 s, RX2: then the lamp comes first
BROKEN = -1  # something answered, and could not be understood: two at once, or noise


class DaliBus:
    """*tx* and *rx* are machine.Pins; *tx_idle* and *rx_idle* their levels while the bus rests high.

    ``link`` has ``in_exchange`` where what holds the processor would hurt it.
    """

    def __init__(self, tx, rx, tx_idle: int = 1, rx_idle: int = 1) -> None:
        tx.init(Pin.OUT, value=tx_idle)
        self._tx, self._rx = tx, rx
        self._tx_idle, self._rx_idle = tx_idle, rx_idle
        self._ended_us = time.ticks_us()
        self.link = None  # type: object
        try:
            made = __import__("esp32").RMT
            self._pulses = made(0, pin=tx, clock_div=80, idle_level=bool(tx_idle))  # a pulse of 1 is a microsecond
        except ImportError:
            self._pulses = None

    async def send(self, frame: int, times: int = 1) -> None:
        """Send a forward frame; settings of gear are obeyed when they come twice within 100 ms."""
        held_ms = 0
        while getattr(self.link, "in_exchange", False) and held_ms < _LONGEST_HOLD_MS:
            await asyncio.sleep_ms(_HOLD_MS)
            held_ms += _HOLD_MS
        for _ in range(times):
            await asyncio.sleep_ms(max(0, self._left_ms(_APART_MS)))
            self._transmit(frame)

    def send_now(self, frame: int) -> None:
        """Send a forward frame whatever else is going on, and return when it is over."""
        time.sleep_ms(max(0, self._left_ms(_APART_MS)))
        self._transmit(frame)
        time.sleep_ms(max(0, self._left_ms(1)))

    async def ask(self, frame: int, tries: int = _TRIES):
        """Return the answer to a query, 0 to 255, None when nothing answers, or BROKEN; that too when never in time."""
        answer = None
        late = 0
        while tries > 0:
            await self.send(frame)
            await asyncio.sleep_ms(max(0, self._left_ms(0)))
            if time.ticks_diff(time.ticks_us(), self._ended_us) > _LATE_US:
                late += 1
                if late > _LATE_TRIES:
                    return BROKEN
                continue
            tries -= 1
            heard = self._listen()
            if heard is not None:
                answer = heard
            if heard is not None and heard != BROKEN:
                break
        return answer

    def _left_ms(self, after_ms: int) -> int:
        """Return how long until so many milliseconds have passed since the last frame ended."""
        return after_ms + time.ticks_diff(self._ended_us, time.ticks_us()) // 1000 + 1

    def _transmit(self, frame: int) -> None:
        edges = dali_frames.edges_us(frame, dali_frames.FORWARD_BITS)
        spans = [edges[i] - (edges[i - 1] if i else 0) for i in range(len(edges))]
        self._ended_us = time.ticks_add(time.ticks_us(), _FRAME_US)
        if self._pulses is not None:
            self._pulses.write_pulses(spans, 1 - self._tx_idle)
        else:
            bang(self._tx, spans, 1 - self._tx_idle)

    def _listen(self):
        """Take in a backward frame; MicroPython counts the pulses in C, a little short for what lies between."""
        level = 1 - self._rx_idle
        span = time_pulse_us(self._rx, level, _ANSWER_US)
        if span < 0:
            return None
        edges = [0]
        while span >= 0 and len(edges) < 20:
            edges.append(edges[-1] + span)
            level ^= 1
            span = time_pulse_us(self._rx, level, _REST_US)
        value = dali_frames.decode(edges)
        return BROKEN if value is None else value


def bang(pin, spans: list, level: int) -> None:
    """Hold *level* on the pin for the first of *spans* in microseconds, then the other, and so on; end on the other."""
    ticks_us, ticks_diff, ticks_add, put = time.ticks_us, time.ticks_diff, time.ticks_add, pin.value
    due = ticks_us()
    for span in spans:
        due = ticks_add(due, span)
        put(level)
        level ^= 1
        while ticks_diff(due, ticks_us()) > 0:
            pass
    put(level)
