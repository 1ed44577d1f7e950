# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What of a reading is newer than what the broker holds, attribute by attribute. Pure.

After an outage the newest readings go first. A late one may still tell what no newer one did: an alarm, a counter that
comes once a day.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.platforms.ngsi_ld.entities import Link, Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.platforms.ngsi_ld.entities import Entity

_REMEMBERED = 20_000
_EVERYTHING = ""
_STATUS = "status"


class Newest:
    """When each attribute of each entity was observed last, Unix time, as far as it was asked or sent."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, dict[str, float]] = OrderedDict()

    def knows(self, entity_id: str) -> bool:
        """Tell whether the broker was asked about an entity, or took it."""
        return entity_id in self._times

    def holds(self, entity_id: str) -> bool:
        """Tell whether the broker has an entity."""
        return bool(self._times.get(entity_id))

    def learn(self, entity_id: str, times: Mapping[str, float], otherwise_s: float = 0.0) -> None:
        """The broker holds this; *otherwise_s* of what it tells no time of. Nothing at all: it has no such entity."""
        found = dict(times)
        if otherwise_s:
            found[_EVERYTHING] = otherwise_s
        self._keep(entity_id, found)

    def took(self, entity: Entity) -> None:
        """The broker has this now."""
        times = self._times.get(entity.id, {})
        times.update(dict.fromkeys(entity.attributes, entity.time_s))
        times.update({_alarm(each.field): entity.time_s for each in entity.alarms})
        self._keep(entity.id, times)

    def newer(self, entity: Entity) -> Entity | None:
        """Return what of an entity is not older than what the broker holds; None when all of it is."""
        times = self._times.get(entity.id, {})
        if entity.time_s >= max(times.values(), default=0.0):
            return entity
        other_s = times.get(_EVERYTHING, 0.0)
        attributes = {
            name: value
            for name, value in entity.attributes.items()
            if entity.time_s >= times.get(name, other_s) and not isinstance(value, Place | Link)
        }
        status_s = times.get(_STATUS, other_s)
        alarms = tuple(each for each in entity.alarms if entity.time_s >= times.get(_alarm(each.field), status_s))
        return replace(entity, attributes=attributes, alarms=alarms) if attributes or alarms else None

    def clear(self) -> None:
        """Forget everything: the broker will be asked."""
        self._times.clear()

    def _keep(self, entity_id: str, times: dict[str, float]) -> None:
        self._times[entity_id] = times
        self._times.move_to_end(entity_id)
        if len(self._times) > _REMEMBERED:
            self._times.popitem(last=False)


def _alarm(field: str) -> str:
    return f"!{field}"
