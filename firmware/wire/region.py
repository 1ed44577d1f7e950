# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""EU863-870, the regional parameters of RP002-1.0.4 section 2.4. Data and small lookups; no state."""

# Data rate: (spreading factor, bandwidth in Hz, longest application payload in bytes without FOpts), tables 9 and 12
# of section 2.4. DR7 (FSK) and DR8 to DR11 (LR-FHSS) are not built.
DATA_RATES = (
    (12, 125000, 51),
    (11, 125000, 51),
    (10, 125000, 51),
    (9, 125000, 115),
    (8, 125000, 242),
    (7, 125000, 242),
    (7, 250000, 242),
)
MIN_DR = 0
MAX_DR = 6
MAX_DEFAULT_DR = 5  # of the default channels and of those a CFList adds

DEFAULT_CHANNELS_HZ = (868100000, 868300000, 868500000)
MAX_CHANNELS = 16
RX2_HZ = 869525000
RX2_DR = 0

SYNC_WORD = 0x34
MAX_EIRP_DBM = 16
MAX_TX_POWER = 7  # index; each step is 2 dB below MAX_EIRP_DBM
MAX_RX1_DR_OFFSET = 5

RECEIVE_DELAY1_MS = 1000
JOIN_ACCEPT_DELAY1_MS = 5000
WINDOW_GAP_MS = 1000  # RX2 opens this long after RX1

ADR_ACK_LIMIT = 64
ADR_ACK_DELAY = 32

# Sub-bands: lowest and highest frequency in Hz, duty cycle as 1/n, highest ERP in dBm (ERC/REC 70-03 annex 1).
# What lies between them may not be used.
BANDS = (
    (863000000, 865000000, 1000, 14),
    (865000000, 868000000, 100, 14),
    (868000000, 868600000, 100, 14),
    (868700000, 869200000, 1000, 14),
    (869400000, 869650000, 10, 27),
    (869700000, 870000000, 100, 14),
)
DUTY_WINDOW_MS = 3600000


def band_of(freq_hz: int) -> "int | None":
    """Return the index in ``BANDS``, or None for a frequency that may not be used."""
    for i in range(len(BANDS)):
        if BANDS[i][0] <= freq_hz <= BANDS[i][1] and not (freq_hz == 868000000 and i == 1):
            return i
    return None


def rx1_dr(uplink_dr: int, offset: int) -> int:
    """Return the data rate of RX1 (table 16)."""
    return max(MIN_DR, uplink_dr - offset)


def lower_dr(dr: int) -> int:
    """Return the next data rate of the ADR back-off; the lowest is its own (table 15)."""
    return max(MIN_DR, dr - 1)


def eirp_dbm(tx_power: int) -> int:
    """Return the radiated power of a TXPower index (table 11)."""
    return MAX_EIRP_DBM - 2 * tx_power


def dr_of(sf: int, bw_hz: int) -> "int | None":
    """Return the data rate with this modulation, or None."""
    for dr in range(len(DATA_RATES)):
        if DATA_RATES[dr][0] == sf and DATA_RATES[dr][1] == bw_hz:
            return dr
    return None
