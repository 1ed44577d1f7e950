# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The objects of the register: what they take and refuse, distances, and the stock in memory."""

import json
import math
import random
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from provisioning.model import geo
from provisioning.model.device import DeviceRecord
from provisioning.model.lifecycle import STAGES, TALKING, TRANSITIONS, may_follow
from provisioning.model.memory import MemoryStock
from provisioning.model.organisations import RoleHolder
from provisioning.model.papers import Scope, Signature, Signed, Waiver
from provisioning.model.parts import Asset, Location, Owner
from provisioning.model.stock import Stock

LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180)


def _record(text: str) -> DeviceRecord:
    return DeviceRecord.model_validate_json(text)


def test_a_record_says_what_is_known_and_nothing_else_is_needed() -> None:
    record = _record(
        '{"kind": "noise", "support": {"until": "2033-06"}, "identity": {"dev_eui": "70-B3-D5:7E D0001234"}}'
    )
    assert record.support is not None
    assert record.support.until == date(2033, 6, 30)
    assert record.dev_eui == "70b3d57ed0001234"
    assert (record.owner_org, record.streams, record.lifecycle.stage) == (None, (), "planned")
    assert _record(record.model_dump_json()) == record


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "toaster"},
        {"colour": "red"},
        {"kind": 7},
        {"location": {"lat": 200.0, "lon": 18.0}},
        {"location": {"lat": "59", "lon": 18.0}},
        {"location": {"lat": math.nan, "lon": 18.0}},
        {"need": {"summary": "x" * 10_000_000}},
        {"need": {"summary": "a\x1b[31mb"}},
        {"need": {"summary": "   "}},
        {"credentials": {"kind": "otaa", "fingerprint": "00112233445566778899aabbccddeeff"}},
        {"identity": {"dev_eui": "70b3"}},
        {"id": "trk-1"},
        {"streams": [{"property": "x", "klassa": {"K": 5, "R": 0, "T": 0, "date": "2026-01-01", "by": "x"}}]},
        {"co_owners": [{"org": "park", "share_pct": 120}]},
        {"lifecycle": {"planned_end": "2026-02-30"}},
        {"evaluated_at": "2026-02-03T10:00:00"},
    ],
)
def test_what_nobody_can_mean_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        _record(json.dumps({"kind": "noise", **change}))


def test_no_stage_leads_back_from_retirement_and_every_stage_can_end() -> None:
    assert set(TRANSITIONS) == set(STAGES)
    assert TRANSITIONS["retired"] == {"disposed"}
    for stage in STAGES:
        reached = {stage}
        while more := set().union(*(TRANSITIONS[each] for each in reached)) - reached:
            reached |= more
        assert "disposed" in reached
        assert stage in {"retired", "disposed"} or reached & TALKING
        assert stage not in {"retired", "disposed"} or not reached & TALKING
    assert may_follow("approved", "installed")
    assert not may_follow("retired", "operational")


def test_a_distance_that_is_known() -> None:
    # Great circle between Paris and New York, computed independently with the spherical law of cosines.
    paris, york = (48.8566, 2.3522), (40.7128, -74.0060)
    phi1, phi2 = math.radians(paris[0]), math.radians(york[0])
    cosine = math.sin(phi1) * math.sin(phi2) + math.cos(phi1) * math.cos(phi2) * math.cos(
        math.radians(york[1] - paris[1])
    )
    assert geo.distance_m(*paris, *york) == pytest.approx(geo.EARTH_RADIUS_M * math.acos(cosine), rel=1e-9)
    assert geo.distance_m(0, 0, 0, 1) == pytest.approx(111_195.08, abs=0.1)


@given(LATITUDES, LONGITUDES, st.floats(0, geo.MAX_RADIUS_M), st.floats(0, 1), st.floats(0, 2 * math.pi))
def test_the_grid_misses_nothing(lat: float, lon: float, radius_m: float, share: float, bearing: float) -> None:
    delta, phi = radius_m * share / geo.EARTH_RADIUS_M, math.radians(lat)
    sine = math.sin(phi) * math.cos(delta) + math.cos(phi) * math.sin(delta) * math.cos(bearing)
    other_lat = math.degrees(math.asin(max(-1.0, min(1.0, sine))))
    turned = math.atan2(math.sin(bearing) * math.sin(delta) * math.cos(phi), math.cos(delta) - math.sin(phi) * sine)
    other_lon = (lon + math.degrees(turned) + 180) % 360 - 180
    number = geo.cell(other_lat, other_lon)
    if geo.distance_m(lat, lon, other_lat, other_lon) <= radius_m:
        assert any(first <= number <= last for first, last in geo.cell_ranges(lat, lon, radius_m))


