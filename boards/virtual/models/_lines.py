# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The wires of a radio chip beside SPI data: chip select, reset, BUSY and the interrupt line."""

import asyncio
from collections.abc import Callable

from boards.virtual.pins import OUT, PinBank

RESET_PULSE_US = 100  # the shortest that both families promise to notice


class InputLine:
    """A pin that the processor drives; `changed(low)` is called at its edges."""

    def __init__(self, pins: PinBank, number: int, changed: Callable[[bool], None]) -> None:
        self._pin, self._changed = pins.pin(number), changed
        self.low = False
        pins.watch(number, self._look)

    def _look(self) -> None:
        low = self._pin.mode == OUT and self._pin.level == 0
        if low != self.low:
            self.low = low
            self._changed(low)


class ResetLine:
    """NRESET: too short a pulse is a finding, not a reset."""

    def __init__(
        self,
        pins: PinBank,
        number: int,
        on_reset: Callable[[bool], None],
        complain: Callable[[str], None],
        now_us: Callable[[], int],
    ) -> None:
        self._on_reset, self._complain, self._now_us = on_reset, complain, now_us
        self._since_us = 0
        InputLine(pins, number, self._edge)

    def _edge(self, low: bool) -> None:
        if low:
            self._since_us = self._now_us()
        elif self._now_us() - self._since_us < RESET_PULSE_US:
            self._complain("the radio's reset line was low for less than 100 us; the chip may not notice")
        self._on_reset(low)


class OutputLine:
    """A pin that the chip drives."""

    def __init__(self, pins: PinBank, number: int) -> None:
        self._pins, self._number = pins, number
        self.level = 0
        pins.pin(number).driven_outside = True

    def set(self, level: int, at_us: int | None = None) -> None:
        """Drive it; at_us is the moment of the edge, when that has passed already."""
        self.level = level
        self._pins.drive(self._number, level, at_us)


class BusyLine:
    """High while the chip cannot take a command."""

    def __init__(self, pins: PinBank, number: int, stuck: Callable[[], bool]) -> None:
        self._line, self._stuck = OutputLine(pins, number), stuck
        self._timer: asyncio.TimerHandle | None = None

    @property
    def high(self) -> bool:
        """Level."""
        return bool(self._line.level)

    def hold(self, duration_us: int | None) -> None:
        """High for that time from now, or until release() (None)."""
        self._cancel()
        self._line.set(1)
        if duration_us is not None:
            self._timer = asyncio.get_running_loop().call_later(duration_us / 1e6, self.release)

    def release(self) -> None:
        """Low, unless a fault holds it."""
        self._cancel()
        if not self._stuck():
            self._line.set(0)

    def off(self) -> None:
        """No power."""
        self._cancel()
        self._line.set(0)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
