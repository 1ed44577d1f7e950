# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Belling BL0937 energy meter (data sheet V1.02, chapter 4): a reference of 1.218 V. SEL high asks for the voltage.

CF = 1721506 * V(I) * V(V) / Vref^2; CF1 = 15397 * V(V) / Vref or 94638 * V(I) / Vref.
"""

from firmware.node.sensors._pulse_meter import open_pins

_VREF_MV = 1218


def open_meter(entry: dict):
    """Return the meter. Raises ConfigError."""
    return open_pins(entry, (1721506 / _VREF_MV / _VREF_MV, 15397 / _VREF_MV, 94638 / _VREF_MV))
