# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""RADIO: the plan of a transmitter on EU863-870, and what a gateway hears of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from firmware.wire.airtime import time_on_air_us
from firmware.wire.region import BANDS, DEFAULT_CHANNELS_HZ, DUTY_WINDOW_MS, band_of
from provisioning.guidelines import ask
from provisioning.guidelines.findings import Hit
from provisioning.guidelines.rule import AT_GATEWAY, Case, rule

if TYPE_CHECKING:
    from provisioning.model.parts import Radio

_PLANS: Final = frozenset({"EU868", "EU863-870"})
_LETTERS: Final = "KLMNPR"
"""Sub-bands as EN 300 220-2 letters them, in the order of BANDS."""
_BANDWIDTH_HZ: Final = 125_000
_MAC_BYTES: Final = 13
"""MHDR 1, FHDR 7 without options, FPort 1, MIC 4 (TS001-1.0.4, 4)."""
_EIRP_OVER_ERP_DB: Final = 2.15
_HOUR_S: Final = DUTY_WINDOW_MS / 1000


def _has_radio(case: Case) -> bool:
    network = case.record.network
    return case.record.radio is not None or (network is not None and network.type == "lorawan")


def _bands(radio: Radio) -> Counter[int]:
    """How many of its channels lie in each sub-band; -1 for channels that may not be used."""
    channels = [round(each * 1_000_000) for each in radio.freqs] or list(DEFAULT_CHANNELS_HZ)
    found = (band_of(each) for each in channels)
    return Counter(-1 if band is None else band for band in found)


def airtime_s(radio: Radio, sf: int | None = None) -> float | None:
    """Seconds on air of one uplink at its largest spreading factor (or `sf`); None where the plan is not complete."""
    sf = radio.sf_max if sf is None else sf
    if sf is None or radio.payload_b is None:
        return None
    return time_on_air_us(sf, _BANDWIDTH_HZ, radio.payload_b + _MAC_BYTES) / 1_000_000


def planned_s_per_h(radio: Radio, sf: int | None = None) -> float | None:
    """Seconds on air in an hour, as it is planned."""
    one = airtime_s(radio, sf)
    return None if one is None or radio.uplinks_h is None else one * radio.uplinks_h * radio.retries


@rule("RADIO-1", when=_has_radio, external=True)
def plan(case: Case) -> Iterator[Hit]:
    """It sends where it may."""
    radio = case.record.radio
    if radio is None:
        yield ask.missing("/radio")
        return
    if radio.plan not in _PLANS:
        yield Hit("plan", "/radio/plan", radio.plan, sorted(_PLANS), {"plan": radio.plan})
    for index, mhz in enumerate(radio.freqs):
        if band_of(round(mhz * 1_000_000)) is None:
            yield Hit("frequency", f"/radio/freqs/{index}", mhz, "EU863-870", {"mhz": mhz})


@rule("RADIO-2", when=_has_radio, numbers=("design_pct",), external=True)
def duty(case: Case) -> Iterator[Hit]:
    """It does not talk more than its share of the hour."""
    radio = case.record.radio
    if radio is None or radio.sf_max is None or radio.payload_b is None or radio.uplinks_h is None:
        yield ask.missing("/radio", "sf_max, payload_b, uplinks_h")
        return
    used_s, one_s = planned_s_per_h(radio) or 0.0, airtime_s(radio) or 0.0
    bands = _bands(radio)
    for band, channels in sorted(bands.items()):
        if band < 0:
            continue
        share_s = used_s * channels / sum(bands.values())
        limit_s = _HOUR_S / BANDS[band][2]
        design_s = limit_s * case.number("design_pct") / 100
        if share_s <= design_s:
            continue
        values = {
            "sf": radio.sf_max,
            "payload": radio.payload_b,
            "every_min": 60 / radio.uplinks_h,
            "used_s": share_s,
            "limit_s": limit_s,
            "design_s": design_s,
            "duty_pct": 100 / BANDS[band][2],
            "band": _LETTERS[band],
            "fits_min": one_s * radio.retries * channels / sum(bands.values()) / limit_s * 60,
            "better_s": planned_s_per_h(radio, 9) if radio.sf_max > 9 else share_s,
        }
        name = "over" if share_s > limit_s else "near"
        yield Hit(name, "/radio", f"{share_s:.1f} s/h", f"<= {limit_s:.1f} s/h", values)


