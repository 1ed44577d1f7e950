# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The one status that a model has for many alarms: the gravest that is raised, as far as anybody told. Pure.

A device tells an alarm when it is raised and when it is cleared, so most readings say nothing of most alarms.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

OK = "ok"
_MAX_ENTITIES = 50_000


class Alarm(NamedTuple):
    """One alarm as a reading tells it."""

    field: str
    status: str
    """What the model calls it; more than one alarm may have the same."""
    raised: bool


class Statuses:
    """Of all entities that were told of since the connection to the broker."""

    def __init__(self) -> None:
        self._raised: OrderedDict[str, dict[str, str]] = OrderedDict()
        """By entity and field the status of each alarm that is raised."""

    def learn(self, entity_id: str, status: str) -> None:
        """The broker holds this status. Which alarm it was it cannot tell."""
        self._raised[entity_id] = {} if status == OK else {f"?{status}": status}

    def update(self, entity_id: str, alarms: Sequence[Alarm], gravest_last: Sequence[str]) -> str:
        """Take what a reading tells; return the status now."""
        raised = dict(self._raised.get(entity_id, {}))
        for alarm in alarms:
            raised.pop(f"?{alarm.status}", None)
            raised.pop(alarm.field, None)
            if alarm.raised:
                raised[alarm.field] = alarm.status
        self._raised[entity_id] = raised
        self._raised.move_to_end(entity_id)
        if len(self._raised) > _MAX_ENTITIES:
            self._raised.popitem(last=False)
        order = [*gravest_last]
        return max(raised.values(), key=lambda status: order.index(status) if status in order else -1, default=OK)

    def clear(self) -> None:
        """Forget everything: the broker will be asked."""
        self._raised.clear()
