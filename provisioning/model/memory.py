# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A stock in memory: for tests, and for work without the register (a snapshot file says how old it is)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from provisioning.model import geo
from provisioning.model.stock import Near

if TYPE_CHECKING:
    from provisioning.model.device import DeviceRecord
    from provisioning.model.organisations import Organisation, RoleHolder
    from provisioning.model.papers import Approval, CoUseDialogue, PaperT, Scope, Signed, Waiver
    from provisioning.model.platforms import GatewayEntry, Platform


class MemoryStock:
    """Implements provisioning.model.stock.Stock. Devices need an id."""

    def __init__(
        self,
        devices: Iterable[DeviceRecord] = (),
        *,
        organisations: Iterable[Organisation] = (),
        role_holders: Iterable[RoleHolder] = (),
        platforms: Iterable[Platform] = (),
        gateways: Iterable[GatewayEntry] = (),
        dialogues: Iterable[Signed[CoUseDialogue]] = (),
        approvals: Iterable[Signed[Approval]] = (),
        waivers: Iterable[Signed[Waiver]] = (),
        as_of: datetime | None = None,
        revision: int = 0,
    ) -> None:
        self._as_of = datetime.now(UTC) if as_of is None else as_of
        self._revision = revision
        self._devices: dict[str, DeviceRecord] = {}
        self._cells: defaultdict[int, list[str]] = defaultdict(list)
        self._by: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for device in sorted(devices, key=lambda each: each.id or ""):
            self._add(device)
        self._organisations = {each.id: each for each in sorted(organisations, key=lambda each: each.id)}
        self._role_holders = sorted(role_holders, key=lambda each: each.id)
        self._platforms = {each.id: each for each in sorted(platforms, key=lambda each: each.id)}
        self._gateways = sorted(gateways, key=lambda each: each.eui)
        self._dialogues = sorted(dialogues, key=lambda each: each.paper.id)
        self._approvals = sorted(approvals, key=lambda each: each.paper.id)
        self._waivers = sorted(waivers, key=lambda each: each.paper.id)

    def _add(self, device: DeviceRecord) -> None:
        if device.id is None:
            raise ValueError("a device of the stock needs an id")
        if device.id in self._devices:
            raise ValueError(f"{device.id} stands twice in the stock")
        self._devices[device.id] = device
        if device.location is not None:
            self._cells[geo.cell(device.location.lat, device.location.lon)].append(device.id)
            if device.location.segment_id is not None:
                self._by["segment", device.location.segment_id].append(device.id)
        if device.asset is not None:
            self._by["asset", device.asset.id].append(device.id)
        for what, value in (("eui", device.dev_eui), ("batch", device.batch), ("fingerprint", device.fingerprint)):
            if value is not None:
                self._by[what, value].append(device.id)

    @property
    def as_of(self) -> datetime:
        """When this was true."""
        return self._as_of

    @property
    def revision(self) -> int:
        """Of the register it was taken from."""
        return self._revision

    def device(self, device_id: str) -> DeviceRecord | None:
        """See Stock."""
        return self._devices.get(device_id)

    def device_by_eui(self, dev_eui: str) -> DeviceRecord | None:
        """See Stock."""
        found = self._of("eui", dev_eui)
        return found[0] if found else None

    def devices(self, *, owner: str | None = None, kind: str | None = None) -> Iterator[DeviceRecord]:
        """See Stock."""
        for device in self._devices.values():
            if owner in (None, device.owner_org) and kind in (None, device.kind):
                yield device

    def devices_near(self, lat: float, lon: float, radius_m: float) -> Sequence[Near]:
        """See Stock."""
        found = []
        for first, last in geo.cell_ranges(lat, lon, radius_m):
            for number in range(first, last + 1):
                for device_id in self._cells.get(number, ()):
                    device = self._devices[device_id]
                    place = device.location
                    if place is not None and (far := geo.distance_m(lat, lon, place.lat, place.lon)) <= radius_m:
                        found.append(Near(device, far))
        return sorted(found, key=lambda near: (near.distance_m, near.device.id))

    def devices_at(self, asset_id: str) -> Sequence[DeviceRecord]:
        """See Stock."""
        return self._of("asset", asset_id)

    def devices_on(self, segment_id: str) -> Sequence[DeviceRecord]:
        """See Stock."""
        return self._of("segment", segment_id)

    def devices_of_batch(self, batch_id: str) -> Sequence[DeviceRecord]:
        """See Stock."""
        return self._of("batch", batch_id)

    def devices_with(self, fingerprint: str) -> Sequence[DeviceRecord]:
        """See Stock."""
        return self._of("fingerprint", fingerprint)

    def _of(self, what: str, value: str) -> list[DeviceRecord]:
        return [self._devices[device_id] for device_id in self._by.get((what, value), ())]

    def organisation(self, org_id: str) -> Organisation | None:
        """See Stock."""
        return self._organisations.get(org_id)

    def organisations(self) -> Sequence[Organisation]:
        """See Stock."""
        return list(self._organisations.values())

    def role_holders(self) -> Sequence[RoleHolder]:
        """See Stock."""
        return self._role_holders

    def platform(self, platform_id: str) -> Platform | None:
        """See Stock."""
        return self._platforms.get(platform_id)

    def platforms(self) -> Sequence[Platform]:
        """See Stock."""
        return list(self._platforms.values())

    def gateways(self) -> Sequence[GatewayEntry]:
        """See Stock."""
        return self._gateways

    def dialogues(
        self, *, device_id: str | None = None, batch_id: str | None = None
    ) -> Sequence[Signed[CoUseDialogue]]:
        """See Stock."""
        return _about(self._dialogues, device_id, batch_id)

    def approvals(
        self, *, device_id: str | None = None, batch_id: str | None = None, platform_id: str | None = None
    ) -> Sequence[Signed[Approval]]:
        """See Stock."""
        if platform_id is None:
            return _about(self._approvals, device_id, batch_id)
        of_platform = [each for each in self._approvals if each.paper.platform_id == platform_id]
        if device_id is None and batch_id is None:
            return of_platform
        found = {each.paper.id: each for each in [*of_platform, *_about(self._approvals, device_id, batch_id)]}
        return [found[paper_id] for paper_id in sorted(found)]

    def waivers(self, *, device_id: str | None = None, batch_id: str | None = None) -> Sequence[Signed[Waiver]]:
        """See Stock."""
        return _about(self._waivers, device_id, batch_id)


def _about(papers: list[Signed[PaperT]], device_id: str | None, batch_id: str | None) -> list[Signed[PaperT]]:
    if device_id is None and batch_id is None:
        return list(papers)
    return [each for each in papers if names(each.paper.scope, device_id, batch_id)]


def names(scope: Scope, device_id: str | None, batch_id: str | None) -> bool:
    """Return whether a scope names this device or this batch."""
    return (device_id is not None and device_id in scope.device_ids) or (
        batch_id is not None and batch_id == scope.batch_id
    )
