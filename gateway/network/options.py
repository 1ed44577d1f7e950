# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What an operator can choose about the network, and what follows from the region (RP002-1.0.4 section 2.4, EU868)."""

from __future__ import annotations

from dataclasses import dataclass

CF_LIST_HZ = (867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000)
"""The channels that a Join-Accept adds to the three default ones: those of every eight-channel gateway."""
DEFAULT_MASK = 0x0007
FULL_MASK = 0x00FF

REQUIRED_SNR_DB = {5: -2.5, 6: -5.0, 7: -7.5, 8: -10.0, 9: -12.5, 10: -15.0, 11: -17.5, 12: -20.0}
"""The weakest signal that can be demodulated, by spreading factor (Semtech SX1276 data sheet, table 13)."""


@dataclass(frozen=True, slots=True)
class Options:
    """``[network]``, as this stage uses it."""

    class_c: frozenset[str] = frozenset({"street_light"})
    """Kinds whose devices listen all the time when they are on LoRa."""
    random_dev_nonce: frozenset[str] = frozenset()
    """Kinds whose devices draw DevNonces at random, as LoRaWAN before 1.0.4 did."""
    rx1_delay_s: int = 1
    adr: bool = True
    adr_margin_db: float = 10.0
    status_every_s: float = 86400.0
    """How often a device is asked for its battery and link; 0: never."""
