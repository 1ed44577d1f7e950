# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""NET: communication bought together, tested where it hangs, and no gateway beside the city's own."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning.guidelines import ask
from provisioning.guidelines.findings import Hit
from provisioning.guidelines.rule import Case, rule
from provisioning.model.lifecycle import STANDING


@rule("NET-1")
def bought_together(case: Case) -> Iterator[Hit]:
    """Its communication is a service of S:t Erik Kommunikation."""
    network = case.record.network
    if network is None:
        yield ask.missing("/network/service_id")
        return
    prefixes = case.pack.tables.services.get(network.type, ())
    values = {"service": network.service_id, "type": network.type, "operator": network.operator or "–"}
    if network.service_id is None:
        yield ask.missing("/network/service_id", list(prefixes), case="own", **values)
    elif not network.service_id.startswith(prefixes):
        yield Hit("other", "/network/service_id", network.service_id, list(prefixes), values)


@rule(
    "NET-2",
    when=lambda case: ask.stands(case.record) and case.record.radio is not None,
    numbers=("uplinks", "delivery_pct", "margin_db", "critical_class"),
)
def heard(case: Case) -> Iterator[Hit]:
    """Where it hangs it is heard."""
    network = case.record.network
    test = None if network is None else network.link_test
    suffix = ".critical" if ask.highest(case.record, "T") >= case.number("critical_class") else ""
    if test is None:
        yield ask.missing("/network/link_test", case=f"untested{suffix}")
        return
    field, values = "/network/link_test", {"received": test.received, "uplinks": test.uplinks}
    if test.uplinks < case.number("uplinks"):
        yield Hit(f"few{suffix}", f"{field}/uplinks", test.uplinks, case.number("uplinks"), values)
    elif 100 * test.received < case.number("delivery_pct") * test.uplinks:
        yield Hit(f"weak{suffix}", f"{field}/received", test.received, f"{case.number('delivery_pct'):g} %", values)
    margin, least = test.snr_margin_db, case.number("margin_db")
    if margin is None or margin < least:
        found = {**values, "margin": margin, "least": least}
        yield Hit(f"margin{suffix}", f"{field}/snr_margin_db", margin, least, found, unknown=margin is None)


@rule(
    "NET-3",
    when=lambda case: (
        ask.is_gateway(case.record) or (case.record.network is not None and case.record.network.own_gateway)
    ),
    numbers=("radius_m",),
)
def city_gateways_first(case: Case) -> Iterator[Hit]:
    """An own gateway only where the city's were tried and not heard."""
    network, place = case.record.network, case.record.location
    if network is not None and network.coverage_ref is not None:
        return
    reach = case.number("radius_m")
    near = [] if place is None else case.stock.devices_near(place.lat, place.lon, reach)
    rows = tuple(
        {"device_id": each.device.id, "distance_m": round(each.distance_m), "owner": each.device.owner_org}
        for each in near
        if ask.is_gateway(each.device) and each.device.id != case.record.id and each.device.lifecycle.stage in STANDING
    )
    values = {"count": len(rows), "radius": reach}
    name = "others" if rows else "untested"
    yield Hit(name, "/network/coverage_ref", None, "a coverage test", values, unknown=True, rows=rows)
