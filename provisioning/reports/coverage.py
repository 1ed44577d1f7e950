# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which device is in whose reach, planned ones too: heard by a gateway (measured), or as far as a model says."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from provisioning.guidelines.ask import is_gateway
from provisioning.guidelines.engine import ENDED
from provisioning.model import geo
from provisioning.model.device import DeviceRecord
from provisioning.reports.public import position
from provisioning.reports.radio_range import Budget
from provisioning.reports.released import LIVE

if TYPE_CHECKING:
    from consumer.ledger import Ledger
    from provisioning.model.stock import Stock

Group = Literal["district", "segment", "owner"]
Link = Literal["lora", "ble"]
STATUSES: Final = ("covered", "gateway not in use", "not covered", "other network", "no position")
_HEARD: Final = (
    "SELECT DISTINCT stream.gateway, reading.dev_eui FROM reading JOIN stream ON stream.number = reading.stream"
)
_URN: Final = "urn:dev:mac:"


@dataclass
class Site:
    """A gateway. `range_m` is estimated, by link; `measured_m` is the farthest place it heard a device from."""

    id: str
    owner: str
    stage: str
    links: tuple[Link, ...] = ()
    lat: float | None = None
    lon: float | None = None
    rounded: bool = False
    height_m: float | None = None
    range_m: dict[Link, float] = field(default_factory=dict)
    measured_m: float | None = None

    def distance_m(self, lat: float, lon: float) -> float:
        """To a place; infinite without a position."""
        if self.lat is None or self.lon is None:
            return math.inf
        return geo.distance_m(lat, lon, self.lat, self.lon)


class Row(NamedTuple):
    """A device. `basis` says where its cover comes from: `measured` (a gateway heard it), or `estimated`."""

    id: str
    kind: str
    owner: str
    stage: str
    district: str
    segment: str
    links: tuple[Link, ...]
    lat: float | None
    lon: float | None
    rounded: bool
    status: str
    basis: str
    gateways: tuple[str, ...]
    nearest: str
    distance_m: float | None
    """To the nearest gateway with the same link, within 20 km."""


@dataclass(frozen=True)
class Coverage:
    """The report."""

    budget: Budget
    measured: bool
    """Whether a receiver's store was asked."""
    exact: bool
    sites: Sequence[Site]
    rows: Sequence[Row]

    def summary(self, by: Group) -> dict[str, dict[str, int]]:
        """Devices by group and status; a group that is not stated is called `not stated`."""
        counted: defaultdict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(STATUSES, 0))
        for row in self.rows:
            counted[str(getattr(row, by)) or "not stated"][row.status] += 1
        return dict(sorted(counted.items()))


class Grid:
    """Gateways by the cells of the register's own grid: asking costs what is near, not the city."""

    def __init__(self, sites: Iterable[Site]) -> None:
        placed = [
            (geo.cell(each.lat, each.lon), each) for each in sites if each.lat is not None and each.lon is not None
        ]
        placed.sort(key=lambda each: (each[0], each[1].id))
        self._highest_m = max((each[1].height_m for each in placed if each[1].height_m is not None), default=None)
        self._cells, self._sites = [each[0] for each in placed], [each[1] for each in placed]

    def within(self, lat: float, lon: float, radius_m: float) -> list[tuple[float, Site]]:
        """Gateways and their distances, nearest first."""
        found = []
        for first, last in geo.cell_ranges(lat, lon, radius_m):
            run = self._sites[bisect_left(self._cells, first) : bisect_right(self._cells, last)]
            found += [(far, each) for each in run if (far := each.distance_m(lat, lon)) <= radius_m]
        return sorted(found, key=lambda each: (each[0], each[1].id))

    def near(self, lat: float, lon: float, reach_m: Callable[[float | None], float]) -> list[tuple[float, Site]]:
        """All in reach; if there is none, all within 20 km: the first one is the nearest. Higher ones reach farther."""
        farthest_m = max(reach_m(None), reach_m(self._highest_m))
        return self.within(lat, lon, farthest_m) or self.within(lat, lon, geo.MAX_RADIUS_M)


