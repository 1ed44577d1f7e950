# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What one device is and may do on the air. Pure.

The network's options hold for all; then what its kind says; then ``[[network.profiles]]``, the shorter match first;
then what the register says of this device, if it says anything (an attribute ``lorawan`` of its record, a mapping).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from firmware.wire import region
from gateway.errors import WrongProfile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.network.options import Options
    from gateway.network.register import Device


@dataclass(frozen=True, slots=True)
class Profile:
    """How the network treats one device."""

    class_c: bool = False
    """It listens all the time; else class A."""
    random_dev_nonce: bool = False
    rx1_delay_s: int = 1
    rx2_dr: int = region.RX2_DR
    rx2_hz: int = region.RX2_HZ
    adr: bool = True
    adr_margin_db: float = 10.0
    max_dr: int = region.MAX_DEFAULT_DR
    """ADR asks for no faster rate."""
    max_eirp_dbm: int = region.MAX_EIRP_DBM
    """ADR asks for no more power, and for less where the device has more."""
    status_every_s: float = 86400.0
    decoder: str | None = None
    """Who reads its payloads; None: they are in this project's own dialect."""

    def __post_init__(self) -> None:
        """Refuse what no device can have. Raises WrongProfile."""
        for name, value, allowed in (
            ("rx1_delay_s", self.rx1_delay_s, range(1, 16)),
            ("rx2_dr", self.rx2_dr, range(region.MAX_DR + 1)),
            ("max_dr", self.max_dr, range(region.MAX_DR + 1)),
            ("max_eirp_dbm", self.max_eirp_dbm, range(2, region.MAX_EIRP_DBM + 1)),
        ):
            if value not in allowed:
                raise WrongProfile(f"{name} is {value!r}; {allowed.start} to {allowed.stop - 1} is possible")
        if region.band_of(self.rx2_hz) is None:
            raise WrongProfile(f"rx2_hz is {self.rx2_hz}; nobody may send there in Europe")

    @property
    def min_tx_power(self) -> int:
        """Return the lowest TXPower index, so the highest power, within ``max_eirp_dbm`` (RP002 section 2.4.3)."""
        return -(-(region.MAX_EIRP_DBM - self.max_eirp_dbm) // 2)


NAMES = frozenset(each.name for each in fields(Profile))


def profile(device: Device, options: Options) -> Profile:
    """Return the profile of a registered device. Raises WrongProfile when its record says what no device can have."""
    found = Profile(
        class_c=device.kind in options.class_c,
        random_dev_nonce=device.kind in options.random_dev_nonce,
        rx1_delay_s=options.rx1_delay_s,
        rx2_dr=options.rx2_dr,
        rx2_hz=options.rx2_hz,
        adr=options.adr,
        adr_margin_db=options.adr_margin_db,
        status_every_s=options.status_every_s,
    )
    euis = (device.dev_eui.hex(), device.join_eui.hex())
    rules = [each for each in options.profiles if any(eui.startswith(each.match) for eui in euis)]
    for rule in sorted(rules, key=lambda each: len(each.match)):
        found = _changed(found, rule.settings)
    own: Mapping[str, Any] | None = getattr(device, "lorawan", None)
    return _changed(found, own) if own else found


def _changed(before: Profile, settings: Mapping[str, Any]) -> Profile:
    unknown = sorted(settings.keys() - NAMES)
    if unknown:
        raise WrongProfile(f"{unknown[0]!r} is nothing that a profile has; there are: {', '.join(sorted(NAMES))}")
    try:
        return replace(before, **settings)
    except TypeError as error:
        raise WrongProfile(f"a profile has a value of the wrong type: {error}") from error
