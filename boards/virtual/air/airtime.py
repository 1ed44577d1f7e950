# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Time on air of a LoRa frame with explicit header, in whole microseconds.

Source: Semtech AN1200.13 "LoRa Modem Designer's Guide", and SX1276 datasheet section 4.1.1.7, the same formula.
"""

BANDWIDTHS_HZ = (125_000, 250_000, 500_000)
SPREADING_FACTORS = range(7, 13)
CODING_RATES = range(5, 9)
HEADER_SYMBOLS = 8  # the first block of symbols carries the header, always at coding rate 4/8

_LOW_DATA_RATE_SYMBOL_US = 16_000  # low data rate optimisation at symbols of 16 ms and longer (AN1200.13 section 4)


def symbol_us(sf: int, bw_hz: int) -> int:
    """Length of one symbol; whole microseconds at the three LoRaWAN bandwidths."""
    return (1_000_000 << sf) // bw_hz


def payload_symbols(sf: int, bw_hz: int, payload_len: int, crc: bool = True, coding_rate: int = 5) -> int:
    """Symbols after the preamble, header included; coding_rate is the denominator of 4/x."""
    bits_per_symbol = sf - 2 if symbol_us(sf, bw_hz) >= _LOW_DATA_RATE_SYMBOL_US else sf
    bits = 8 * payload_len - 4 * sf + 28 + (16 if crc else 0)
    blocks = max(-(-bits // (4 * bits_per_symbol)), 0)
    return HEADER_SYMBOLS + blocks * coding_rate


def time_on_air_us(
    sf: int, bw_hz: int, payload_len: int, crc: bool = True, coding_rate: int = 5, preamble: int = 8
) -> int:
    """From the first to the last symbol; preamble is the programmed length, without sync word and SFD."""
    quarters = 4 * preamble + 17 + 4 * payload_symbols(sf, bw_hz, payload_len, crc, coding_rate)
    return symbol_us(sf, bw_hz) * quarters // 4
