# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Alarms of a role: raised when something has been true often enough, cleared when it has been false often enough."""


class Alarms:
    """Each look is an ``update``; ``take`` hands over what changed since it was asked last, as fields of a reading."""

    def __init__(self) -> None:
        self._raised = set()  # type: set[str]
        self._streak = {}  # type: dict[str, int]
        self._pending = {}  # type: dict[str, float]

    def update(self, name: str, present: bool, looks: int = 1, values=None) -> bool:
        """Take one look; after *looks* in a row that differ from what is known, it is known. Return whether raised.

        *values* are fields that go with the alarm when it is raised.
        """
        raised = name in self._raised
        if present == raised:
            self._streak.pop(name, None)
            return raised
        seen = self._streak.get(name, 0) + 1
        if seen < looks:
            self._streak[name] = seen
            return raised
        self._streak.pop(name, None)
        if present:
            self._raised.add(name)
        else:
            self._raised.discard(name)
        self._pending[name] = present
        if present and values:
            self._pending.update(values)
        return present

    def is_raised(self, name: str) -> bool:
        """Tell whether it is raised."""
        return name in self._raised

    def in_doubt(self) -> bool:
        """Tell whether a look has differed from what is known, and the next ones must decide."""
        return bool(self._streak)

    def take(self) -> dict:
        """Return what is to be told now, empty when nothing is."""
        if not self._pending:
            return self._pending
        pending, self._pending = self._pending, {}
        return pending
