# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What an operator can choose about the network, and what follows from the region (RP002-1.0.4 section 2.4, EU868)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from firmware.wire import region
from gateway.network.share import ALL, Share

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_MASK = 0x0007
DEFAULT_RX2_DR = 3
"""SF9. In RX2's sub-band a gateway may send at 27 dBm, 13 dB more than a device in its own: what reaches the gateway at
SF12 hears SF9 from it, whose limit is 7.5 dB above that of SF12, in an eighth of the airtime (decision 7)."""

REQUIRED_SNR_DB = {5: -2.5, 6: -5.0, 7: -7.5, 8: -10.0, 9: -12.5, 10: -15.0, 11: -17.5, 12: -20.0}
"""The weakest signal that can be demodulated, by spreading factor (Semtech SX1276 data sheet, table 13)."""


@dataclass(frozen=True, slots=True)
class Channel:
    """An uplink channel: frequency, lowest and highest data rate, and where RX1 listens if that is elsewhere."""

    freq_hz: int
    min_dr: int = region.MIN_DR
    max_dr: int = region.MAX_DEFAULT_DR
    rx1_hz: int | None = None

    @property
    def downlink_hz(self) -> int:
        """Return where RX1 listens after a frame on this channel."""
        return self.freq_hz if self.rx1_hz is None else self.rx1_hz


GATEWAY_CHANNELS = tuple(
    Channel(freq_hz) for freq_hz in (867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000)
)
"""Beside the three default ones: those of every eight-channel gateway."""


@dataclass(frozen=True, slots=True)
class ProfileRule:
    """What devices have whose DevEUI or JoinEUI, in hex, begins with *match*; the longest match counts."""

    match: str
    settings: Mapping[str, Any]
    """Fields of ``profiles.Profile`` by name."""


@dataclass(frozen=True, slots=True)
class Options:
    """``[network]``, as this stage uses it."""

    class_c: frozenset[str] = frozenset({"street_light"})
    """Kinds whose devices listen all the time when they are on LoRa."""
    random_dev_nonce: frozenset[str] = frozenset()
    """Kinds whose devices draw DevNonces at random, as LoRaWAN before 1.0.4 did."""
    rx1_delay_s: int = 1
    rx2_dr: int = DEFAULT_RX2_DR
    rx2_hz: int = region.RX2_HZ
    adr: bool = True
    adr_margin_db: float = 10.0
    status_every_s: float = 86400.0
    """How often a device is asked for its battery and link; 0: never."""
    channels: tuple[Channel, ...] = GATEWAY_CHANNELS
    """Beside the default ones; one on a default one's frequency says where RX1 of that one is."""
    profiles: tuple[ProfileRule, ...] = field(default=())
    share: Share = ALL
    """Which devices are this process's."""