@rule("RADIO-3", when=_has_radio, external=True)
def power(case: Case) -> Iterator[Hit]:
    """It is not louder than its band allows."""
    radio = case.record.radio
    if radio is None or radio.power_dbm is None:
        yield ask.missing("/radio/power_dbm")
        return
    eirp = radio.power_dbm + radio.antenna_dbi - radio.cable_db
    limits = [BANDS[band][3] for band in _bands(radio) if band >= 0]
    limit = min(limits, default=14) + _EIRP_OVER_ERP_DB
    if eirp > limit + 1e-9:
        values = {"eirp": eirp, "limit": limit, "over": eirp - limit}
        yield Hit("over", "/radio/power_dbm", f"{eirp:.2f} dBm EIRP", f"<= {limit:.2f} dBm EIRP", values)


@rule("RADIO-4", when=lambda case: case.record.radio is not None, numbers=("downlink_pct",))
def polite(case: Case) -> Iterator[Hit]:
    """Gateways speak little; devices ask for an answer only when it matters, and let their rate be tuned."""
    radio = case.record.radio
    if radio is None:
        return
    if ask.is_gateway(case.record):
        limit = case.number("downlink_pct")
        if radio.downlink_pct is None:
            yield ask.missing("/radio/downlink_pct", limit, case="no_downlinks", limit=limit)
        elif radio.downlink_pct > limit:
            values = {"pct": radio.downlink_pct, "limit": limit}
            yield Hit("downlinks", "/radio/downlink_pct", radio.downlink_pct, limit, values)
        return
    if radio.confirmed:
        yield Hit("confirmed", "/radio/confirmed", observed=True, required=False)
    if radio.adr is not True:
        yield Hit("adr", "/radio/adr", radio.adr, required=True, unknown=radio.adr is None)


@rule(
    "RADIO-5",
    when=lambda case: case.observed is not None and case.observed.airtime_s_per_h is not None,
    modes=AT_GATEWAY,
    numbers=("over_plan",),
)
def measured(case: Case) -> Iterator[Hit]:
    """It talks as much as it was planned to."""
    seen, radio = case.observed, case.record.radio
    if seen is None or seen.airtime_s_per_h is None or not seen.registered:
        return
    used = seen.airtime_s_per_h
    values: dict[str, object] = {"used_s": used, "gateway": seen.gateway}
    bands = [band for band in (_bands(radio) if radio else {2: 1}) if band >= 0]
    limit = sum(_HOUR_S / BANDS[band][2] for band in bands)
    if used > limit:
        yield Hit("limit", "/radio", f"{used:.1f} s/h", f"<= {limit:.1f} s/h", {**values, "limit_s": limit})
        return
    planned = None if radio is None else planned_s_per_h(radio)
    if planned is not None and used > planned * case.number("over_plan"):
        values |= {"planned_s": planned, "factor": used / planned if planned else 0.0}
        yield Hit("plan", "/radio", f"{used:.1f} s/h", f"<= {planned * case.number('over_plan'):.1f} s/h", values)


@rule("RADIO-6", when=lambda case: case.record.radio is not None, numbers=("s_per_day",))
def fair_share(case: Case) -> Iterator[Hit]:
    """It leaves room for the others."""
    radio = case.record.radio
    used = None if radio is None else planned_s_per_h(radio)
    if used is not None and used * 24 > case.number("s_per_day"):
        values = {"used_s": used * 24, "limit_s": case.number("s_per_day")}
        yield Hit("over", "/radio", f"{used * 24:.1f} s/d", f"<= {case.number('s_per_day'):g} s/d", values)
