# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An unmodulated carrier of an SX126x (DS 13.1.14, SetTxContinuousWave). Loaded for that, and given back."""

from firmware.node.radio.sx126x import frequency

_SET_FREQUENCY = 0x86
_SET_TX_CONTINUOUS_WAVE = 0xD1


def start(radio, freq_hz: int, power_dbm: int) -> None:
    """Send until ``end``. Raises RadioError."""
    radio.stop()
    radio._bus.switch(True, False)
    radio._command(_SET_FREQUENCY, frequency(freq_hz))
    radio._power(power_dbm)
    radio._command(_SET_TX_CONTINUOUS_WAVE, b"")


def end(radio) -> None:
    """Stop sending."""
    radio.stop()
