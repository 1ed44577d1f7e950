# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The stock of the city as the rules ask it, answered by the database (provisioning.model.stock.Stock)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, or_, select

from provisioning.errors import RegisterError
from provisioning.model import geo
from provisioning.model.base import Model
from provisioning.model.memory import names
from provisioning.model.organisations import Organisation, RoleHolder
from provisioning.model.papers import Approval, CoUseDialogue, Paper, PaperT, Signed, Waiver
from provisioning.model.platforms import GatewayEntry, Platform
from provisioning.model.stock import Near
from provisioning.register import records, tables
from provisioning.register.log import head
from provisioning.register.signing import opened

if TYPE_CHECKING:
    from provisioning.model.device import DeviceRecord

ModelT = TypeVar("ModelT", bound=Model)
_BATCH = 1000


class DatabaseStock:
    """Answers within one open transaction, so that all answers fit together."""

    def __init__(self, connection: Connection, as_of: datetime) -> None:
        self.connection = connection
        self._as_of = as_of
        self._holders: dict[str, RoleHolder] | None = None

    @property
    def as_of(self) -> datetime:
        """Now, since it is the register itself."""
        return self._as_of

    @property
    def revision(self) -> int:
        """Number of the last change in the log."""
        return head(self.connection).seq

    def device(self, device_id: str) -> DeviceRecord | None:
        """See Stock."""
        return self._one(tables.devices.c.id == device_id)

    def device_by_eui(self, dev_eui: str) -> DeviceRecord | None:
        """See Stock."""
        return self._one(tables.devices.c.dev_eui == dev_eui)

    def devices(self, *, owner: str | None = None, kind: str | None = None) -> Iterator[DeviceRecord]:
        """See Stock."""
        table = tables.devices
        query = select(table.c.record).order_by(table.c.id).execution_options(yield_per=_BATCH)
        if owner is not None:
            query = query.where(table.c.owner == owner)
        if kind is not None:
            query = query.where(table.c.record_kind == kind)
        with self.connection.execute(query) as rows:
            for text in rows.scalars():
                yield records.load(text)

    def devices_near(self, lat: float, lon: float, radius_m: float) -> Sequence[Near]:
        """See Stock. Asks for runs of grid cells, so that its time depends on what is near and not on the city."""
        table, found = tables.devices, []
        runs = [table.c.cell.between(first, last) for first, last in geo.cell_ranges(lat, lon, radius_m)]
        for row in self.connection.execute(select(table.c.lat, table.c.lon, table.c.record).where(or_(*runs))):
            far = geo.distance_m(lat, lon, row.lat, row.lon)
            if far <= radius_m:
                found.append(Near(records.load(row.record), far))
        return sorted(found, key=lambda near: (near.distance_m, near.device.id))

    def devices_at(self, asset_id: str) -> Sequence[DeviceRecord]:
        """See Stock."""
        return self._many(tables.devices.c.asset == asset_id)

    def devices_on(self, segment_id: str) -> Sequence[DeviceRecord]:
        """See Stock."""
        return self._many(tables.devices.c.segment == segment_id)

    def devices_of_batch(self, batch_id: str) -> Sequence[DeviceRecord]:
        """See Stock."""
        return self._many(tables.devices.c.batch == batch_id)

    def devices_with(self, fingerprint: str) -> Sequence[DeviceRecord]:
        """See Stock."""
        return self._many(tables.devices.c.fingerprint == fingerprint)

    def _one(self, condition: Any) -> DeviceRecord | None:
        text = self.connection.execute(select(tables.devices.c.record).where(condition)).scalar_one_or_none()
        return None if text is None else records.load(text)

    def _many(self, condition: Any) -> list[DeviceRecord]:
        table = tables.devices
        query = select(table.c.record).where(condition).order_by(table.c.id)
        return [records.load(text) for text in self.connection.execute(query).scalars()]

    def organisation(self, org_id: str) -> Organisation | None:
        """See Stock."""
        return object_of(self.connection, tables.organisations, Organisation, org_id)

    def organisations(self) -> Sequence[Organisation]:
        """See Stock."""
        return objects(self.connection, tables.organisations, Organisation)

    def role_holders(self) -> Sequence[RoleHolder]:
        """See Stock."""
        return list(self._known_holders().values())

    def _known_holders(self) -> dict[str, RoleHolder]:
        if self._holders is None:
            self._holders = {each.id: each for each in objects(self.connection, tables.role_holders, RoleHolder)}
        return self._holders

    def platform(self, platform_id: str) -> Platform | None:
        """See Stock."""
        return object_of(self.connection, tables.platforms, Platform, platform_id)

    def platforms(self) -> Sequence[Platform]:
        """See Stock."""
        return objects(self.connection, tables.platforms, Platform)

    def gateways(self) -> Sequence[GatewayEntry]:
        """See Stock."""
        table = tables.gateways
        return [
            GatewayEntry(
                eui=row.eui, name=row.name, state=row.state, not_after=datetime.fromtimestamp(row.not_after_s, UTC)
            )
            for row in self.connection.execute(select(table).order_by(table.c.eui))
        ]

    def dialogues(
        self, *, device_id: str | None = None, batch_id: str | None = None
    ) -> Sequence[Signed[CoUseDialogue]]:
        """See Stock."""
        return self._papers(CoUseDialogue, "dialogue", device_id, batch_id)

    def approvals(
        self, *, device_id: str | None = None, batch_id: str | None = None, platform_id: str | None = None
    ) -> Sequence[Signed[Approval]]:
        """See Stock."""
        return self._papers(Approval, "approval", device_id, batch_id, platform_id)

    def waivers(self, *, device_id: str | None = None, batch_id: str | None = None) -> Sequence[Signed[Waiver]]:
        """See Stock."""
        return self._papers(Waiver, "waiver", device_id, batch_id)

    def _papers(
        self,
        wanted: type[PaperT],
        kind: str,
        device_id: str | None,
        batch_id: str | None,
        platform_id: str | None = None,
    ) -> list[Signed[PaperT]]:
        found = []
        for envelope in self.connection.execute(_paper_query(kind, device_id, batch_id, platform_id)).scalars():
            paper, signature = opened(bytes(envelope), self._known_holders())
            if isinstance(paper, wanted) and _wanted(paper, device_id, batch_id, platform_id):
                found.append(Signed[wanted](paper=paper, signature=signature))  # type: ignore[valid-type]
        return found


