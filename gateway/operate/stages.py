# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which stages of the pipeline make progress. The watchdog is fed only while all of them do.

A timer that feeds the watchdog by itself hides a pipeline that is stuck behind it: so each stage says here that it went
once around, and each has a time within which it must.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.clock import Clock


@dataclass(frozen=True, slots=True)
class StageState:
    """One stage at one moment."""

    name: str
    silent_s: float
    """Since it made progress."""
    limit_s: float

    @property
    def stuck(self) -> bool:
        """Whether it should have moved by now."""
        return self.silent_s > self.limit_s


class Stages:
    """All stages by name. Beats come from the event loop or from a thread; a beat is one assignment."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limits_s: dict[str, float] = {}
        self._moved_s: dict[str, float] = {}

    def add(self, name: str, limit_s: float) -> None:
        """Watch one more stage, or give it another limit; it counts as having moved just now."""
        self._limits_s[name] = limit_s
        self._moved_s[name] = self._clock.monotonic_s()

    def remove(self, name: str) -> None:
        """Stop watching."""
        self._limits_s.pop(name, None)
        self._moved_s.pop(name, None)

    def beat(self, name: str) -> None:
        """The stage made progress, or found that there is nothing to do."""
        self._moved_s[name] = self._clock.monotonic_s()

    def states(self) -> list[StageState]:
        """Return how long each stage has been silent."""
        now_s = self._clock.monotonic_s()
        return [
            StageState(name, max(0.0, now_s - self._moved_s[name]), limit_s) for name, limit_s in self._limits_s.items()
        ]

    def stuck(self) -> list[StageState]:
        """Return the stages that should have moved by now."""
        return [state for state in self.states() if state.stuck]
