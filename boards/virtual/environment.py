# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What surrounds the board: the scenario's values, what a person holds by hand, what the models add (load, energy)."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from boards.virtual.scenario import Scenario
from boards.virtual.site import Site

T = TypeVar("T")


class Environment:
    """Named values in physical units, each with its unit in its name."""

    def __init__(
        self, scenario: Scenario, now_s: Callable[[], float] = time.monotonic, site: Site | None = None
    ) -> None:
        self.scenario, self.site = scenario, site
        self._now_s = now_s
        self._since_s = now_s()
        self._stimuli: dict[str, float] = {}
        self._published: dict[str, Callable[[], float]] = {}
        self._shared: dict[str, Any] = {}

    def now_s(self) -> float:
        """Monotonic seconds, the clock of models that add up over time."""
        return self._now_s()

    def now_us(self) -> int:
        """The same in whole microseconds: air time."""
        return round(self._now_s() * 1e6)

    def elapsed_s(self) -> float:
        """Seconds since the board process started, whatever the scenario's speed."""
        return self._now_s() - self._since_s

    def scenario_time_s(self) -> float:
        """Seconds of scenario time; a scenario may run faster than the clock."""
        return self.scenario.start_s + (self._now_s() - self._since_s) * self.scenario.speed

    def counted_s(self) -> float:
        """Seconds for what adds up over time, such as energy: the scenario's, or real ones where it stands still."""
        return self._now_s() * (self.scenario.speed or 1.0)

    def hold(self, name: str, value: float | None) -> None:
        """Hold a value by hand; None gives it back to the scenario. KeyError if nothing has that name."""
        if name not in self.names():
            raise KeyError(name)
        if value is None:
            self._stimuli.pop(name, None)
        else:
            self._stimuli[name] = value

    def shared(self, name: str, make: Callable[[], T]) -> T:
        """One thing that several models look at, made by the first of them."""
        if name not in self._shared:
            self._shared[name] = make()
        shared: T = self._shared[name]
        return shared

    def publish(self, name: str, source: Callable[[], float]) -> None:
        """A model adds a value that other models may read."""
        self._published[name] = source

    def names(self) -> set[str]:
        """All names known."""
        return set(self.scenario.at(0.0)) | set(self._published)

    def get(self, name: str) -> float:
        """The value now."""
        if name in self._stimuli:
            return self._stimuli[name]
        if name in self._published:
            return self._published[name]()
        return self.scenario.at(self.scenario_time_s())[name]

    def values(self) -> dict[str, float]:
        """All values now."""
        return {name: self.get(name) for name in sorted(self.names())}
