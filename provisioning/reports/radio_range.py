# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How far a gateway is heard, estimated: Hata's median path loss in a small or medium city, and a link budget.

M. Hata: "Empirical formula for propagation loss in land mobile radio services", IEEE Transactions on Vehicular
Technology VT-29(3), 1980, pp. 317-325. It is fitted to 150 to 1500 MHz, base stations 30 to 200 m high, mobiles 1 to
10 m, 1 to 20 km. Gateways on poles and cells of a few hundred metres lie outside: there it is an extrapolation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from provisioning.model.geo import MAX_RADIUS_M

SENSITIVITY_DBM: Final = {7: -123.0, 8: -126.0, 9: -129.0, 10: -132.0, 11: -133.0, 12: -136.0}
"""Of a node by spreading factor at 125 kHz: SX1276/77/78/79 datasheet rev. 7, section 2.5.5, RFS_L125_HF. Gateways hear
better: the downlink at the same power is the weaker direction."""
ERP_TO_EIRP_DB: Final = 2.15
"""A half-wave dipole against an isotropic antenna (ITU-R BS.561)."""
FITTED_GATEWAY_M: Final = (30.0, 200.0)
FITTED_DEVICE_M: Final = (1.0, 10.0)
FITTED_DISTANCE_M: Final = (1000.0, 20_000.0)
_LEAST_GATEWAY_M: Final = 3.0


@dataclass(frozen=True)
class Budget:
    """The figures behind an estimate; all of them may be chosen."""

    sf: int = 12
    frequency_mhz: float = 868.0
    erp_dbm: float = 14.0
    """The limit of most of the band EU863-870."""
    fade_margin_db: float = 10.0
    """The formula is a median: half of the places are worse. With 8 dB of shadowing 10 dB hold at 9 of 10."""
    indoor_loss_db: float = 15.0
    """More, for a device whose record says indoor."""
    gateway_height_m: float = 15.0
    """Above ground, where the record does not say."""
    device_height_m: float = 3.0
    """Above ground, where the record does not say; the drawn areas are for such a device outdoors."""
    ble_range_m: float = 30.0
    """Bluetooth: a fixed distance, no model."""

    def highest_loss_db(self, sf: int, *, indoor: bool = False) -> float:
        """The path loss between isotropic antennas that a link still bears, with the margin."""
        loss_db = self.erp_dbm + ERP_TO_EIRP_DB - SENSITIVITY_DBM[sf] - self.fade_margin_db
        return loss_db - self.indoor_loss_db if indoor else loss_db

    def lora_range_m(
        self,
        gateway_height_m: float | None,
        device_height_m: float | None = None,
        *,
        sf_max: int | None = None,
        indoor: bool = False,
    ) -> float:
        """Distance at which the median loss is what the link bears, 20 km at most. None: the height assumed."""
        slope, at_1_km = _line(
            self.frequency_mhz,
            self.gateway_height_m if gateway_height_m is None else gateway_height_m,
            self.device_height_m if device_height_m is None else device_height_m,
        )
        sf = max(7, min(self.sf, sf_max or self.sf))
        decades = (self.highest_loss_db(sf, indoor=indoor) - at_1_km) / slope
        return float(min(1000 * 10 ** min(decades, 2.0), MAX_RADIUS_M))


def loss_db(frequency_mhz: float, gateway_height_m: float, device_height_m: float, distance_m: float) -> float:
    """Median path loss between isotropic antennas, dB (Hata 1980, standard formula, medium-small city)."""
    slope, at_1_km = _line(frequency_mhz, gateway_height_m, device_height_m)
    return at_1_km + slope * math.log10(distance_m / 1000)


def _line(frequency_mhz: float, gateway_height_m: float, device_height_m: float) -> tuple[float, float]:
    """Decibels a decade of distance, and decibels at 1 km. Heights are brought to where the formula has a meaning."""
    base = min(max(gateway_height_m, _LEAST_GATEWAY_M), FITTED_GATEWAY_M[1])
    mobile = min(max(device_height_m, FITTED_DEVICE_M[0]), FITTED_DEVICE_M[1])
    log_f, log_base = math.log10(frequency_mhz), math.log10(base)
    correction = (1.1 * log_f - 0.7) * mobile - (1.56 * log_f - 0.8)
    return 44.9 - 6.55 * log_base, 69.55 + 26.16 * log_f - 13.82 * log_base - correction


def extrapolated(gateway_height_m: float, range_m: float) -> bool:
    """Whether an estimate lies outside of what the formula was fitted to."""
    low, high = FITTED_GATEWAY_M
    return not low <= gateway_height_m <= high or not FITTED_DISTANCE_M[0] <= range_m < FITTED_DISTANCE_M[1]
