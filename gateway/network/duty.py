# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The gateways' own duty cycle: airtime per gateway and sub-band over a sliding hour (ERC/REC 70-03 annex 1).

The limit is the law's and holds for everyone. Below it, the less urgent stop first, so that what they leave is there
for joins and alarms. Whole microseconds throughout.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import IntEnum

from firmware.wire.region import BANDS, DUTY_WINDOW_MS, band_of

_WINDOW_US = DUTY_WINDOW_MS * 1000
BUCKET_US = 10_000_000
"""Airtime is kept in sums of ten seconds: 362 numbers are the whole memory of a sub-band."""


class Priority(IntEnum):
    """How urgent a downlink is. The value is the share of the budget, in percent, that it may bring the total to."""

    ALARM = 100
    """The answer to an alarm."""
    JOIN = 95
    REPLY = 80
    """Acknowledgements and receipts: a device that gets none sends again."""
    COMMAND = 70
    BACKGROUND = 50
    """What can wait for hours: data rates, battery status."""


@dataclass(frozen=True, slots=True)
class Booking:
    """Airtime that is taken; give it to ``refund`` when nothing was sent after all."""

    gateway: str
    band: int
    bucket: int
    airtime_us: int


class DutyBudget:
    """Airtime of all gateways. Times are microseconds of one clock that never goes back.

    Of several processes that send through the same gateways each has one of *parts* of every limit: their sum keeps it.
    """

    def __init__(self, parts: int = 1) -> None:
        self._parts = parts
        self._spent: dict[tuple[str, int], dict[int, int]] = defaultdict(dict)
        self.changed = False
        """Whether something was booked or refunded; whoever saves it sets it back."""

    def book(self, gateway: str, freq_hz: int, at_us: int, airtime_us: int, priority: Priority) -> Booking | None:
        """Take airtime for a frame at *at_us*; None when this priority has none left, or the band is not allowed."""
        band = band_of(freq_hz)
        if band is None:
            return None
        if self.used_us(gateway, band, at_us) + airtime_us > self.limit_us(band) * priority // 100:
            return None
        self.changed = True
        booking = Booking(gateway, band, at_us // BUCKET_US, airtime_us)
        buckets = self._spent[gateway, band]
        buckets[booking.bucket] = buckets.get(booking.bucket, 0) + airtime_us
        return booking

    def limit_us(self, band: int) -> int:
        """Return the airtime that this process may use of a gateway's hour."""
        return limit_us(band) // self._parts

    def share(self, gateway: str, freq_hz: int, at_us: int) -> float:
        """Return how much of its hour a gateway has used of a frequency's sub-band, from 0 to 1."""
        band = band_of(freq_hz)
        return 1.0 if band is None else self.used_us(gateway, band, at_us) / self.limit_us(band)

    def refund(self, booking: Booking) -> None:
        """The frame was not sent."""
        buckets = self._spent[booking.gateway, booking.band]
        left_us = buckets.get(booking.bucket, 0) - booking.airtime_us
        if left_us > 0:
            buckets[booking.bucket] = left_us
        else:
            buckets.pop(booking.bucket, None)

    def used_us(self, gateway: str, band: int, at_us: int) -> int:
        """Return the airtime in the hour that ends at *at_us*; what is booked for later counts too."""
        buckets = self._spent[gateway, band]
        # A bucket that is partly outside counts whole, and one more: its last frame may have reached beyond it.
        first = (at_us - _WINDOW_US) // BUCKET_US - 1
        for bucket in [each for each in buckets if each < first - 1]:
            del buckets[bucket]
        return sum(airtime_us for bucket, airtime_us in buckets.items() if bucket >= first)

    def save(self, now_us: int) -> list[tuple[str, int, int, int]]:
        """Return (gateway, band, age in microseconds, airtime) of all that still counts. Any thread: reads copies."""
        return [
            (gateway, band, now_us - bucket * BUCKET_US, airtime_us)
            for (gateway, band), buckets in list(self._spent.items())
            for bucket, airtime_us in list(buckets.items())
            if now_us - bucket * BUCKET_US <= _WINDOW_US + 2 * BUCKET_US
        ]

    def restore(self, saved: list[tuple[str, int, int, int]], now_us: int) -> None:
        """Count what an earlier process of this gateway sent."""
        for gateway, band, age_us, airtime_us in saved:
            buckets = self._spent[gateway, band]
            bucket = (now_us - age_us) // BUCKET_US
            buckets[bucket] = buckets.get(bucket, 0) + airtime_us


def limit_us(band: int) -> int:
    """Return the airtime that the law gives a transmitter in one hour of a sub-band."""
    return _WINDOW_US // BANDS[band][2]
