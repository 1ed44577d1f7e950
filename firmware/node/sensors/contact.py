# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A contact: the output of an inductive loop's detector, or a button. An interrupt keeps each edge with its time."""

import time
from array import array

from machine import Pin

from firmware.node.config import board_int

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any

USE = "contact"

_KEPT = 64  # edges between two looks, a power of two


class Contact:
    """Closed is 1: *closed_level* says what the pin reads then. ``lost`` counts edges that found no room."""

    def __init__(self, pin, closed_level: int) -> None:
        self._pin = pin
        self._closed = closed_level
        # "l" gives small integers back; of "q" come objects, of which ticks_diff makes nonsense without a word.
        self._ticks: "Any" = array("l", [0] * _KEPT)
        self._levels = bytearray(_KEPT)
        self._put = 0
        self._got = 0
        self.lost = 0
        pin.irq(self._edge, Pin.IRQ_RISING | Pin.IRQ_FALLING)

    def closed(self) -> bool:
        """Tell whether it is closed now."""
        return self._pin.value() == self._closed

    def edges(self) -> list:
        """Return (ticks in ms, 1 when it closed) of each edge since the last time."""
        found = []
        while self._got != self._put:
            at = self._got & (_KEPT - 1)
            found.append((self._ticks[at], self._levels[at]))
            self._got += 1
        return found

    def _edge(self, pin) -> None:
        # An interrupt: small integers into arrays that are there already, nothing is allocated.
        if self._put - self._got >= _KEPT:
            self.lost += 1
            return
        at = self._put & (_KEPT - 1)
        self._ticks[at] = time.ticks_ms()
        self._levels[at] = 1 if pin.value() == self._closed else 0
        self._put += 1


def open_sensor(entry: dict, i2c) -> Contact:
    """Return the contact. Raises ConfigError."""
    number = board_int(entry, "pin")
    pin = Pin(number, Pin.IN, Pin.PULL_UP) if entry.get("pull_up", True) else Pin(number, Pin.IN)
    return Contact(pin, board_int(entry, "closed_level", 0))
