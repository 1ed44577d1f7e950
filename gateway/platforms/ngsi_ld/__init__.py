# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""NGSI-LD (ETSI GS CIM 009): entities of the Smart Data Models, upserted in batches into a context broker.

A broker keeps the present state of a thing. What an outage made late must not overwrite what is newer: the last time of
each entity is asked of the broker once, and remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from gateway.errors import NotTaken, PlatformError
from gateway.operate.logs import EventLog, Seldom
from gateway.platforms._delivery import Delivery, Rejected
from gateway.platforms._http import Http, HttpSettings
from gateway.platforms.ngsi_ld.alarms import Statuses
from gateway.platforms.ngsi_ld.entities import STATUS_OF, Assumed, Entity, Format, device_of, entities, type_iri
from gateway.platforms.ngsi_ld.newest import Newest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.platforms import Context
    from gateway.platforms._http import Answer
    from gateway.releases.release import Released

_ENTITIES = "/ngsi-ld/v1/entities"
_UPSERT = "/ngsi-ld/v1/entityOperations/upsert"
_JSON_LD = {"Content-Type": "application/ld+json"}
_MULTI_STATUS = 207
_ASKED_AT_ONCE = 50
_DATES = frozenset({"dateObserved", "dateLastValueReported"})


class Settings(HttpSettings):
    """``[[platforms]]`` with ``type = "ngsi_ld"``."""

    type: Literal["ngsi_ld"]
    format: Format = "normalized"
    """``keyValues``: shorter, without units and times of observation, for brokers that take it in batches."""
    tenant: str | None = None
    """Sent as NGSILD-Tenant (ETSI GS CIM 009 section 6.3.14)."""