def _wanted(paper: Paper, device_id: str | None, batch_id: str | None, platform_id: str | None) -> bool:
    # The columns only narrow the search: what counts is what was signed.
    if device_id is None and batch_id is None and platform_id is None:
        return True
    about = isinstance(paper, Approval) and platform_id is not None and paper.platform_id == platform_id
    return about or names(paper.scope, device_id, batch_id)


def _paper_query(kind: str, device_id: str | None, batch_id: str | None, platform_id: str | None) -> Select[Any]:
    table, link = tables.papers, tables.paper_devices
    query = select(table.c.envelope).where(table.c.type == kind).order_by(table.c.id)
    conditions: list[ColumnElement[bool]] = []
    if device_id is not None:
        conditions.append(table.c.id.in_(select(link.c.paper).where(link.c.device == device_id)))
    if batch_id is not None:
        conditions.append(table.c.batch == batch_id)
    if platform_id is not None:
        conditions.append(table.c.platform == platform_id)
    return query.where(or_(*conditions)) if conditions else query


def objects(connection: Connection, table: Table, model: type[ModelT]) -> list[ModelT]:
    """All objects of a table, by id."""
    return [_load(text, model) for text in connection.execute(select(table.c.body).order_by(table.c.id)).scalars()]


def object_of(connection: Connection, table: Table, model: type[ModelT], object_id: str) -> ModelT | None:
    """The object with this id, None where there is none."""
    text = connection.execute(select(table.c.body).where(table.c.id == object_id)).scalar_one_or_none()
    return None if text is None else _load(text, model)


def _load(text: str, model: type[ModelT]) -> ModelT:
    try:
        return model.model_validate_json(text)
    except ValueError as error:
        raise RegisterError(
            "An object in the register does not follow its schema.",
            value=f"{model.__name__}: {text[:40]}",
            next_step="lykta log verify shows whether it was changed; then restore it from a backup",
        ) from error