@pytest.mark.parametrize("radius_m", [-1.0, math.nan, math.inf, geo.MAX_RADIUS_M + 1])
def test_a_radius_that_would_ask_everything_is_refused(radius_m: float) -> None:
    with pytest.raises(ValueError, match="search radius"):
        list(geo.cell_ranges(59, 18, radius_m))


def _devices(rng: random.Random, count: int) -> list[DeviceRecord]:
    return [
        DeviceRecord(
            id=f"TRK-{number:04}",
            kind=rng.choice(["noise", "air"]),
            owner=Owner(org_id=rng.choice(["park", "road"])),
            asset=Asset(id=f"POLE-{rng.randrange(20)}", type="pole"),
            location=Location(lat=rng.uniform(59.30, 59.36), lon=rng.uniform(17.98, 18.12)),
        )
        for number in range(count)
    ]


def test_the_stock_in_memory_finds_what_a_search_through_everything_finds(rng: random.Random) -> None:
    devices = _devices(rng, 300)
    stock: Stock = MemoryStock(devices)
    for _ in range(30):
        lat, lon, radius_m = rng.uniform(59.30, 59.36), rng.uniform(17.98, 18.12), rng.uniform(0, 2000)
        near = stock.devices_near(lat, lon, radius_m)
        expected = {
            device.id
            for device in devices
            if device.location and geo.distance_m(lat, lon, device.location.lat, device.location.lon) <= radius_m
        }
        assert {each.device.id for each in near} == expected
        assert [each.distance_m for each in near] == sorted(each.distance_m for each in near)
    assert {each.id for each in stock.devices(owner="park", kind="air")} == {
        each.id for each in devices if each.owner_org == "park" and each.kind == "air"
    }
    assert all(each.asset and each.asset.id == "POLE-3" for each in stock.devices_at("POLE-3"))
    with pytest.raises(ValueError, match="twice"):
        MemoryStock([devices[0], devices[0]])


def _waiver(name: str, scope: Scope) -> Signed[Waiver]:
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    waiver = Waiver.model_validate(
        {
            "id": name,
            "rule_id": "SEC-9",
            "scope": scope,
            "reason_code": "DELIVERY",
            "reason_text": "The new firmware comes with the delivery of week 50.",
            "requested_by": "A. Person",
            "approved_by": {"name": "B. Person", "role": "ciso"},
            "case_ref": "KS-2026-1",
            "issued": moment,
            "expires": moment.replace(month=12),
            "rulepack_version": "1",
        }
    )
    return Signed[Waiver](paper=waiver, signature=Signature(status="valid", role="ciso", signer="b"))


def test_papers_are_found_by_device_or_batch() -> None:
    one = _waiver("W-1", Scope(device_ids=("TRK-0001",)))
    batch = _waiver("W-2", Scope(batch_id="BINS"))
    stock = MemoryStock(waivers=[batch, one])
    assert stock.waivers() == [one, batch]
    assert stock.waivers(device_id="TRK-0001") == [one]
    assert stock.waivers(device_id="TRK-0001", batch_id="BINS") == [one, batch]
    assert stock.waivers(device_id="TRK-0002") == []
    assert one.signature.by("ciso")
    assert not one.signature.by("slk")


def test_a_key_counts_while_it_is_valid() -> None:
    holder = RoleHolder(
        id="b",
        name="B. Person",
        role="ciso",
        org="ks",
        public_key="00" * 32,
        valid_from=date(2026, 1, 1),
        valid_to=date(2026, 12, 31),
        revoked_at=datetime(2026, 6, 1, tzinfo=UTC),
    )
    assert holder.may_sign(datetime(2026, 5, 31, tzinfo=UTC))
    assert not holder.may_sign(datetime(2026, 6, 1, tzinfo=UTC))
    assert not holder.may_sign(datetime(2025, 12, 31, tzinfo=UTC))
