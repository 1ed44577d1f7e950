# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""OGC SensorThings 1.1 (OGC 18-088): entities made once over HTTP, observations in batches or by MQTT.

Entities are looked for by name before they are made, so neither a restart nor a lost answer makes them twice.
"""

from __future__ import annotations

import re
from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import model_validator

from gateway.errors import NotTaken, PlatformError
from gateway.platforms._delivery import Delivery, Rejected
from gateway.platforms._http import Http, HttpSettings
from gateway.platforms.sensorthings.entities import (
    COMPONENTS,
    datastream,
    observation,
    observed_property,
    sensor,
    stream_name,
    thing,
)
from gateway.platforms.sensorthings.mqtt import MqttSettings, message, publisher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.platforms import Context
    from gateway.platforms._publisher import Publisher
    from gateway.releases.release import Released, Told

_ROOT = "/v1.1"
_REMEMBERED = 100_000
_ASKED_AT_ONCE = 20
_SELF_LINK_ID = re.compile(r"\(([^()]{1,200})\)$")
_ID = re.compile(r"[A-Za-z0-9._:~-]{1,200}")
"""It becomes part of a topic."""
_ERROR = "error"
_Arrays = defaultdict[Any, "list[tuple[Released, list[Any]]]"]
"""By id of the Datastream: readings, and what is observed in each."""


class Settings(HttpSettings):
    """``[[platforms]]`` with ``type = "sensorthings"``."""

    type: Literal["sensorthings"]
    mqtt: MqttSettings | None = None
    """Where observations are published; None: they go over HTTP, with CreateObservations."""

    @model_validator(mode="after")
    def _mqtt_is_safe(self) -> Self:
        if self.mqtt is not None and self.password is not None and not self.mqtt.keeps_secrets():
            raise ValueError("mqtt: the password would travel in the clear: give it [platforms.mqtt.tls]")
        return self


class Service:
    """The partner of a Delivery."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self._name = settings.name
        self._context = context
        self._http = Http(settings, context)
        self._mqtt: Publisher | None = None
        if settings.mqtt is not None:
            password = None
            if settings.password is not None:
                password = context.secret(settings.password).decode(errors="replace").strip()
            self._mqtt = publisher(settings.name, settings.mqtt, context, settings.username, password)
        self._ids: OrderedDict[tuple[str, str], Any] = OrderedDict()
        """Ids of entities by set and name."""

    async def open(self) -> None:
        """See Partner."""
        await self._http.open()
        if self._mqtt is not None:
            await self._mqtt.open()
        self._ids.clear()  # whoever was away may have lost them
        await self._http.ask("GET", f"{_ROOT}/Things", query={"$top": "1"})

    async def close(self) -> None:
        """See Partner."""
        if self._mqtt is not None:
            await self._mqtt.close()
        await self._http.close()

    async def noted(self) -> None:
        """See Partner."""

    async def between(self) -> None:
        """See Partner."""

    async def deliver(self, readings: Sequence[Released]) -> Sequence[Rejected]:
        """See Partner."""
        await self._find("Datastreams", {stream_name(each, told) for each in readings for told in each.fields.values()})
        await self._find("Things", {each.device for each in readings})
        arrays: _Arrays = defaultdict(list)
        rejected: dict[tuple[str, int], Rejected] = {}
        for reading in readings:
            for told in reading.fields.values():
                try:
                    stream_id = await self._datastream(reading, told)
                except NotTaken as error:  # one field that cannot be told keeps no other one back
                    rejected[reading.stream, reading.record] = Rejected(reading, f"{told.senml_name}: {error}")
                else:
                    arrays[stream_id].append((reading, observation(reading, told)))
        if arrays and self._mqtt is not None:
            await self._mqtt.send(message(stream_id, row) for stream_id, rows in arrays.items() for _, row in rows)
        elif arrays:
            rejected |= await self._create(arrays)
        return list(rejected.values())

    async def _create(self, arrays: _Arrays) -> dict[tuple[str, int], Rejected]:
        body = [
            {
                "Datastream": {"@iot.id": stream_id},
                "components": COMPONENTS,
                "dataArray@iot.count": len(rows),
                "dataArray": [row for _, row in rows],
            }
            for stream_id, rows in arrays.items()
        ]
        answer = await self._http.ask("POST", f"{_ROOT}/CreateObservations", body=body)
        said = answer.json()
        sent = [reading for rows in arrays.values() for reading, _ in rows]
        if not isinstance(said, list) or len(said) != len(sent):
            raise PlatformError(f"CreateObservations: the answer is not a list of {len(sent)} links")
        # One "error" for each observation that was not made; which of them the links tell by their order.
        rejected: dict[tuple[str, int], Rejected] = {}
        for reading, link in zip(sent, said, strict=True):
            if str(link).lower().startswith(_ERROR):
                rejected[reading.stream, reading.record] = Rejected(reading, f"CreateObservations: {link}")
        if rejected:
            self._ids.clear()  # perhaps a Datastream is gone
        return rejected

    async def _datastream(self, reading: Released, told: Told) -> Any:
        name = stream_name(reading, told)
        known = self._ids.get(("Datastreams", name))
        if known is not None:
            return known
        ids = {
            "Thing": await self._made_once("Things", thing(reading)),
            "Sensor": await self._made_once("Sensors", sensor(reading)),
            "ObservedProperty": await self._made_once("ObservedProperties", observed_property(told)),
        }
        return await self._made_once("Datastreams", datastream(reading, told, ids), sought=True)

    async def _made_once(self, entity_set: str, entity: dict[str, Any], *, sought: bool = False) -> Any:
        name = entity["name"]
        if (entity_set, name) not in self._ids and not sought:
            await self._find(entity_set, {name})
        if (entity_set, name) not in self._ids:
            answer = await self._http.ask("POST", f"{_ROOT}/{entity_set}", body=entity)
            made = answer.json() if answer.body else None
            found = made.get("@iot.id") if isinstance(made, dict) else None
            if found is None:
                # Section 10.2: an answer without a body names the entity in its Location. Its id is taken, no more.
                match = _SELF_LINK_ID.search(answer.headers.get("location", ""))
                if match is None:
                    raise PlatformError(f"POST {entity_set}: the answer names no id")
                found = _plain_id(match[1])
            self._context.counters.add("platforms", f"{self._name}_made_{entity_set.lower()}")
            self._remember(entity_set, name, found)
        return self._ids[entity_set, name]

    async def _find(self, entity_set: str, names: set[str]) -> None:
        """Ask for the ids of entities that are not remembered."""
        unknown = sorted(name for name in names if (entity_set, name) not in self._ids)
        for start in range(0, len(unknown), _ASKED_AT_ONCE):
            some = unknown[start : start + _ASKED_AT_ONCE]
            query = {
                "$filter": " or ".join(f"name eq '{_quoted(name)}'" for name in some),
                "$select": "id,name",
                "$orderby": "id asc",
                "$top": str(5 * _ASKED_AT_ONCE),
            }
            said = (await self._http.ask("GET", f"{_ROOT}/{entity_set}", query=query)).json()
            found = said.get("value") if isinstance(said, dict) else None
            if not isinstance(found, list):
                raise PlatformError(f"GET {entity_set}: the answer has no list of values")
            for each in found:
                if isinstance(each, dict) and each.get("name") in some and (entity_set, each["name"]) not in self._ids:
                    self._remember(entity_set, each["name"], each.get("@iot.id"))

    def _remember(self, entity_set: str, name: str, found: Any) -> None:
        if not (isinstance(found, int) or (isinstance(found, str) and _ID.fullmatch(found))):
            raise PlatformError(f"{entity_set} {name!r}: {found!r} is no id")
        self._ids[entity_set, name] = found
        if len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _plain_id(text: str) -> int | str:
    return text[1:-1] if text.startswith("'") else int(text) if text.isdecimal() else text


def build(settings: Settings, context: Context) -> Delivery:
    """Return the platform of one ``[[platforms]]`` table."""
    partner = Service(settings, context)
    batch, retry_max_s = settings.batch, settings.retry_max_s
    return Delivery(settings.name, partner, settings.release, context, batch=batch, retry_max_s=retry_max_s)
