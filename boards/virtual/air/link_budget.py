# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Link budget: path loss, shadowing and fading, noise, and which of two overlapping frames survives.

All randomness comes from a seed and from names, never from the order of calls: the same radios hear the same levels
again, whatever else happens meanwhile.
"""

import hashlib
import math
import struct
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

# Demodulation limit per spreading factor, dB: SX1276 datasheet rev. 7, table 13; the SX126x datasheet has the same.
SNR_LIMIT_DB = {7: -7.5, 8: -10.0, 9: -12.5, 10: -15.0, 11: -17.5, 12: -20.0}

NOISE_FIGURE_DB = 6.0  # as assumed in Semtech AN1200.13 for SX127x receivers
CO_SF_CAPTURE_DB = 6.0  # Goursaud and Gorce, below; also the threshold of Bor et al. (LoRaSim), MSWiM 2016

# Least signal-to-interference ratio in dB at which a frame of the row's SF survives a frame of the column's SF.
# C. Goursaud, J.-M. Gorce: "Dedicated networks for IoT: PHY / MAC state of the art and challenges", EAI Endorsed
# Transactions on Internet of Things 1(1), 2015: table of co-channel rejection. ns-3's LoRaWAN module uses the same.
_SIR_TABLE = (
    # SF7  SF8  SF9  SF10 SF11 SF12
    (CO_SF_CAPTURE_DB, -16, -18, -19, -19, -20),
    (-24, CO_SF_CAPTURE_DB, -20, -22, -22, -22),
    (-27, -27, CO_SF_CAPTURE_DB, -23, -25, -25),
    (-30, -30, -30, CO_SF_CAPTURE_DB, -26, -28),
    (-33, -33, -33, -33, CO_SF_CAPTURE_DB, -29),
    (-36, -36, -36, -36, -36, CO_SF_CAPTURE_DB),
)

_UNIFORM = struct.Struct("<QQ")
_NORMAL = NormalDist()


def survives_at_db(sf: int, other_sf: int) -> float:
    """Least SIR at which a frame of `sf` survives an overlapping one of `other_sf`, same bandwidth and polarity."""
    return _SIR_TABLE[sf - 7][other_sf - 7]


@cache
def unlike_chirps_db(sf: int) -> float:
    """The same for another bandwidth or inverted I/Q: other chirps too; the worst of the other SFs (our choice)."""
    return max(level for column, level in enumerate(_SIR_TABLE[sf - 7], start=7) if column != sf)


@cache
def noise_floor_dbm(bw_hz: int) -> float:
    """Thermal noise at 290 K in the bandwidth plus the receiver's noise figure."""
    return -174.0 + 10.0 * math.log10(bw_hz) + NOISE_FIGURE_DB


def rssi_dbm(signal_dbm: float, bw_hz: int) -> float:
    """What a receiver measures in the channel: signal and noise together."""
    noise = noise_floor_dbm(bw_hz)
    stronger, weaker = max(signal_dbm, noise), min(signal_dbm, noise)
    return stronger + 10.0 * math.log10(1.0 + 10.0 ** ((weaker - stronger) / 10.0))


@dataclass(frozen=True, slots=True)
class PathLoss:
    """Log-distance path loss with log-normal shadowing per pair of places and fading per frame.

    Defaults: J. Petäjäjärvi et al., "On the coverage of LPWANs: range evaluation and channel attenuation model for LoRa
    technology", ITST 2015: 868 MHz in the city of Oulu, gateway antenna at 24 m: 128.95 dB at 1 km, exponent 2.32,
    standard deviation 7.8 dB. The fading figures are ours: small, so that levels of one pair scatter as on a bench.
    """

    loss_at_1km_db: float = 128.95
    exponent: float = 2.32
    shadowing_db: float = 7.8
    fading_db: float = 1.0
    # How far the level may drift between preamble and payload: what makes frames at the very limit fail their CRC.
    drift_db: float = 0.5

    def mean_loss_db(self, distance_m: float) -> float:
        """Loss without shadowing; nearer than 1 m counts as 1 m."""
        return self.loss_at_1km_db + 10.0 * self.exponent * math.log10(max(distance_m, 1.0) / 1000.0)


class Chance:
    """Normally distributed numbers that depend on a seed and on what they are for, and on nothing else."""

    def __init__(self, seed: int) -> None:
        self._key = hashlib.blake2b(str(seed).encode(), digest_size=32).digest()

    def normals(self, purpose: str) -> tuple[float, float]:
        """Two independent standard normal numbers for this purpose."""
        first, second = _UNIFORM.unpack(hashlib.blake2b(purpose.encode(), digest_size=16, key=self._key).digest())
        return _normal(first), _normal(second)

    def noise(self, purpose: str, length: int) -> bytes:
        """That many bytes (at most 64)."""
        return hashlib.blake2b(purpose.encode(), digest_size=length, key=self._key).digest()


def _normal(uniform: int) -> float:
    # 53 bits and a half step: never 0 or 1, where the inverse has no value.
    return _NORMAL.inv_cdf(((uniform >> 11) + 0.5) * 2.0**-53)
