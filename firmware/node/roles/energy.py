# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An energy total that outlives both the meter chip's counter and the board's power."""

import struct

from firmware.node.store import Slots

_STORE_EVERY_WH = 50  # flash wear against what a power cut may cost
_RECORD = "<QI"  # pulses in total, the chip's counter at that moment


class EnergyTotal:
    """Adds up a counter that starts at 0 with its chip's power and wraps at *wrap*."""

    def __init__(self, files, name: str, pulses_per_wh: float, wrap: int) -> None:
        self._slots = Slots(files, name)
        self._pulses_per_wh = pulses_per_wh
        self._wrap = wrap
        self._total = 0
        self._last = 0
        if self._slots.payload is not None and len(self._slots.payload) == 12:
            self._total, self._last = struct.unpack(_RECORD, self._slots.payload)
        self._stored = self._total

    def update(self, pulses: int) -> int:
        """Take over the chip's counter and return the total in whole watt hours, as 32 bits."""
        if pulses >= self._last:
            self._total += pulses - self._last
        elif self._last - pulses > self._wrap // 2:
            self._total += pulses + self._wrap - self._last
        else:  # the chip was without power in between and counts from 0 again
            self._total += pulses
        self._last = pulses
        if self._total - self._stored >= _STORE_EVERY_WH * self._pulses_per_wh:
            self._slots.write(struct.pack(_RECORD, self._total, self._last))
            self._stored = self._total
        return int(self._total / self._pulses_per_wh) & 0xFFFFFFFF
