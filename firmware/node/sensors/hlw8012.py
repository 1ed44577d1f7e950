# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""HLiWi HLW8012 energy meter (user manual 1.1, section 3.1): an oscillator of 3.579 MHz, a reference of 2.43 V.

CF = 48 * V1 * V2 / Vref^2 * fosc / 128; CF1 = 2 * V2 / Vref * fosc / 512 or 24 * V1 / Vref * fosc / 512, with V1 at the
shunt and V2 at the divider. SEL high asks for the voltage.
"""

from firmware.node.sensors._pulse_meter import open_pins

_FOSC_HZ = 3579000
_VREF_MV = 2430


def open_meter(entry: dict):
    """Return the meter. Raises ConfigError."""
    hz = (48 / _VREF_MV / _VREF_MV * _FOSC_HZ / 128, 2 / _VREF_MV * _FOSC_HZ / 512, 24 / _VREF_MV * _FOSC_HZ / 512)
    return open_pins(entry, hz)
