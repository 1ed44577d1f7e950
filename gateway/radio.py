# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a radio link knows of a frame beyond its bytes: how it was heard, how to send one, and what became of it.

Links, and the network stage that plans downlinks, share these; they name no protocol of any gateway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.quick_record import record

MIN_FREQ_HZ = 100_000_000
MAX_FREQ_HZ = 3_000_000_000
SPREADING_FACTORS = range(5, 13)
BANDWIDTHS_HZ = (125_000, 250_000, 500_000)
CODING_RATES = range(5, 9)
MAX_PHY_BYTES = 255
"""The length field of a LoRa PHY header is one byte."""
U32_MODULUS = 1 << 32
"""A concentrator's microsecond counter starts over after this many: every 71.6 minutes."""


@record
class Reception:
    """How one gateway heard a LoRa frame."""

    gateway_eui: bytes
    """Eight bytes."""
    tmst_us: int
    """The concentrator's own counter at the end of the frame, 32 bits. Downlinks are timed against it."""
    freq_hz: int
    sf: int
    bw_hz: int
    rssi_dbm: float
    snr_db: float
    coding_rate: int = 5
    """Denominator of 4/x."""
    time_s: float | None = None
    """UTC at reception as the gateway's machine knew it, Unix seconds."""
    gps_ms: int | None = None
    """Milliseconds since 1980-01-06 without leap seconds; only from a gateway with a GPS fix."""


@dataclass(frozen=True, slots=True)
class RadioDownlink:
    """How and when a frame goes on air: at ``tmst_us``, or at ``gps_ms``, or with neither at once.

    The defaults are those of a LoRaWAN data downlink (TS001-1.0.4 section 3.2: inverted IQ, no payload CRC).
    """

    freq_hz: int
    sf: int
    bw_hz: int
    power_dbm: int
    tmst_us: int | None = None
    gps_ms: int | None = None
    coding_rate: int = 5
    preamble_symbols: int = 8
    inverted_iq: bool = True
    crc: bool = False
    rf_chain: int = 0

    def __post_init__(self) -> None:
        """Refuse what no gateway could send. Raises ValueError."""
        if self.tmst_us is not None and self.gps_ms is not None:
            raise ValueError("a downlink has one moment: tmst_us or gps_ms, not both")
        for name, value, allowed in (
            ("freq_hz", self.freq_hz, range(MIN_FREQ_HZ, MAX_FREQ_HZ + 1)),
            ("sf", self.sf, SPREADING_FACTORS),
            ("bw_hz", self.bw_hz, BANDWIDTHS_HZ),
            ("power_dbm", self.power_dbm, range(64)),
            ("tmst_us", self.tmst_us or 0, range(U32_MODULUS)),
            ("gps_ms", self.gps_ms or 0, range(1 << 53)),
            ("coding_rate", self.coding_rate, CODING_RATES),
            ("preamble_symbols", self.preamble_symbols, range(6, 65536)),
            ("rf_chain", self.rf_chain, range(2)),
        ):
            if value not in allowed:
                raise ValueError(f"{name} is {value}; allowed: {allowed}")


@dataclass(frozen=True, slots=True)
class TxOutcome:
    """What a gateway said about a downlink. ``sent`` means that it took it for its moment, not that anyone heard it."""

    result: Literal["sent", "refused", "no_answer"]
    error: str = ""
    """Why it was refused, in the gateway's word: TOO_LATE, TOO_EARLY, COLLISION_PACKET, TX_FREQ, ..."""
    warning: str = ""
    """What the gateway changed although it sends: TX_POWER."""
    value: float | str | None = None
    """What it changed it to (for TX_POWER the dBm in use)."""

    @property
    def sent(self) -> bool:
        """Whether the gateway accepted the frame; unknown counts as not."""
        return self.result == "sent"