class Broker:
    """The partner of a Delivery."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._http = Http(settings, context)
        self._headers = {} if settings.tenant is None else {"NGSILD-Tenant": settings.tenant}
        self._rules = settings.release
        self._statuses = Statuses()
        self._log = EventLog("platforms.ngsi_ld")
        self._seldom = Seldom(interval_s=3600.0)
        self._newest = Newest()

    async def open(self) -> None:
        """See Partner."""
        await self._http.open()
        self._newest.clear()
        self._statuses.clear()
        await self._http.ask("GET", _ENTITIES, query={"type": type_iri("Device"), "limit": "1"}, headers=self._headers)

    async def close(self) -> None:
        """See Partner."""
        await self._http.close()

    async def noted(self) -> None:
        """See Partner."""

    async def between(self) -> None:
        """See Partner."""

    async def deliver(self, readings: Sequence[Released]) -> Sequence[Rejected]:
        """See Partner."""
        made = [(reading, entity) for reading in readings for entity in self._entities(reading)]
        await self._learn(entity for _, entity in made)
        newest: OrderedDict[str, tuple[Released, Entity]] = OrderedDict()
        rejected: dict[tuple[str, int], Rejected] = {}
        for reading, whole in made:
            if whole.id in newest:  # twice in one batch: which of them a broker takes is its own choice
                for each in await self._upsert(newest):
                    rejected[each.reading.stream, each.reading.record] = each
                newest.clear()
            entity = self._newest.newer(whole)
            if entity is None:
                self._count("superseded")
            else:
                newest[entity.id] = reading, entity
        if newest:
            for each in await self._upsert(newest):
                rejected[each.reading.stream, each.reading.record] = each
        return list(rejected.values())

    def _entities(self, reading: Released) -> list[Entity]:
        found = entities(reading)
        if not found:
            self._count("without_place")
            if self._seldom.allow(reading.device) is not None:
                next_step = f"give it a location in the register: lykta show {reading.device}"
                self._log.warning(
                    "device_without_place", platform=self._settings.name, device=reading.device, next_step=next_step
                )
        return found

    async def _upsert(self, made: OrderedDict[str, tuple[Released, Entity]]) -> list[Rejected]:
        body = [self._to_json(entity) for _, entity in made.values()]
        options = "update,keyValues" if self._settings.format == "keyValues" else "update"
        headers = {**_JSON_LD, **self._headers}
        answer = await self._http.ask("POST", _UPSERT, body=body, query={"options": options}, headers=headers)
        rejected = _rejected(answer, made) if answer.status == _MULTI_STATUS else []
        gone = {(each.reading.stream, each.reading.record) for each in rejected}
        for reading, entity in made.values():
            if (reading.stream, reading.record) not in gone:
                self._newest.took(entity)
        return rejected

    def _to_json(self, entity: Entity) -> dict[str, Any]:
        status_of = STATUS_OF.get(entity.type)
        # In open data nobody is told of alarms, and "ok" would be a claim.
        if status_of and (entity.alarms or not self._newest.holds(entity.id)) and self._rules.audience != "open":
            status = self._statuses.update(entity.id, entity.alarms, list(status_of.values()))
            told = status if entity.alarms else Assumed(status)
            entity = replace(entity, attributes={**entity.attributes, "status": told})
        return entity.to_json(self._settings.format)

    async def _learn(self, made: Iterable[Entity]) -> None:
        """Ask the broker when entities were observed last that were not met since the connection."""
        unknown = sorted({(each.type, each.id) for each in made if not self._newest.knows(each.id)})
        for start in range(0, len(unknown), _ASKED_AT_ONCE):
            some = [entity_id for _, entity_id in unknown[start : start + _ASKED_AT_ONCE]]
            # Ids alone are too broad a query (section 5.7.2.4).
            types = sorted({type_iri(kind) for kind, _ in unknown[start : start + _ASKED_AT_ONCE]})
            query = {"type": ",".join(types), "id": ",".join(some), "limit": str(len(some))}
            answer = await self._http.ask("GET", _ENTITIES, query=query, headers=self._headers, also=(404,))
            found = answer.json() if answer.status != 404 else []
            held = {each["id"]: each for each in found or () if isinstance(each, dict) and "id" in each}
            for each in some:
                entity = held.get(each, {})
                device_id = device_of(each)
                times, dated_s = _times(entity), 0.0
                if entity and not times:  # the simplified representation: a date of the thing, or of its device
                    dated_s = _dated_s(entity) or _dated_s(held.get(device_id, {})) or 1.0
                self._newest.learn(each, times, dated_s)
                status = _plain(entity, "status")
                if status:
                    self._statuses.learn(each, status)

    def _count(self, what: str) -> None:
        self._context.counters.add("platforms", f"{self._settings.name}_{what}")


def _rejected(answer: Answer, made: OrderedDict[str, tuple[Released, Entity]]) -> list[Rejected]:
    """Read a BatchOperationResult (section 5.2.16). Raises PlatformError for errors that may pass."""
    result = answer.json()
    errors = result.get("errors") if isinstance(result, dict) else None
    if not isinstance(errors, list):
        raise PlatformError(f"{_UPSERT}: 207 without a list of errors")
    found = []
    for each in errors:
        entity_id = each.get("entityId") if isinstance(each, dict) else None
        details = each.get("error") if isinstance(each, dict) else None
        status = details.get("status", 400) if isinstance(details, dict) else 400
        if not isinstance(entity_id, str) or entity_id not in made:
            raise NotTaken(f"{_UPSERT}: an error of {entity_id!r}, which was not sent")
        if not isinstance(status, int) or status >= 500 or status == 429:
            raise PlatformError(f"{_UPSERT}: {entity_id}: {details}")
        found.append(Rejected(made[entity_id][0], f"{entity_id}: {details}"))
    return found


def _times(entity: dict[str, Any]) -> dict[str, float]:
    """Return when each attribute of an entity was observed, as far as the broker tells."""
    found = {_term(name): _unix_s(value.get("observedAt")) for name, value in entity.items() if isinstance(value, dict)}
    return {name: time_s for name, time_s in found.items() if time_s}


def _dated_s(entity: dict[str, Any]) -> float:
    """Return when an entity was observed, by the dates that it tells; 0 where it tells none."""
    return max(_unix_s(_plain(entity, name)) for name in _DATES)


def _unix_s(text: object) -> float:
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) and text else 0.0
    except ValueError:
        return 0.0


def _term(name: str) -> str:
    """Return the last part of an IRI, or of what a broker makes of one."""
    return name.replace(":", "/").rpartition("/")[2]


def _plain(entity: dict[str, Any], wanted: str) -> str:
    """Return the text of an attribute, which a broker may call by its term, its IRI or something between."""
    for name, value in entity.items():
        if _term(name) == wanted:
            inner = value.get("value") if isinstance(value, dict) else value
            inner = inner.get("@value") if isinstance(inner, dict) else inner
            return inner if isinstance(inner, str) else ""
    return ""


def build(settings: Settings, context: Context) -> Delivery:
    """Return the platform of one ``[[platforms]]`` table."""
    partner = Broker(settings, context)
    batch, retry_max_s = settings.batch, settings.retry_max_s
    return Delivery(settings.name, partner, settings.release, context, batch=batch, retry_max_s=retry_max_s)
