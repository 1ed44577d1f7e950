# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The stock of the city as the rules ask it, answered by the database (provisioning.model.stock.Stock)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

from provisioning.errors import RegisterError
from provisioning.model import geo
from provisioning.model.base import Model
from provisioning.model.commanders import Commander
from provisioning.model.datasets import Dataset
from provisioning.model.memory import names
from provisioning.model.organisations import Organisation, RoleHolder
from provisioning.model.papers import Approval, CoUseDialogue, Paper, PaperT, Signed, Waiver
from provisioning.model.platforms import GatewayEntry, Platform
from provisioning.model.stock import Near
from provisioning.register import asking
from provisioning.register.record_text import load
from provisioning.register.signing import opened

if TYPE_CHECKING:
    from provisioning.model.device import DeviceRecord
    from provisioning.register.asking import Asked

ModelT = TypeVar("ModelT", bound=Model)
_ALL: Final[dict[type[Model], str]] = {
    Organisation: "SELECT body FROM organisations ORDER BY id",
    RoleHolder: "SELECT body FROM role_holders ORDER BY id",
    Platform: "SELECT body FROM platforms ORDER BY id",
    Dataset: "SELECT body FROM datasets ORDER BY id",
    Commander: "SELECT body FROM commanders ORDER BY id",
}
_ONE: Final[dict[type[Model], str]] = {
    model: query.replace("ORDER BY id", "WHERE id = :id") for model, query in _ALL.items()
}
_DEVICES: Final = "SELECT record FROM devices WHERE "
_NEAR: Final = "SELECT lat, lon, record FROM devices WHERE "
_LISTED: Final = {
    (False, False): "SELECT record FROM devices ORDER BY id",
    (True, False): _DEVICES + "owner = :owner ORDER BY id",
    (False, True): _DEVICES + "record_kind = :kind ORDER BY id",
    (True, True): _DEVICES + "owner = :owner AND record_kind = :kind ORDER BY id",
}
"""By whether an owner and a kind are asked for."""


