# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Battery on an ADC pin, through a divider that a pin may switch on.

Voltage says little of a lithium thionyl chloride cell: flat at 3.6 V until the last tenth, and lower in the cold (Saft
LS 26500 data sheet, typical discharge at 20 C and voltage against temperature). The percentages are of a cell at rest.
"""

import time

from machine import ADC, Pin

from firmware.node.config import board_int
from firmware.node.errors import ConfigError

USE = "battery"

_SETTLE_MS = 2
_SAMPLES = 8
_FULL = 65535
_ROOM_C = 20

# per cell: millivolts that fall away per degree below 20 C, then (millivolts, percent) falling
_CURVES = {
    "lisocl2": (2, ((3640, 100), (3600, 80), (3560, 50), (3500, 25), (3400, 10), (3200, 3), (3000, 0))),
    "liion": (3, ((4150, 100), (4000, 85), (3850, 60), (3750, 40), (3650, 20), (3500, 8), (3200, 0))),
    "alkaline": (2, ((1550, 100), (1400, 75), (1300, 50), (1200, 25), (1100, 10), (1000, 0))),
}


class Battery:
    """*full_scale_mv* is the battery's voltage at which the ADC, behind the divider, reads its full scale."""

    def __init__(self, adc, switch, full_scale_mv: int, chemistry: str, cells: int) -> None:
        self._adc = adc
        self._switch = switch
        self._full_scale_mv = full_scale_mv
        self._per_degree_mv, self._curve = _CURVES[chemistry]
        self._cells = cells

    def voltage_mv(self) -> int:
        """Return millivolts, the mean of a few samples."""
        if self._switch is not None:
            self._switch.value(1)
            time.sleep_ms(_SETTLE_MS)
        total = 0
        for _ in range(_SAMPLES):
            total += self._adc.read_u16()
        if self._switch is not None:
            self._switch.value(0)
        return total * self._full_scale_mv // (_FULL * _SAMPLES)

    def charge_pct(self, mv: int, temperature_c: float | None) -> int:
        """Return what is left, 0 to 100, as if the cell were at 20 C."""
        cold = 0 if temperature_c is None else max(0, _ROOM_C - int(temperature_c))
        cell = mv // self._cells + cold * self._per_degree_mv
        above_mv, above_pct = self._curve[0]
        for at_mv, pct in self._curve:
            if cell >= at_mv:
                if at_mv == above_mv:
                    return pct
                return pct + (above_pct - pct) * (cell - at_mv) // (above_mv - at_mv)
            above_mv, above_pct = at_mv, pct
        return 0


def open_sensor(entry: dict, i2c) -> Battery:
    """Return the battery. Raises ConfigError."""
    chemistry = entry.get("chemistry", "lisocl2")
    if chemistry not in _CURVES:
        raise ConfigError("identity: battery chemistry is %r; known are %s" % (chemistry, ", ".join(sorted(_CURVES))))
    switch = Pin(board_int(entry, "power_pin"), Pin.OUT, value=0) if "power_pin" in entry else None
    adc = ADC(Pin(board_int(entry, "adc")))
    return Battery(adc, switch, board_int(entry, "full_scale_mv"), chemistry, max(1, board_int(entry, "cells", 1)))
