# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Duty cycle: transmit time per radio and sub-band over a sliding hour. Violations are recorded, not prevented.

Sub-bands: ETSI EN 300 220-2 V3.2.1 annex B as LoRaWAN regional parameters (RP002-1.0.4, EU863-870) use them.
"""

from collections import deque
from dataclasses import dataclass

HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class SubBand:
    """Name, edges in Hz and the share of an hour that one radio may send in it, in 1/1000."""

    name: str
    low_hz: int
    high_hz: int
    duty_permille: int

    @property
    def limit_us(self) -> int:
        """Transmit time per hour."""
        return HOUR_US // 1000 * self.duty_permille


SUB_BANDS = (
    SubBand("863.0-865.0", 863_000_000, 865_000_000, 1),
    SubBand("865.0-868.0", 865_000_000, 868_000_000, 10),
    SubBand("868.0-868.6", 868_000_000, 868_600_000, 10),
    SubBand("868.7-869.2", 868_700_000, 869_200_000, 1),
    SubBand("869.4-869.65", 869_400_000, 869_650_000, 100),
    SubBand("869.7-870.0", 869_700_000, 870_000_000, 10),
)
FORBIDDEN = SubBand("outside", 0, 0, 0)  # 868.6-868.7, 869.2-869.4 and everything beyond 863-870


def sub_band(freq_hz: int, bw_hz: int) -> SubBand:
    """The sub-band that holds the whole channel, or FORBIDDEN."""
    low_hz, high_hz = freq_hz - bw_hz // 2, freq_hz + bw_hz // 2
    for band in SUB_BANDS:
        if band.low_hz <= low_hz and high_hz <= band.high_hz:
            return band
    return FORBIDDEN


@dataclass(frozen=True, slots=True)
class DutyUse:
    """State of one radio's budget in one sub-band at the end of a transmission, over the hour before."""

    radio: str
    band: SubBand
    at_us: int
    used_us: int

    @property
    def violation(self) -> bool:
        """More was sent than the sub-band allows."""
        return self.used_us > self.band.limit_us


class _Window:
    """Transmissions of the last hour in one sub-band, in order of their ends."""

    __slots__ = ("sent", "total_us", "worst_us")

    def __init__(self) -> None:
        self.sent: deque[tuple[int, int]] = deque()
        self.total_us = 0
        self.worst_us = 0

    def used_at(self, at_us: int) -> int:
        """Transmit time within the hour before at_us; a transmission that began before that hour counts in part."""
        opens_us = at_us - HOUR_US
        while self.sent and self.sent[0][1] <= opens_us:
            start_us, end_us = self.sent.popleft()
            self.total_us -= end_us - start_us
        outside_us = max(opens_us - self.sent[0][0], 0) if self.sent else 0
        return self.total_us - outside_us


class DutyLedger:
    """Who sent how long in which sub-band."""

    def __init__(self) -> None:
        self.violation_count = 0
        self.last_violations: deque[DutyUse] = deque(maxlen=100)
        self._windows: dict[tuple[str, SubBand], _Window] = {}

    def record(self, radio: str, freq_hz: int, bw_hz: int, start_us: int, end_us: int) -> DutyUse:
        """Count one transmission; each radio's transmissions come in order of time."""
        band = sub_band(freq_hz, bw_hz)
        window = self._windows.setdefault((radio, band), _Window())
        window.sent.append((start_us, end_us))
        window.total_us += end_us - start_us
        use = DutyUse(radio, band, end_us, window.used_at(end_us))
        window.worst_us = max(window.worst_us, use.used_us)
        if use.violation:
            self.violation_count += 1
            self.last_violations.append(use)
        return use

    def worst(self) -> list[DutyUse]:
        """Per radio and sub-band the fullest hour so far (at_us is 0: it tells how much, not when)."""
        return [
            DutyUse(radio, band, 0, window.worst_us) for (radio, band), window in sorted(self._windows.items(), key=str)
        ]
