# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Photocell with a linear amplifier on an analogue input."""

_FULL_SCALE_LX = 2000  # at the input's full scale
_FULL_SCALE = 65535


class Photocell:
    """*adc* is a machine.ADC."""

    def __init__(self, adc) -> None:
        self._adc = adc

    def illuminance_lx(self) -> float:
        """Return the ambient light in lux. Raises OSError."""
        return self._adc.read_u16() * _FULL_SCALE_LX / _FULL_SCALE
