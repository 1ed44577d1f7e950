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
from gateway.platforms.ngsi_ld.entities import STATUS_OF, Entity, Format, entities

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.platforms import Context
    from gateway.platforms._http import Answer
    from gateway.releases.release import Released

_ENTITIES = "/ngsi-ld/v1/entities"
_UPSERT = "/ngsi-ld/v1/entityOperations/upsert"
_JSON_LD = {"Content-Type": "application/ld+json"}
_MULTI_STATUS = 207
_REMEMBERED = 50_000
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
        self._seen: OrderedDict[str, float] = OrderedDict()
        """When each entity was observed last, by id; 0 for one that the broker does not have."""

    async def open(self) -> None:
        """See Partner."""
        await self._http.open()
        self._seen.clear()
        self._statuses.clear()
        await self._http.ask("GET", _ENTITIES, query={"type": "Device", "limit": "1"}, headers=self._headers)

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
        await self._learn({entity.id for _, entity in made})
        newest: OrderedDict[str, tuple[Released, Entity]] = OrderedDict()
        rejected: dict[tuple[str, int], Rejected] = {}
        for reading, entity in made:
            known_s = self._seen.get(entity.id, 0.0)
            if entity.time_s < known_s:
                self._count("superseded")
                continue
            if entity.id in newest:  # twice in one batch: which of them a broker takes is its own choice
                for each in await self._upsert(newest):
                    rejected[each.reading.stream, each.reading.record] = each
                newest.clear()
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
                self._remember(entity.id, entity.time_s)
        return rejected

    def _to_json(self, entity: Entity) -> dict[str, Any]:
        status_of = STATUS_OF.get(entity.type)
        # In open data nobody is told of alarms, and "ok" would be a claim.
        if status_of and (entity.alarms or not self._seen.get(entity.id)) and self._rules.audience != "open":
            status = self._statuses.update(entity.id, entity.alarms, list(status_of.values()))
            entity = replace(entity, attributes={**entity.attributes, "status": status})
        return entity.to_json(self._settings.format)

    async def _learn(self, ids: Iterable[str]) -> None:
        """Ask the broker when entities were observed last that were not met since the connection."""
        unknown = sorted(each for each in ids if each not in self._seen)
        for start in range(0, len(unknown), _ASKED_AT_ONCE):
            some = unknown[start : start + _ASKED_AT_ONCE]
            query = {"id": ",".join(some), "limit": str(len(some))}
            answer = await self._http.ask("GET", _ENTITIES, query=query, headers=self._headers, also=(404,))
            found = answer.json() if answer.status != 404 else []
            held = {each["id"]: each for each in found or () if isinstance(each, dict) and "id" in each}
            for each in some:
                self._remember(each, _observed_s(held[each]) if each in held else 0.0)
                status = _plain(held.get(each, {}), "status")
                if status:
                    self._statuses.learn(each, status)

    def _remember(self, entity_id: str, time_s: float) -> None:
        self._seen.pop(entity_id, None)
        self._seen[entity_id] = time_s
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

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


def _observed_s(entity: dict[str, Any]) -> float:
    """Return the latest time of observation in an entity; 0 where there is none."""
    texts = [value.get("observedAt") for value in entity.values() if isinstance(value, dict)]
    texts += [_plain(entity, name) for name in _DATES]
    times = [0.0]
    for text in texts:
        try:
            times.append(datetime.fromisoformat(str(text)).timestamp() if text else 0.0)
        except ValueError:
            continue
    return max(times)


def _plain(entity: dict[str, Any], wanted: str) -> str:
    """Return the text of an attribute, which a broker may call by its term, its IRI or something between."""
    for name, value in entity.items():
        if name.replace(":", "/").rpartition("/")[2] == wanted:
            inner = value.get("value") if isinstance(value, dict) else value
            inner = inner.get("@value") if isinstance(inner, dict) else inner
            return inner if isinstance(inner, str) else ""
    return ""


def build(settings: Settings, context: Context) -> Delivery:
    """Return the platform of one ``[[platforms]]`` table."""
    partner = Broker(settings, context)
    batch, retry_max_s = settings.batch, settings.retry_max_s
    return Delivery(settings.name, partner, settings.release, context, batch=batch, retry_max_s=retry_max_s)
