# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How long a LoRa frame is on air: the formula of Semtech AN1200.13, in whole microseconds."""

PREAMBLE_SYMBOLS = 8  # LoRaWAN, RP002-1.0.4 section 2.4.1


def symbol_us(sf: int, bw_hz: int) -> int:
    """Return the length of one symbol; exact for 125, 250 and 500 kHz."""
    return (1000000 << sf) // bw_hz


def time_on_air_us(
    sf: int, bw_hz: int, payload_len: int, crc: bool = True, coding_rate: int = 5, preamble: int = PREAMBLE_SYMBOLS
) -> int:
    """Return the time on air of a frame with explicit header.

    *coding_rate* is the denominator of 4/5 to 4/8. Uplinks carry a CRC, LoRaWAN downlinks do not. Low data rate
    optimisation is on where a symbol lasts 16 ms or longer (SF11 and SF12 at 125 kHz), as LoRaWAN wants it.
    """
    ts = symbol_us(sf, bw_hz)
    de = 1 if ts >= 16000 else 0
    bits = 8 * payload_len - 4 * sf + 28 + (16 if crc else 0)
    per_block = 4 * (sf - 2 * de)
    blocks = max(0, (bits + per_block - 1) // per_block)
    quarter_symbols = 4 * preamble + 17 + 4 * (8 + blocks * coding_rate)  # the preamble ends with 4.25 symbols
    return quarter_symbols * ts // 4