def heard_by(ledger: Ledger) -> dict[str, set[str]]:
    """By DevEUI, the gateways (EUIs) that told its readings to the receiver whose store this is."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for gateway, dev_eui in ledger.database.rows(_HEARD):
        found[str(dev_eui)].add(str(gateway).lower().removeprefix(_URN))
    return dict(found)


def make(stock: Stock, budget: Budget, heard: Mapping[str, set[str]] | None = None, *, exact: bool = False) -> Coverage:
    """The city's coverage. All is computed of the positions that are shown, so that distances tell no more than they.

    Unless `exact`, protected positions are rounded as on the public pages, and their road segment is left out.
    """
    names: dict[str, Site] = {}
    sites: list[Site] = []
    devices: list[DeviceRecord] = []
    for each in stock.devices():
        if each.lifecycle.stage in ENDED:
            continue
        if is_gateway(each):
            sites.append(site := _site(each, budget, exact=exact))
            names |= {name.lower(): site for name in (each.dev_eui, each.name) if name}
        elif not each.external:
            devices.append(each)
    for entry in stock.gateways():
        known = names.get(entry.eui) or names.get(entry.name.lower())
        if known is None and entry.state == "registered":  # no record says where it stands
            sites.append(known := Site(entry.name, "", "enrolled"))
        if known is not None:
            names.setdefault(entry.eui, known)
    return _judge(devices, sites, budget, _known(heard, names), exact=exact, measured=heard is not None)


def _known(heard: Mapping[str, set[str]] | None, names: Mapping[str, Site]) -> dict[str, list[Site]]:
    return {
        dev_eui: list({id(names[each]): names[each] for each in sorted(gateways) if each in names}.values())
        for dev_eui, gateways in (heard or {}).items()
    }


def _judge(
    devices: list[DeviceRecord],
    sites: list[Site],
    budget: Budget,
    heard: Mapping[str, list[Site]],
    *,
    exact: bool,
    measured: bool,
) -> Coverage:
    grids: dict[Link, Grid] = {
        "lora": Grid(each for each in sites if "lora" in each.links),
        "ble": Grid(each for each in sites if "ble" in each.links),
    }
    rows = []
    for device in devices:
        rows.append(row := _row(device, grids, budget, heard.get(device.dev_eui or "", []), exact=exact))
        for site in heard.get(device.dev_eui or "", []):
            if row.lat is not None and row.lon is not None and site.lat is not None:
                site.measured_m = max(site.measured_m or 0.0, site.distance_m(row.lat, row.lon))
    return Coverage(budget, measured, exact, sorted(sites, key=lambda each: each.id), rows)


def _site(record: DeviceRecord, budget: Budget, *, exact: bool) -> Site:
    place = record.location
    site = Site(record.id or "", record.owner_org or "", record.lifecycle.stage, _gateway_links(record))
    if place is not None:
        site.lat, site.lon = position(place, exact=exact)
        site.rounded = place.protected and not exact
        site.height_m = place.height_m
    ranges: dict[Link, float] = {"lora": budget.lora_range_m(site.height_m), "ble": budget.ble_range_m}
    site.range_m = {link: ranges[link] for link in site.links}
    return site


def _interfaces(record: DeviceRecord) -> set[Link]:
    words = {each.type.lower() for each in record.interfaces if each.enabled}
    found: set[Link] = {"ble"} if words & {"ble", "bluetooth"} else set()
    return found | ({"lora"} if words & {"lora", "lorawan"} else set())


def _gateway_links(record: DeviceRecord) -> tuple[Link, ...]:
    """A plan of radio or an interface says LoRa; where nothing says anything, LoRa is assumed."""
    found = _interfaces(record)
    if record.radio is not None or (record.network is not None and record.network.type == "lorawan") or not found:
        found.add("lora")
    return tuple(sorted(found, reverse=True))


def _device_links(record: DeviceRecord) -> tuple[Link, ...]:
    """Empty for who talks over a network of its own. A planned device that does not say yet: LoRa."""
    found = _interfaces(record)
    if record.network is not None and record.network.type == "lorawan":
        found.add("lora")
    if not found and record.network is None:
        found.add("lora")
    return tuple(sorted(found, reverse=True))


def _reach_m(device: DeviceRecord, link: Link, budget: Budget) -> Callable[[float | None], float]:
    """From the height of a gateway to how far it and this device hear each other."""
    if link == "ble":
        return lambda _height_m: budget.ble_range_m
    place = device.location
    height_m = None if place is None else place.height_m
    sf_max = None if device.radio is None else device.radio.sf_max
    indoor = place is not None and place.indoor
    return lambda gateway_m: budget.lora_range_m(gateway_m, height_m, sf_max=sf_max, indoor=indoor)


def _row(
    device: DeviceRecord, grids: Mapping[Link, Grid], budget: Budget, heard: Sequence[Site], *, exact: bool
) -> Row:
    place, links = device.location, _device_links(device)
    rounded = place is not None and place.protected and not exact
    lat, lon = (None, None) if place is None else position(place, exact=exact)
    near: list[tuple[float, Site]] = []
    covering: dict[str, Site] = {each.id: each for each in heard}
    if lat is not None and lon is not None:
        for link in links:
            reaches = _reach_m(device, link, budget)
            found = grids[link].near(lat, lon, reaches)
            near += found
            covering |= {each.id: each for far, each in found if far <= reaches(each.height_m)}
    nearest = min(near, key=lambda each: (each[0], each[1].id), default=None)
    if heard:
        status = "covered"
    elif not links:
        status = "other network"
    elif lat is None:
        status = "no position"
    elif covering:
        status = "covered" if any(each.stage in LIVE for each in covering.values()) else "gateway not in use"
    else:
        status = "not covered"
    return Row(
        id=device.id or "",
        kind=device.kind,
        owner=device.owner_org or "",
        stage=device.lifecycle.stage,
        district=(place.district or "") if place is not None else "",
        segment=(place.segment_id or "") if place is not None and not rounded else "",
        links=links,
        lat=lat,
        lon=lon,
        rounded=rounded,
        status=status,
        basis="measured" if heard else "estimated" if covering or status == "not covered" else "",
        gateways=tuple(sorted(covering)),
        nearest="" if nearest is None else nearest[1].id,
        distance_m=None if nearest is None else nearest[0],
    )
