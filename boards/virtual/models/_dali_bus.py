# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The two wires of DALI with all control gear on them, and what a gear knows while addresses are given."""

import random
from collections.abc import Callable
from typing import Protocol

from boards.virtual.pins import PinBank
from boards.virtual.pulses import NEVER_BEGAN, NEVER_ENDED

HALF_US = 1e6 / 2400
HALF, WHOLE = (333, 500), (667, 1000)
ANSWER_AFTER_US = 7000
COLLISION_US = 1450
"""Longer than any level of a frame: two answers at once, of which no receiver makes a byte."""
TWICE_S = 0.1
INITIALISED_S = 15 * 60
YES = 255
NO_ADDRESS = 255
TERMINATE, INITIALISE, RANDOMISE, COMPARE, WITHDRAW = 0xA1, 0xA5, 0xA7, 0xA9, 0xAB
SEARCH_H, SEARCH_M, SEARCH_L, PROGRAM, VERIFY, QUERY_SHORT = 0xB1, 0xB3, 0xB5, 0xB7, 0xB9, 0xBB


class Gear(Protocol):
    """What hangs on the wires."""

    def hear(self, frame: int | None) -> int | None:
        """A forward frame of 16 bits, None for one that is none; its answer."""


class Wires:
    """Of one controller."""

    def __init__(self, pins: PinBank, tx_pin: int, rx_pin: int) -> None:
        self.gear: list[Gear] = []
        self._answer: list[tuple[int, int]] = []
        pins.pin(rx_pin).driven_outside = True
        pins.drive(rx_pin, 1)
        pins.pulses.listeners[tx_pin] = self.hear
        pins.pulses.sources[rx_pin] = self.pulse_us

    def hear(self, level: int, spans_us: list[int]) -> None:
        """A row of pulses on the bus; *level* 0 is the bus pulled low."""
        frame = None if level else decode(spans_us)
        answers = [answer for each in self.gear if (answer := each.hear(frame)) is not None]
        self._answer = []
        if len(answers) == 1:
            self._answer = [(1, ANSWER_AFTER_US), *backward(answers[0])]
        elif answers:
            self._answer = [(1, ANSWER_AFTER_US), (0, round(HALF_US)), (1, round(HALF_US)), (0, COLLISION_US)]

    def pulse_us(self, level: int, timeout_us: int) -> tuple[int, int]:
        """How long the bus stays at *level*, from where the one who asks has got to in the answer."""
        waited = 0
        while self._answer and self._answer[0][0] != level:
            waited += self._answer.pop(0)[1]
        if not self._answer or waited > timeout_us:
            return (NEVER_ENDED if level else NEVER_BEGAN), timeout_us
        span = self._answer.pop(0)[1]
        return (span, waited + span) if span <= timeout_us else (NEVER_ENDED, waited + timeout_us)


def wires(pins: PinBank, tx_pin: int, rx_pin: int) -> Wires:
    """Those on these pins: the first gear lays them."""
    listener = pins.pulses.listeners.get(tx_pin)
    owner = getattr(listener, "__self__", None)
    return owner if isinstance(owner, Wires) else Wires(pins, tx_pin, rx_pin)


class Addressing:
    """The special commands of 62386-102 as one gear obeys them. ``short`` is its address, NO_ADDRESS for none."""

    def __init__(self, short: int, rng: random.Random, now_s: Callable[[], float]) -> None:
        self.short = short
        self._rng, self._now_s = rng, now_s
        self._random = self._search = 0xFFFFFF
        self._initialised_s: float | None = None
        self._withdrawn = False
        self._first: tuple[int, float] | None = None

    def obey(self, command: int, value: int) -> int | None:
        """Obey one special command; its answer."""
        if command in (INITIALISE, RANDOMISE):
            if self._second(command << 8 | value):
                self._begin(command, value)
            return None
        self._first = None
        if command == TERMINATE:
            self._initialised_s = None
        if not self._initialised() or command == TERMINATE:
            return None
        if command in (SEARCH_H, SEARCH_M, SEARCH_L):
            shift = {SEARCH_H: 16, SEARCH_M: 8, SEARCH_L: 0}[command]
            self._search = self._search & ~(0xFF << shift) | value << shift
            return None
        return self._selected(command, value)

    def _selected(self, command: int, value: int) -> int | None:
        chosen = self._random == self._search
        if command == COMPARE:
            return YES if not self._withdrawn and self._random <= self._search else None
        if command == WITHDRAW:
            self._withdrawn = self._withdrawn or chosen
        elif command == PROGRAM and chosen:
            self.short = NO_ADDRESS if value == NO_ADDRESS else value >> 1
        elif command == VERIFY and value == self.short << 1 | 1:
            return YES
        elif command == QUERY_SHORT and chosen:
            return NO_ADDRESS if self.short == NO_ADDRESS else self.short << 1 | 1
        return None

    def _begin(self, command: int, value: int) -> None:
        if command == RANDOMISE and self._initialised():
            self._random = self._rng.getrandbits(24)
        elif command == INITIALISE:
            mine = value == self.short << 1 | 1 or (value == NO_ADDRESS and self.short == NO_ADDRESS)
            if value == 0 or mine:
                self._initialised_s, self._withdrawn = self._now_s(), False

    def _initialised(self) -> bool:
        return self._initialised_s is not None and self._now_s() - self._initialised_s <= INITIALISED_S

    def _second(self, frame: int) -> bool:
        now_s = self._now_s()
        twice = self._first is not None and self._first[0] == frame and now_s - self._first[1] <= TWICE_S
        self._first = None if twice else (frame, now_s)
        return twice


def decode(spans_us: list[int]) -> int | None:
    """The 16 bits of a forward frame from pulses that begin low; None for what a receiver must refuse."""
    halves: list[int] = []
    for place, span in enumerate(spans_us):
        count = 1 if HALF[0] <= span <= HALF[1] else 2 if WHOLE[0] <= span <= WHOLE[1] else 0
        if not count:
            return None
        halves += [place & 1] * count
    halves += [1] * (len(halves) & 1)  # the last bit may end in rest
    if len(halves) != 34 or halves[:2] != [0, 1]:
        return None
    value = 0
    for first, second in zip(halves[2::2], halves[3::2], strict=True):
        if first == second:
            return None
        value = value << 1 | second
    return value


def backward(answer: int) -> list[tuple[int, int]]:
    """The levels of an answer and how long each lasts, without the rest behind it."""
    halves = [0, 1]
    for bit in range(7, -1, -1):
        halves += [0, 1] if answer >> bit & 1 else [1, 0]
    spans: list[tuple[int, int]] = []
    for level in halves:
        if spans and spans[-1][0] == level:
            spans[-1] = (level, round(2 * HALF_US))
        else:
            spans.append((level, round(HALF_US)))
    return spans[:-1] if spans[-1][0] else spans
