# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the rules may ask: the stock of the city, wherever it is kept (database, snapshot file, memory)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from provisioning.model.device import DeviceRecord
from provisioning.model.organisations import Organisation, RoleHolder
from provisioning.model.papers import Approval, CoUseDialogue, Signed, Waiver
from provisioning.model.platforms import GatewayEntry, Platform


class Near(NamedTuple):
    """A device and how far away it stands."""

    device: DeviceRecord
    distance_m: float


class Stock(Protocol):
    """A view of the register that does not change while it is asked. EUIs are 16 lower-case hexadecimal digits."""

    @property
    def as_of(self) -> datetime:
        """When what it says was true, UTC: now for the register itself, earlier for a snapshot of it."""

    @property
    def revision(self) -> int:
        """Number of the last change in the register's log."""

    def device(self, device_id: str) -> DeviceRecord | None:
        """The device with this id of the register (`TRK-2041`)."""

    def device_by_eui(self, dev_eui: str) -> DeviceRecord | None:
        """The device with this DevEUI."""

    def devices(self, *, owner: str | None = None, kind: str | None = None) -> Iterator[DeviceRecord]:
        """All devices in the order of their ids, or those of an owner (organisation id) or kind."""

    def devices_near(self, lat: float, lon: float, radius_m: float) -> Sequence[Near]:
        """Devices of any stage within `radius_m` of a place (great circle on WGS 84's mean sphere), nearest first."""

    def devices_at(self, asset_id: str) -> Sequence[DeviceRecord]:
        """Devices on this asset."""

    def devices_on(self, segment_id: str) -> Sequence[DeviceRecord]:
        """Devices on this road or path segment."""

    def devices_of_batch(self, batch_id: str) -> Sequence[DeviceRecord]:
        """Devices of this batch."""

    def devices_with(self, fingerprint: str) -> Sequence[DeviceRecord]:
        """Devices whose credential has this fingerprint: more than one is a shared key."""

    def organisation(self, org_id: str) -> Organisation | None:
        """A board or company."""

    def organisations(self) -> Sequence[Organisation]:
        """All of them, by id."""

    def role_holders(self) -> Sequence[RoleHolder]:
        """Everybody who may sign, also those whose time is over."""

    def platform(self, platform_id: str) -> Platform | None:
        """A platform."""

    def platforms(self) -> Sequence[Platform]:
        """All of them, by id."""

    def gateways(self) -> Sequence[GatewayEntry]:
        """All enrolled gateways, by EUI."""

    def dialogues(
        self, *, device_id: str | None = None, batch_id: str | None = None
    ) -> Sequence[Signed[CoUseDialogue]]:
        """Dialogues whose scope names the device or the batch (either); all when neither is given. By id."""

    def approvals(
        self, *, device_id: str | None = None, batch_id: str | None = None, platform_id: str | None = None
    ) -> Sequence[Signed[Approval]]:
        """Approvals whose scope names the device or batch, or which are about the platform; all when none is given."""

    def waivers(self, *, device_id: str | None = None, batch_id: str | None = None) -> Sequence[Signed[Waiver]]:
        """Waivers, also expired ones, as `dialogues`."""