class DatabaseStock:
    """Answers within one open transaction, so that all answers fit together."""

    def __init__(self, connection: Asked, as_of: datetime) -> None:
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
        found = asking.rows(self.connection, "SELECT seq FROM log_head")
        return int(found[0]["seq"])

    def device(self, device_id: str) -> DeviceRecord | None:
        """See Stock."""
        return self._one(_DEVICES + "id = :value", device_id)

    def device_by_eui(self, dev_eui: str) -> DeviceRecord | None:
        """See Stock."""
        return self._one(_DEVICES + "dev_eui = :value", dev_eui)

    def devices(self, *, owner: str | None = None, kind: str | None = None) -> Iterator[DeviceRecord]:
        """See Stock."""
        wanted = {name: value for name, value in (("owner", owner), ("kind", kind)) if value is not None}
        for row in asking.each(self.connection, _LISTED[owner is not None, kind is not None], **wanted):
            yield load(row["record"])

    def devices_near(self, lat: float, lon: float, radius_m: float) -> Sequence[Near]:
        """See Stock. Asks for runs of grid cells, so that its time depends on what is near and not on the city."""
        found = []
        runs = list(geo.cell_ranges(lat, lon, radius_m))
        values = {f"{end}{i}": cell for i, run in enumerate(runs) for end, cell in zip("ab", run, strict=True)}
        query = _NEAR + " OR ".join(f"cell BETWEEN :a{i} AND :b{i}" for i in range(len(runs)))
        for row in asking.rows(self.connection, query, **values):
            far = geo.distance_m(lat, lon, row["lat"], row["lon"])
            if far <= radius_m:
                found.append(Near(load(row["record"]), far))
        return sorted(found, key=lambda near: (near.distance_m, near.device.id))

    def devices_at(self, asset_id: str) -> Sequence[DeviceRecord]:
        """See Stock."""
        return self._many(_DEVICES + "asset = :value ORDER BY id", asset_id)

    def devices_on(self, segment_id: str) -> Sequence[DeviceRecord]:
        """See Stock."""
        return self._many(_DEVICES + "segment = :value ORDER BY id", segment_id)

    def devices_of_batch(self, batch_id: str) -> Sequence[DeviceRecord]:
        """See Stock."""
        return self._many(_DEVICES + "batch = :value ORDER BY id", batch_id)

    def devices_with(self, fingerprint: str) -> Sequence[DeviceRecord]:
        """See Stock."""
        return self._many(_DEVICES + "fingerprint = :value ORDER BY id", fingerprint)

    def _one(self, query: str, value: str) -> DeviceRecord | None:
        row = asking.one(self.connection, query, value=value)
        return None if row is None else load(row["record"])

    def _many(self, query: str, value: str) -> list[DeviceRecord]:
        return [load(row["record"]) for row in asking.rows(self.connection, query, value=value)]

    def organisation(self, org_id: str) -> Organisation | None:
        """See Stock."""
        return object_of(self.connection, Organisation, org_id)

    def organisations(self) -> Sequence[Organisation]:
        """See Stock."""
        return objects(self.connection, Organisation)

    def role_holders(self) -> Sequence[RoleHolder]:
        """See Stock."""
        return list(self._known_holders().values())

    def _known_holders(self) -> dict[str, RoleHolder]:
        if self._holders is None:
            self._holders = {each.id: each for each in objects(self.connection, RoleHolder)}
        return self._holders

    def platform(self, platform_id: str) -> Platform | None:
        """See Stock."""
        return object_of(self.connection, Platform, platform_id)

    def platforms(self) -> Sequence[Platform]:
        """See Stock."""
        return objects(self.connection, Platform)

    def gateways(self) -> Sequence[GatewayEntry]:
        """See Stock."""
        query = "SELECT eui, name, state, not_after_s FROM gateways ORDER BY eui"
        return [
            GatewayEntry(
                eui=row["eui"],
                name=row["name"],
                state=row["state"],
                not_after=datetime.fromtimestamp(row["not_after_s"], UTC),
            )
            for row in asking.rows(self.connection, query)
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
        stated = {"device": device_id, "batch": batch_id, "platform": platform_id}
        values = {name: value for name, value in stated.items() if value is not None}
        for row in asking.rows(self.connection, _paper_query(tuple(values)), kind=kind, **values):
            paper, signature = opened(bytes(row["envelope"]), self._known_holders())
            if isinstance(paper, wanted) and _wanted(paper, device_id, batch_id, platform_id):
                found.append(Signed[wanted](paper=paper, signature=signature))  # type: ignore[valid-type]
        return found


def _wanted(paper: Paper, device_id: str | None, batch_id: str | None, platform_id: str | None) -> bool:
    # The columns only narrow the search: what counts is what was signed.
    if device_id is None and batch_id is None and platform_id is None:
        return True
    about = isinstance(paper, Approval) and platform_id is not None and paper.platform_id == platform_id
    return about or names(paper.scope, device_id, batch_id)


_PAPERS_OF: Final = {
    "device": "id IN (SELECT paper FROM paper_devices WHERE device = :device)",
    "batch": "batch = :batch",
    "platform": "platform = :platform",
}


@lru_cache(maxsize=8)
def _paper_query(about: tuple[str, ...]) -> str:
    either = " OR ".join(_PAPERS_OF[name] for name in about)
    return f"SELECT envelope FROM papers WHERE type = :kind{f' AND ({either})' if either else ''} ORDER BY id"  # noqa: S608 - parts of the table above


def objects(connection: Asked, model: type[ModelT]) -> list[ModelT]:
    """All objects of a type, by id."""
    return [_load(row["body"], model) for row in asking.rows(connection, _ALL[model])]


def object_of(connection: Asked, model: type[ModelT], object_id: str) -> ModelT | None:
    """The object with this id, None where there is none."""
    row = asking.one(connection, _ONE[model], id=object_id)
    return None if row is None else _load(row["body"], model)


def _load(text: str, model: type[ModelT]) -> ModelT:
    try:
        return model.model_validate_json(text)
    except ValueError as error:
        raise RegisterError(
            "An object in the register does not follow its schema.",
            value=f"{model.__name__}: {text[:40]}",
            next_step="lykta log verify shows whether it was changed; then restore it from a backup",
        ) from error
