# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Pulses that hardware makes and measures, exact to the microsecond however busy this computer is.

A generator (the ESP32's RMT) sends a row of pulses to whoever listens on the pin; machine.time_pulse_us() asks who
drives the pin how long it stays there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from boards.virtual.protocol import Misuse

if TYPE_CHECKING:
    from boards.virtual.pins import PinBank

Listener = Callable[[int, list[int]], None]
"""Takes the first level and the pulses in microseconds, the level changing from one to the next and at the end."""
Source = Callable[[int, int], tuple[int, int]]
"""Takes a level and a time-out; gives what time_pulse_us() returns, and the microseconds that it took."""

NEVER_BEGAN, NEVER_ENDED = -2, -1
_OUT = 1  # pins.OUT
_LONGEST_US = 32_767
_SYMBOLS = 128  # two blocks of the generator's memory


class Pulses:
    """Of a board. Empty when no model listens or sends; such a board has no generator either."""

    def __init__(self, pins: PinBank) -> None:
        self._pins = pins
        self.listeners: dict[int, Listener] = {}
        self.sources: dict[int, Source] = {}

    def __bool__(self) -> bool:
        return bool(self.listeners or self.sources)

    def send(self, number: int, level: int, spans_us: list[int]) -> None:
        """RMT.write_pulses(); Misuse for what the peripheral cannot do."""
        pin = self._pins.pin(number)
        if pin.mode != _OUT:
            raise Misuse(f"RMT on pin {number}: it is not an output")
        if len(spans_us) > _SYMBOLS or any(not 0 < span <= _LONGEST_US for span in spans_us):
            raise Misuse(f"RMT: {len(spans_us)} pulses, up to {max(spans_us, default=0)}; {_SYMBOLS}, {_LONGEST_US}")
        pin.latch = level ^ len(spans_us) & 1
        listener = self.listeners.get(number)
        if listener is not None:
            listener(level, spans_us)

    def width_us(self, number: int, level: int, timeout_us: int) -> tuple[int, int]:
        """machine.time_pulse_us(), and how long it takes."""
        source = self.sources.get(number)
        if source is not None:
            return source(level, timeout_us)
        return (NEVER_ENDED if self._pins.read(number) == level else NEVER_BEGAN), timeout_us
