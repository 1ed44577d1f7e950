# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""When to open a receive window, and for how many symbols, so that clock errors of both sides fit. Pure.

The sizing that certified stacks use: the preamble's eight symbols arrive at the nominal moment give or take the error;
the window is centred on what remains of them, and long enough to detect a preamble that starts anywhere in between.
"""

from firmware.wire.airtime import symbol_us

MIN_SYMBOLS = 6  # a receiver needs these of the preamble to be sure
_PREAMBLE_SYMBOLS = 8


def receive_window(sf: int, bw_hz: int, error_us: int, wake_us: int, min_symbols: int = MIN_SYMBOLS) -> tuple[int, int]:
    """Return (symbols, offset in us from the nominal moment at which to start the receiver; negative is earlier).

    *error_us*: how far off the start may be, either way. *wake_us*: from the command until the receiver hears.
    """
    ts = symbol_us(sf, bw_hz)
    need_us = (2 * min_symbols - _PREAMBLE_SYMBOLS) * ts + 2 * error_us
    symbols = max((need_us + ts - 1) // ts, min_symbols)
    return symbols, _PREAMBLE_SYMBOLS * ts // 2 - symbols * ts // 2 - wake_us
