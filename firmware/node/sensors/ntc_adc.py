# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Thermistor from an ADC pin to ground, with a resistor to the supply that is also the ADC's reference.

The equation of the B parameter: 1/T = 1/T25 + ln(R/R25) / B. Of a common 10 kOhm, B 3950 it is within 1 K from -20 to
60 C and reads some 3 K low at 150 C.
"""

import errno
import math
import time

from machine import ADC, Pin

from firmware.node.config import board_int

USE = "temperature"

_SETTLE_MS = 1
_FULL = 65535
_OPEN, _SHORT = 65000, 40  # nothing that is whole reads so
_T25_K = 298.15
_ZERO_K = 273.15


class Ntc:
    """*adc* is a machine.ADC; *power* feeds both resistors, or None; *ohm_25* and *beta_k* are the thermistor's."""

    def __init__(self, adc, power, series_ohm: int, ohm_25: int, beta_k: int) -> None:
        self._adc = adc
        self._power = power
        self._ratio = series_ohm / ohm_25
        self._beta_k = beta_k

    def temperature_c(self) -> float:
        """Return degrees Celsius. Raises OSError when the thermistor is broken or short."""
        if self._power is not None:  # always on, the two of them would take as much as all else while it sleeps
            self._power.value(1)
            time.sleep_ms(_SETTLE_MS)
        raw = self._adc.read_u16()
        if self._power is not None:
            self._power.value(0)
        if not _SHORT < raw < _OPEN:
            raise OSError(errno.EIO)
        ratio = self._ratio * raw / (_FULL - raw)
        return 1 / (1 / _T25_K + math.log(ratio) / self._beta_k) - _ZERO_K


def open_sensor(entry: dict, i2c) -> Ntc:
    """Return the thermistor. Raises ConfigError."""
    from firmware.node.sensors._opening import open_switch  # borrowed

    adc = ADC(Pin(board_int(entry, "adc")))
    ohms = board_int(entry, "series_ohm", 10000), board_int(entry, "ohm_25", 10000)
    return Ntc(adc, open_switch(entry), ohms[0], ohms[1], board_int(entry, "beta_k", 3950))
