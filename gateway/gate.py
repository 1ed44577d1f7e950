# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the daemon gives to work that goes on beside the path of a reading: commands, updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gateway.operate.logs import EventLog, Seldom

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from gateway.clock import Clock
    from gateway.operate.counters import Counters


class Beside(NamedTuple):
    """What of the daemon such work needs."""

    in_writer: Callable[[Callable[[], Any]], Coroutine[Any, Any, Any]]
    """Runs a function in the databases' thread."""
    wake: Callable[[], None]
    """Called when there may be downlinks to send."""
    clock: Clock
    counters: Counters


class Gate:
    """*name* is that of its log and of its counters' group."""

    def __init__(self, name: str, beside: Beside) -> None:
        self._name = name
        self._in_writer, self._wake, self._clock, self._counters = beside
        self._log = EventLog(name)
        self._seldom = Seldom()

    def _postponed(self, what: str, event: str, why: Exception, **facts: object) -> None:
        """Count what could not be done now, and say so now and then."""
        self._counters.add(self._name, what)
        if self._seldom.allow(what) is not None:
            self._log.warning(event, why=why, **facts)
